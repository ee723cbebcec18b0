"""Whether a loaded network says what its pack promises: the known-answer test.

It shows what no hash can: a library, a processor or a device that computes something else, and a
way from picture to tensor, or from tensors to detections, that is not the one that was signed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from camera_app.errors import PackRejected
from camera_app.inference.preprocess import Prepared
from camera_app.inference.runtime import Outputs
from camera_app.models import (
    INPUTS,
    KnownDetection,
    KnownOutput,
    ModelPack,
    read_side_file,
)
from camera_app.models.known_answers import LEAST_SCORE
from camera_app.values import Box, Detection, Picture, Rgb

# Detections of at least this score must be there on both sides. Between LEAST_SCORE and it lies
# what rounding may push over the edge.
SURE_SCORE = 0.5
SAME_IOU = 0.5
SAME_SCORE = 0.15
DETECTIONS = "detections"


class Answering(Protocol):
    """A loaded network, whatever it is for."""

    pack: ModelPack

    def prepare(self, picture: Picture) -> Prepared:
        """Return the input tensor for a picture."""

    def invoke(self, prepared: Prepared) -> Outputs:
        """Run the network once."""


class Decode(Protocol):
    """Makes detections of what a run gave."""

    def __call__(
        self, outputs: Outputs, prepared: Prepared, *, min_score: float
    ) -> Sequence[Detection]:
        """Return what scores at least that much."""


@dataclass(frozen=True, slots=True)
class Difference:
    """How far one output was off.

    Attributes:
        input: The known input.
        output: Name of the tensor, or `detections`.
        steps: Mean distance of the sampled values, in steps; for detections, how many of one side
            are missing on the other.
        limit_steps: What is allowed.
    """

    input: str
    output: str
    steps: float
    limit_steps: float

    @property
    def is_within(self) -> bool:
        return self.steps <= self.limit_steps  # not so for NaN

    def __str__(self) -> str:
        return (
            f"input {self.input!r}, output {self.output}: {self.steps:.2f} steps off, "
            f"{self.limit_steps:.2f} allowed"
        )


def known_picture(pack: ModelPack, name: str) -> Rgb:
    """Return a known input: one that is made, or a picture in the pack.

    Raises:
        PackRejected: It is neither, or the file was changed.
    """
    if name in INPUTS:
        return INPUTS[name]()
    content = np.frombuffer(read_side_file(pack, name), np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if pixels is None:
        raise PackRejected("a known input that is no picture", where=str(pack.folder / name))
    return Rgb(np.ascontiguousarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)))


def differences(network: Answering, decode: Decode | None = None) -> Iterator[Difference]:
    """Ask a network everything that its pack has an answer to.

    Args:
        network: Just loaded.
        decode: Makes detections of its outputs; None: it gives none.

    Raises:
        PackRejected: The answers are not of this network at all.
    """
    known = network.pack.known_answers
    for answer in known.answers if known is not None else ():
        prepared = network.prepare(known_picture(network.pack, answer.input))
        outputs = network.invoke(prepared)
        for output in answer.outputs:
            yield _difference(network.pack, answer.input, output, outputs)
        if decode is not None and answer.detections is not None:
            found = decode(outputs, prepared, min_score=LEAST_SCORE)
            missed = count_missed(answer.detections, found)
            yield Difference(answer.input, DETECTIONS, float(missed), 0.0)


def require_known_answers(network: Answering, decode: Decode | None = None) -> None:
    """Refuse a network that does not give the answers of its pack.

    Raises:
        PackRejected: It names the input and by how much the answer is off.
    """
    for difference in differences(network, decode):
        if not difference.is_within:
            raise _refusal(network.pack, difference)


def _refusal(pack: ModelPack, difference: Difference) -> PackRejected:
    made_with = pack.known_answers.made_with if pack.known_answers is not None else ""
    return PackRejected(
        f"the network does not give its known answers: {difference}",
        where=f"model pack {pack.name}",
        remedy=f"They were written down with {made_with}; the library or the device here computes "
        "something else, or the answers are of other weights: write them down anew",
    )


def _difference(pack: ModelPack, name: str, known: KnownOutput, outputs: Outputs) -> Difference:
    tensor = next((tensor for tensor in outputs if tensor.name == known.name), None)
    if tensor is None or max(known.indexes) >= tensor.values.size:
        found = ", ".join(f"{tensor.name} {list(tensor.values.shape)}" for tensor in outputs)
        raise PackRejected(
            f"the known answers have an output {known.name} of more than {max(known.indexes)} "
            f"values, the network has {found}",
            where=f"model pack {pack.name}",
        )
    values = tensor.values.reshape(-1)[list(known.indexes)].astype(np.float64)
    steps = float(np.abs(values - known.values).mean() / known.step)
    return Difference(name, known.name, steps, known.limit_steps)


def count_missed(known: Sequence[KnownDetection], found: Sequence[Detection]) -> int:
    """Return how many sure detections of either side the other one has not.

    A detection answers for one only: two found where one is known are one too many.
    """
    left = list(known)
    surprising = 0
    for detection in found:
        same = next((other for other in left if _is_same(other, detection)), None)
        if same is not None:
            left.remove(same)
        elif detection.score >= SURE_SCORE:
            surprising += 1
    return surprising + sum(other.score >= SURE_SCORE for other in left)


def _is_same(known: KnownDetection, found: Detection) -> bool:
    return (
        known.label == found.label
        and abs(known.score - found.score) <= SAME_SCORE
        and Box(*known.box).iou(found.box) >= SAME_IOU
    )
