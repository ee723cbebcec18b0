"""What all conversions share: inputs to try them on, and whether source and result say the same.

A converted network is believed only after both have answered the same inputs: random pictures,
and real ones where a folder of them is given. The result is run as the camera will run it.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.inference import Interpreter, TensorSpec, choose_runtime
from camera_app.models import WeightsKind
from camera_app.models.inspect import check_structure
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_graph import Graph, Operator, read_graph

Array = npt.NDArray[Any]
Sample = list[Array]

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm"})
MOST_PICTURES = 16
# Fewer inputs than this are no calibration: ranges would be those of a few scenes.
FEWEST_CALIBRATION = 32
# Of an output's largest value: float32 in another order of additions stays far below it.
TOLERATED = 1e-3
# Operators that only move numbers: the trace of channels that come first, or of padding that
# does not fold into the convolution behind it.
MOVERS = {
    "TRANSPOSE": "the source has its channels first somewhere inside; it costs time on every run, "
    "and an Edge TPU may stop there",
    "PAD": "a convolution with stride 2 is padded on both sides; TensorFlow Lite pads at the end "
    "only. Harmless, but for a copy of the map; --fold-padding writes it into the convolution",
}


@dataclass(frozen=True, slots=True)
class Feeding:
    """What a byte of a picture means to a network, and the order of its channels.

    Attributes:
        mean: Taken from the byte.
        divisor: What remains is divided by it.
        is_bgr: Blue comes first.
    """

    mean: float = 0.0
    divisor: float = 1.0
    is_bgr: bool = False

    def fed(self, pixels: Array) -> Array:
        """Return RGB bytes (height, width, 3) as the network takes them."""
        ordered = pixels[..., ::-1] if self.is_bgr else pixels
        return np.ascontiguousarray((ordered - self.mean) / self.divisor, np.float32)[None]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far an output of the result is from the source's, over all inputs of one sort.

    Attributes:
        output: Its name in the result.
        inputs: `random` or `pictures`.
        count: How many inputs there were.
        largest: The largest difference of two numbers that should be one.
        peak: The largest number, its sign aside, that the source gave.
    """

    output: str
    inputs: str
    count: int
    largest: float
    peak: float

    @property
    def share(self) -> float:
        """The largest difference as a share of the peak: what rounding is measured by."""
        return self.largest / self.peak if self.peak else self.largest


# --- inputs ---------------------------------------------------------------------------------


def input_specs(path: Path) -> tuple[TensorSpec, ...]:
    """Return what a converted network takes."""
    check_structure(path, WeightsKind.TFLITE)
    return choose_runtime().load(path).inputs


def random_samples(
    specs: Sequence[TensorSpec], feeding: Feeding, count: int, seed: int
) -> list[Sample]:
    """Return random inputs: pictures of random bytes, blurred by and by, else normal numbers.

    Bytes without any order excite a network little and all alike, so half of the pictures are
    made of large patches.
    """
    rng = np.random.default_rng(seed)
    return [[_random(spec, feeding, rng, index) for spec in specs] for index in range(count)]


def _random(spec: TensorSpec, feeding: Feeding, rng: np.random.Generator, index: int) -> Array:
    if not _is_picture(spec):
        return rng.standard_normal(spec.shape).astype(spec.dtype)
    height, width = spec.shape[1:3]
    cell = 1 if index % 2 == 0 else 16
    small = rng.integers(0, 256, (-(-height // cell), -(-width // cell), 3), np.uint8)
    return _as_spec(small.repeat(cell, 0).repeat(cell, 1)[:height, :width], spec, feeding)


def picture_samples(
    specs: Sequence[TensorSpec], feeding: Feeding, folder: Path, most: int
) -> list[Sample]:
    """Return real pictures as inputs, evenly chosen from a folder, stretched to the input.

    Raises:
        WorkshopError: The network does not take one picture, or the folder has none.
    """
    if len(specs) != 1 or not _is_picture(specs[0]):
        raise WorkshopError(
            f"the network takes {', '.join(map(str, specs))}, and that is no picture",
            where=str(folder),
            remedy="Leave out --images and --calibration",
        )
    paths = _chosen(folder, most)
    pictures = (cv2.imread(str(path), cv2.IMREAD_COLOR) for path in paths)
    height, width = specs[0].shape[1:3]
    samples = [
        [_as_spec(cv2.resize(picture, (width, height))[..., ::-1], specs[0], feeding)]
        for picture in pictures
        if picture is not None
    ]
    if not samples:
        raise WorkshopError("no pictures that can be read", where=str(folder))
    return samples


def _chosen(folder: Path, most: int) -> list[Path]:
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if len(found) <= most:
        return found
    return [found[round(index)] for index in np.linspace(0, len(found) - 1, most)]


def _is_picture(spec: TensorSpec) -> bool:
    return len(spec.shape) == 4 and spec.shape[3] in (1, 3) and spec.dtype == "float32"


def _as_spec(pixels: Array, spec: TensorSpec, feeding: Feeding) -> Array:
    fed = feeding.fed(pixels)
    return fed if spec.shape[3] == 3 else np.ascontiguousarray(fed.mean(axis=3, keepdims=True))


# --- comparing ------------------------------------------------------------------------------


def answers(path: Path, samples: Sequence[Sample]) -> list[Sample]:
    """Return what a TensorFlow Lite file says to samples of real numbers, as real numbers."""
    interpreter = choose_runtime().load(path)
    return [_answer(interpreter, sample) for sample in samples]


def _answer(interpreter: Interpreter, sample: Sample) -> Sample:
    fed = [_quantised(array, spec) for array, spec in zip(sample, interpreter.inputs, strict=True)]
    found = []
    for tensor in interpreter.invoke(fed):
        values = tensor.values.astype(np.float64)
        found.append((values - tensor.zero_point) * tensor.scale if tensor.scale else values)
    return found


def _quantised(array: Array, spec: TensorSpec) -> Array:
    if not spec.scale:
        return np.ascontiguousarray(array, spec.dtype)
    limits = np.iinfo(spec.dtype)
    raw = np.rint(array / spec.scale) + spec.zero_point
    return np.ascontiguousarray(np.clip(raw, limits.min, limits.max), spec.dtype)


def differences(
    path: Path, samples: Sequence[Sample], expected: Sequence[Sample], inputs: str
) -> tuple[Difference, ...]:
    """Compare a converted file with what its source said.

    Args:
        path: The file.
        samples: The inputs, as the file takes them.
        expected: What the source said to each.
        inputs: What sort of inputs they are, for the report.

    Raises:
        WorkshopError: The outputs of the two cannot be paired.
    """
    found = answers(path, samples)
    names = [spec.name for spec in choose_runtime().load(path).outputs]
    pairs = _paired(expected[0], found[0], where=str(path))
    return tuple(
        _difference(
            names[theirs],
            inputs,
            [_aligned(run[ours], found[0][theirs]) for run in expected],
            [run[theirs] for run in found],
        )
        for ours, theirs in enumerate(pairs)
    )


def _difference(
    name: str, inputs: str, expected: Sequence[Array], found: Sequence[Array]
) -> Difference:
    largest = max(
        float(np.abs(ours - theirs).max()) for ours, theirs in zip(expected, found, strict=True)
    )
    peak = max(float(np.abs(array).max()) for array in expected)
    return Difference(name, inputs, len(found), largest, peak)


def _paired(expected: Sample, found: Sample, *, where: str) -> tuple[int, ...]:
    """Return which output of the result is which of the source: converters change the order."""
    best: tuple[float, tuple[int, ...]] | None = None
    for order in itertools.permutations(range(len(found)), len(expected)):
        pairs = [(ours, found[index]) for ours, index in zip(expected, order, strict=True)]
        if all(_same_shape(ours, theirs) for ours, theirs in pairs):
            apart = sum(float(np.abs(_aligned(a, b) - b).max()) for a, b in pairs)
            best = min(best or (apart, order), (apart, order))
    if best is None or len(found) != len(expected):
        raise WorkshopError(
            f"the source gives {_shapes(expected)}, the converted file {_shapes(found)}",
            where=where,
            remedy="The conversion changed what the network is; try another way into the workshop",
        )
    return best[1]


def _same_shape(ours: Array, theirs: Array) -> bool:
    return any(shape == theirs.shape for shape in (ours.shape, _channels_last(ours).shape))


def _aligned(ours: Array, theirs: Array) -> Array:
    """Return the source's output with its channels where the result has them."""
    return ours if ours.shape == theirs.shape else _channels_last(ours)


def _channels_last(array: Array) -> Array:
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


def _shapes(arrays: Sample) -> str:
    return ", ".join(str(list(array.shape)) for array in arrays)


# --- operators ------------------------------------------------------------------------------


def operator_counts(graph: Graph) -> dict[str, int]:
    """Return how many operators of each kind there are, the most frequent first."""
    return dict(Counter(operator.kind for operator in graph.operators).most_common())


def advice(graph: Graph) -> Iterator[str]:
    """Yield a line for each kind of operator that only moves numbers about."""
    for kind, reason in MOVERS.items():
        found = [operator for operator in graph.operators if operator.kind == kind]
        if found:
            yield f"{len(found)} {kind} left, first {_described(found[0])}: {reason}"


def _described(operator: Operator) -> str:
    shapes = [list(tensor.shape) for tensor in (*operator.computed, *operator.outputs)]
    return f"at operator {operator.index}, {' to '.join(map(str, shapes))}"


def converted_graph(path: Path) -> Graph:
    """Return what a converted file holds, refusing one that the camera cannot read."""
    check_structure(path, WeightsKind.TFLITE)
    return read_graph(path)
