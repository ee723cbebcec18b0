"""A loaded pack: pictures in, detections (or classes, or a face's vector) out.

This is what the rest of the house uses of this room. Weights are checked on every load, and so are
the answers to known inputs where a pack has them: a few runs of the network, some milliseconds,
for each interpreter, because each may sit on another device. A pack whose file does not fit its
family is refused before the first picture, as far as shapes are known by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from camera_app.errors import ModelError, ModelOutputError
from camera_app.inference.choice import runtime_for
from camera_app.inference.decoders import (
    BlazefaceDecoder,
    Classification,
    ClassifierDecoder,
    EmbeddingDecoder,
    Found,
    SsdAnchorsDecoder,
    SsdPostprocessDecoder,
    UlfgDecoder,
    YoloxDecoder,
    listing,
)
from camera_app.inference.known_answers import Difference, differences, require_known_answers
from camera_app.inference.preprocess import Prepared, Preprocessor, similarity
from camera_app.inference.runtime import (
    Interpreter,
    Outputs,
    Runtime,
    TensorSpec,
)
from camera_app.inference.trial import require_trial
from camera_app.models import (
    BlazefaceDecode,
    ClassifierDecode,
    DeclaredTensor,
    EmbeddingDecode,
    ModelPack,
    SsdAnchorsDecode,
    SsdPostprocessDecode,
    Task,
    UlfgDecode,
    UnusedDecode,
    YoloxDecode,
    is_in_catalogue,
    kind_of,
    locate_weights,
)
from camera_app.values import Box, Detection, Picture, Point, Region, Size

Reals = npt.NDArray[np.float64]

# Landmarks that a face detector gives, by their number: which of the five targets they are, and
# which of them count. With six there is one mouth, in the middle of its two corners, and ears.
FIVE_POINTS = 5
SIX_POINTS = 6


class Decoder(Protocol):
    """What makes detections of a network's outputs."""

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return what one run found, best first, clipped to bounds: the frame in the input."""


class LoadedPack:
    """What all loaded packs share: the interpreter and the way into it. One thread at a time.

    Attributes:
        pack: That was loaded.
    """

    def __init__(self, pack: ModelPack, interpreter: Interpreter) -> None:
        self.pack = pack
        self._interpreter = interpreter
        self._preprocessor = Preprocessor(pack.input, _only_input(interpreter))

    @property
    def input_size(self) -> Size:
        return self.pack.input.size

    @property
    def labels(self) -> tuple[str, ...]:
        return self.pack.labels

    def prepare(self, picture: Picture, region: Region | None = None) -> Prepared:
        """Return the input tensor for a region of a picture; None: the whole of it.

        Raises:
            ValueError: The region leaves the picture.
        """
        return self._preprocessor.prepare(picture, region)

    def invoke(self, prepared: Prepared) -> Outputs:
        """Run the network once.

        Raises:
            ModelError: The run failed; the next one starts afresh.
        """
        return self._interpreter.invoke([prepared.tensor])


class Network(LoadedPack):
    """A loaded detector."""

    def __init__(self, pack: ModelPack, interpreter: Interpreter) -> None:
        super().__init__(pack, interpreter)
        self._decoder = _decoder(pack, interpreter.outputs)

    def decode(self, outputs: Outputs, prepared: Prepared, *, min_score: float) -> list[Detection]:
        """Return what a run found, best first, clipped to the picture, in its pixels.

        Landmarks are not clipped: a face at the edge has some of them outside.

        Raises:
            ModelOutputError: The outputs are not those of the family.
        """
        bounds = prepared.placement.bounds_in_input(prepared.picture_size)
        with _naming(self.pack):
            found = self._decoder.decode(outputs, bounds, min_score=min_score)
        if not len(found.scores):
            return []
        return _detections(found, prepared, self.pack.labels)

    def look(
        self, picture: Picture, region: Region | None = None, *, min_score: float
    ) -> list[Detection]:
        """Prepare, invoke and decode in a row."""
        prepared = self.prepare(picture, region)
        return self.decode(self.invoke(prepared), prepared, min_score=min_score)


class Classifier(LoadedPack):
    """A loaded classifier."""

    def __init__(self, pack: ModelPack, interpreter: Interpreter) -> None:
        super().__init__(pack, interpreter)
        self._decoder = ClassifierDecoder(pack.labels, interpreter.outputs)

    def classify(self, picture: Picture, region: Region | None = None) -> list[Classification]:
        """Return all classes of a region of a picture, best first."""
        outputs = self.invoke(self.prepare(picture, region))
        with _naming(self.pack):
            return self._decoder.decode(outputs)


class FaceEmbedder(LoadedPack):
    """A loaded network that makes a vector of a face."""

    def __init__(self, pack: ModelPack, interpreter: Interpreter) -> None:
        super().__init__(pack, interpreter)
        decode = pack.decode
        if not isinstance(decode, EmbeddingDecode):
            raise _wrong_task(pack, Task.EMBEDDING)
        self._decoder = EmbeddingDecoder(decode, interpreter.outputs)
        self._targets = np.array(decode.targets, np.float64)

    def embed(self, picture: Picture, points: Sequence[Point]) -> npt.NDArray[np.float32]:
        """Return the vector of a face, its length one.

        Args:
            picture: That shows the face.
            points: Its landmarks as a face detector gives them, in pixels of the picture: five
                (eyes, nose, mouth corners) or six (eyes, nose, mouth, ears), left as seen first.

        Raises:
            ValueError: There is another number of points, or all of them are one.
        """
        source, target = self._pairs(points)
        prepared = self._preprocessor.prepare_aligned(picture, similarity(source, target))
        outputs = self.invoke(prepared)
        with _naming(self.pack):
            return self._decoder.decode(outputs)

    def _pairs(self, points: Sequence[Point]) -> tuple[Reals, Reals]:
        source = np.array([(point.x, point.y) for point in points], np.float64)
        if len(points) == FIVE_POINTS:
            return source, self._targets
        if len(points) == SIX_POINTS:
            mouth = self._targets[3:].mean(axis=0)
            return source[:4], np.vstack((self._targets[:3], mouth))
        raise ValueError(f"a face needs {FIVE_POINTS} or {SIX_POINTS} points, got {len(points)}")


def load_network(pack: ModelPack, runtime: Runtime | None = None) -> Network:
    """Check, open and fit out a detector.

    Args:
        pack: Of a detector.
        runtime: That opens it; None: the best that is installed for the kind of its weights.

    Raises:
        PackRejected: The weights are not the pack's, the runtime does not take them, or the network
            does not give its known answers.
        ModelOutputError: The file does not fit the family that the pack declares.
        ModelError: There are no weights, or the pack is for another task.
    """
    _require_task(pack, Task.DETECTION)
    with _naming(pack):
        network = Network(pack, _open(pack, runtime))
        require_known_answers(network, network.decode)
    return network


def load_classifier(pack: ModelPack, runtime: Runtime | None = None) -> Classifier:
    """Check, open and fit out a classifier; as `load_network`."""
    _require_task(pack, Task.CLASSIFICATION)
    with _naming(pack):
        classifier = Classifier(pack, _open(pack, runtime))
        require_known_answers(classifier)
    return classifier


def load_embedder(pack: ModelPack, runtime: Runtime | None = None) -> FaceEmbedder:
    """Check, open and fit out a network for faces; as `load_network`."""
    _require_task(pack, Task.EMBEDDING)
    with _naming(pack):
        embedder = FaceEmbedder(pack, _open(pack, runtime))
        require_known_answers(embedder)
    return embedder


def check_known_answers(pack: ModelPack, runtime: Runtime | None = None) -> list[Difference]:
    """Open a pack and return how far off its answers are, right or wrong; as `load_network`.

    Empty: nobody wrote any answers down, and nothing was opened.
    """
    if pack.known_answers is None:
        return []
    with _naming(pack):
        interpreter = _open(pack, runtime)
        if pack.task is not Task.DETECTION or isinstance(pack.decode, UnusedDecode):
            return list(differences(LoadedPack(pack, interpreter)))
        network = Network(pack, interpreter)
        return list(differences(network, network.decode))


def _require_task(pack: ModelPack, task: Task) -> None:
    if isinstance(pack.decode, UnusedDecode):
        raise ModelError(
            f"family {pack.family} is known, but this program has no use for it yet",
            where=f"model pack {pack.name}",
        )
    if pack.task is not task:
        raise _wrong_task(pack, task)


def _wrong_task(pack: ModelPack, task: Task) -> ModelError:
    return ModelError(
        f"a pack for {task.value} is needed, this one is for {pack.task.value}",
        where=f"model pack {pack.name}",
    )


@contextmanager
def _naming(pack: ModelPack) -> Iterator[None]:
    """Put the pack's name into errors of decoders, which do not know it."""
    try:
        yield
    except ModelOutputError as error:
        if error.where:
            raise
        where = f"model pack {pack.name}"
        raise ModelOutputError(error.what, where=where, remedy=error.remedy) from error


def _open(pack: ModelPack, runtime: Runtime | None) -> Interpreter:
    weights = locate_weights(pack)
    chosen = runtime or runtime_for(kind_of(pack.weights.file))
    if not is_in_catalogue(pack.sha256):
        require_trial(weights, pack.sha256, chosen)
    interpreter = chosen.load(weights)
    _check_declared("input", pack.tensors.inputs, interpreter.inputs)
    _check_declared("output", pack.tensors.outputs, interpreter.outputs)
    return interpreter


def _only_input(interpreter: Interpreter) -> TensorSpec:
    if len(interpreter.inputs) != 1:
        raise ModelOutputError(
            "a network needs exactly one input, the picture; "
            f"the file has {listing(interpreter.inputs)}"
        )
    return interpreter.inputs[0]


def _check_declared(
    kind: str, declared: Sequence[DeclaredTensor], found: Sequence[TensorSpec]
) -> None:
    """Refuse a file whose tensors are not the ones that the manifest lists, in any order."""
    if not declared:
        return
    by_name = {spec.name: spec for spec in found}
    for tensor in declared:
        spec = by_name.get(tensor.name)
        wanted = f"{kind} {tensor.name} {list(tensor.shape)} {tensor.dtype}"
        if spec is None:
            raise ModelOutputError(f"the pack declares {wanted}, the file has {listing(found)}")
        # An empty shape, on either side, is one that is known only after a run.
        differs = bool(tensor.shape and spec.shape) and tensor.shape != spec.shape
        if differs or spec.dtype != tensor.dtype:
            raise ModelOutputError(f"the pack declares {wanted}, the file has {spec}")
    if len(found) != len(declared):
        raise ModelOutputError(
            f"the pack declares {len(declared)} {kind}s, the file has {listing(found)}"
        )


def _decoder(pack: ModelPack, outputs: Sequence[TensorSpec]) -> Decoder:
    decode, size, classes = pack.decode, pack.input.size, len(pack.labels)
    match decode:
        case YoloxDecode():
            return YoloxDecoder(decode, size, classes, outputs)
        case SsdPostprocessDecode():
            return SsdPostprocessDecoder(decode, size, classes, outputs)
        case SsdAnchorsDecode():
            return SsdAnchorsDecoder(decode, pack.anchors, size, classes, outputs)
        case UlfgDecode():
            return UlfgDecoder(decode, size, outputs)
        case BlazefaceDecode():
            return BlazefaceDecoder(decode, size, outputs)
        case ClassifierDecode() | EmbeddingDecode() | UnusedDecode():
            raise _wrong_task(pack, Task.DETECTION)


def _detections(found: Found, prepared: Prepared, labels: Sequence[str]) -> list[Detection]:
    size = prepared.picture_size
    boxes = prepared.placement.boxes_to_frame(found.boxes)
    # They are clipped already, but for rounding on the way back.
    limits = np.array([size.width, size.height, size.width, size.height])
    boxes = np.minimum(np.maximum(boxes, 0.0), limits)
    # A comparison with NaN is false: what is no number is left out with what is empty.
    visible = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    rows = zip(
        visible.tolist(),
        boxes.tolist(),
        found.classes.tolist(),
        found.scores.tolist(),
        _points(found, prepared),
        strict=True,
    )
    return [
        Detection(Box(*box), labels[index], score, points)
        for is_visible, box, index, score, points in rows
        if is_visible
    ]


def _points(found: Found, prepared: Prepared) -> list[tuple[Point, ...]]:
    """Return the landmarks of each box in frame pixels."""
    if not found.points.shape[1]:
        return [()] * len(found.scores)
    points = prepared.placement.points_to_frame(found.points)
    return [tuple(Point(x, y) for x, y in marks) for marks in points.tolist()]
