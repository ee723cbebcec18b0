"""Writes down what a network says to known inputs, and how far off the same network may be.

That distance is measured and not guessed: the network is run a second time by the slow kernels
that the library keeps as its reference. They round differently, as another processor's do.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_app.inference import Network, Outputs, Prepared, Runtime, Tensor, choose_runtime
from camera_app.inference.known_answers import SURE_SCORE, count_missed, known_picture
from camera_app.inference.network import LoadedPack
from camera_app.inference.runtime import TfliteRuntime
from camera_app.models import (
    INPUTS,
    KnownAnswer,
    KnownAnswers,
    KnownDetection,
    KnownOutput,
    ModelPack,
    SsdPostprocessDecode,
    Task,
    UnusedDecode,
    locate_weights,
)
from camera_app.models.known_answers import LEAST_SCORE
from camera_app.values import Detection
from tools.workshop.errors import WorkshopError

# Values of each tensor: evenly spread ones, and those that stand out, where the network says most.
SPREAD_VALUES = 32
LOUD_VALUES = 32
# Other processors may be farther off than the reference kernels are: three times, and a step.
REFERENCE_FACTOR = 3.0
REFERENCE_STEPS = 1.0
# A network that says something else is off by about the spread of the values. An output whose
# limit comes near that proves nothing and is left out.
MOST_SHARE_OF_SPREAD = 0.5
REAL_STEPS = 255

Reals = npt.NDArray[np.float64]


class ReferenceRuntime(TfliteRuntime):
    """LiteRT without any of its fast kernels."""

    def __init__(self) -> None:
        from ai_edge_litert import interpreter

        super().__init__(interpreter, "ai-edge-litert")
        self._interpreter = interpreter

    def _open(self, path: Path) -> Any:
        resolver = self._interpreter.OpResolverType.BUILTIN_REF
        opened = self._interpreter.Interpreter(
            model_path=str(path), num_threads=1, experimental_op_resolver_type=resolver
        )
        opened.allocate_tensors()
        return opened


def write_down(pack: ModelPack, pictures: Sequence[str] = ()) -> KnownAnswers:
    """Ask a network about the known inputs.

    Args:
        pack: Whose weights are at hand; its present answers, if any, are ignored.
        pictures: Picture files in the pack that are known inputs besides the made ones.

    Raises:
        ModelError: The network cannot be used.
        WorkshopError: None of its outputs would tell it from another network.
    """
    weights = locate_weights(pack)
    runtime = choose_runtime()
    network = _open(pack, runtime, weights)
    reference = _open(pack, ReferenceRuntime(), weights)
    answers = tuple(_answer(network, reference, name) for name in (*INPUTS, *pictures))
    useful = tuple(answer for answer in answers if _is_proof(answer))
    if not useful:
        raise WorkshopError(
            "no output of this network tells it from another one",
            where=pack.name,
            remedy="Add a picture in which it finds something, with --picture",
        )
    made_with = f"{runtime.name} {runtime.version} on {platform.machine()}"
    return KnownAnswers(schema_=1, made_with=made_with, answers=useful)


def _is_proof(answer: KnownAnswer) -> bool:
    is_sure = any(detection.score >= SURE_SCORE for detection in answer.detections or ())
    return is_sure or bool(answer.outputs)


def _open(pack: ModelPack, runtime: Runtime, weights: Path) -> LoadedPack:
    """Open weights as they are: without the check of the answers that are only being made."""
    interpreter = runtime.load(weights)
    if pack.task is Task.DETECTION and not isinstance(pack.decode, UnusedDecode):
        return Network(pack, interpreter)
    return LoadedPack(pack, interpreter)


def _answer(network: LoadedPack, reference: LoadedPack, name: str) -> KnownAnswer:
    prepared = network.prepare(known_picture(network.pack, name))
    outputs, other = network.invoke(prepared), reference.invoke(prepared)
    return KnownAnswer(
        input=name,
        outputs=tuple(_outputs(network.pack, outputs, other)),
        detections=_detections(network, prepared, outputs, other),
    )


def _detections(
    network: LoadedPack, prepared: Prepared, outputs: Outputs, reference: Outputs
) -> tuple[KnownDetection, ...] | None:
    """Return what a detector finds; None where the reference kernels do not find the same."""
    if not isinstance(network, Network):
        return None
    found = network.decode(outputs, prepared, min_score=LEAST_SCORE)
    others = network.decode(reference, prepared, min_score=LEAST_SCORE)
    known = tuple(_known(detection) for detection in found)
    return None if count_missed(known, others) else known


def _known(detection: Detection) -> KnownDetection:
    box = detection.box
    left, top, right, bottom = (
        round(number, 2) for number in (box.left, box.top, box.right, box.bottom)
    )
    score = round(detection.score, 4)
    return KnownDetection(label=detection.label, score=score, box=(left, top, right, bottom))


def _outputs(pack: ModelPack, outputs: Outputs, reference: Outputs) -> Iterator[KnownOutput]:
    # The rows of this operator are sorted by score: one step of difference changes their order.
    if isinstance(pack.decode, SsdPostprocessDecode):
        return
    for tensor, other in zip(outputs, reference, strict=True):
        known = known_output(tensor, other)
        if known is not None:
            yield known


def known_output(tensor: Tensor, reference: Tensor) -> KnownOutput | None:
    """Return the values of a tensor that are written down; None if they would prove nothing."""
    values = tensor.values.reshape(-1).astype(np.float64)
    others = reference.values.reshape(-1).astype(np.float64)
    step = _step(tensor)
    if not step or not np.isfinite(values).all():
        return None
    indexes = _chosen(values)
    off = float(np.abs(values[indexes] - others[indexes]).mean() / step)
    limit = REFERENCE_FACTOR * off + REFERENCE_STEPS
    spread = float(np.abs(values[indexes] - np.median(values)).mean() / step)
    if limit > MOST_SHARE_OF_SPREAD * spread:
        return None
    return KnownOutput(
        name=tensor.name,
        step=step,
        limit_steps=round(limit, 2),
        indexes=tuple(indexes.tolist()),
        values=tuple(round(value, 6) for value in values[indexes].tolist()),
    )


def _step(tensor: Tensor) -> float:
    """Return what counts as one step of a tensor; 0.0 if all of it is one value."""
    if np.issubdtype(tensor.values.dtype, np.integer):
        return 1.0
    return float(np.ptp(tensor.values)) / REAL_STEPS


def _chosen(values: Reals) -> npt.NDArray[np.intp]:
    spread = np.linspace(0, len(values) - 1, min(SPREAD_VALUES, len(values))).round()
    loudness = np.abs(values - np.median(values))
    loud = np.argsort(-loudness, kind="stable")[:LOUD_VALUES]
    return np.union1d(spread.astype(np.intp), loud)
