"""SSD whose file ends in the TFLite_Detection_PostProcess operator.

Outputs: boxes float32 (1, n, 4) as ymin, xmin, ymax, xmax in shares of the input; classes and
scores float32 (1, n); count float32 (1,). Rows past the count are undefined. Shapes are known
only after a run, so the outputs are told apart by name, and their values are checked too.

Source: the operator TFLite_Detection_PostProcess of TensorFlow Lite.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_app.errors import ModelOutputError
from camera_app.inference.decoders.tensors import (
    Found,
    best_first,
    clipped,
    expect_count,
    listing,
    mismatch,
)
from camera_app.inference.runtime import Outputs, Tensor, TensorSpec
from camera_app.models import SsdPostprocessDecode
from camera_app.values import Size

FAMILY = "ssd_postprocess"
Reals = npt.NDArray[np.float64]
# Floating point may put a score a little above one; a class number is far above it.
HIGHEST_SCORE = 1.001


class SsdPostprocessDecoder:
    """Decodes one network of this family.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(
        self,
        decode: SsdPostprocessDecode,
        size: Size,
        classes: int,
        outputs: Sequence[TensorSpec],
    ) -> None:
        roles = ("boxes", "classes", "scores", "count")
        names = (decode.boxes, decode.classes, decode.scores, decode.count)
        expect_count(outputs, FAMILY, roles)
        self._to_pixels = np.array([size.width, size.height, size.width, size.height], np.float64)
        self._label_count = classes
        self._boxes, self._classes, self._scores, self._count = (
            _index_of(outputs, role, name) for role, name in zip(roles, names, strict=True)
        )

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return what one run found; boxes were suppressed inside the network.

        Raises:
            ModelOutputError: Shapes or values are not those of the family.
        """
        boxes, classes, scores = self._rows(outputs)
        boxes = clipped(boxes, bounds)
        chosen = np.flatnonzero(scores >= min_score)
        order = chosen[np.argsort(-scores[chosen], kind="stable")]
        return best_first(order, boxes, np.minimum(scores, 1.0), classes)

    def _rows(self, outputs: Outputs) -> tuple[Reals, npt.NDArray[np.intp], Reals]:
        """Return boxes in input pixels, classes and scores of the rows that are defined."""
        boxes = outputs[self._boxes]
        rows = _check_shape(boxes, "boxes", (1, None, 4))
        scores, classes = outputs[self._scores], outputs[self._classes]
        _check_shape(scores, "scores", (1, rows))
        _check_shape(classes, "classes", (1, rows))
        count = self._checked_count(outputs[self._count], rows)
        pixels = boxes.values[0, :count, [1, 0, 3, 2]].T * self._to_pixels
        return (
            pixels,
            self._checked_classes(classes, count),
            _checked_scores(scores, count),
        )

    def _checked_count(self, tensor: Tensor, rows: int) -> int:
        _check_shape(tensor, "count", (1,))
        count = float(tensor.values[0])
        if not (count.is_integer() and 0 <= count <= rows):
            raise mismatch(FAMILY, "count", f"a whole number from 0 to {rows}", tensor)
        return int(count)

    def _checked_classes(self, tensor: Tensor, count: int) -> npt.NDArray[np.intp]:
        values = tensor.values[0, :count]
        numbers = np.nan_to_num(values, nan=-1.0, posinf=-1.0, neginf=-1.0).astype(np.intp)
        is_index = (numbers == values) & (numbers >= 0) & (numbers < self._label_count)
        if not is_index.all():
            expected = f"whole numbers below {self._label_count}, the number of labels"
            raise mismatch(FAMILY, "classes", expected, tensor)
        return numbers


def _checked_scores(tensor: Tensor, count: int) -> Reals:
    values = tensor.values[0, :count].astype(np.float64)
    if not ((values >= 0.0) & (values <= HIGHEST_SCORE)).all():
        raise mismatch(FAMILY, "scores", "numbers from 0 to 1", tensor)
    return np.asarray(values)


def _index_of(outputs: Sequence[TensorSpec], role: str, name: str) -> int:
    for index, spec in enumerate(outputs):
        if spec.name == name:
            return index
    raise ModelOutputError(
        f"family {FAMILY} expects an output named {name} ({role}), the file has {listing(outputs)}"
    )


def _check_shape(tensor: Tensor, role: str, expected: tuple[int | None, ...]) -> int:
    """Check the shape against one with None for any length, and return the second dimension."""
    shape: tuple[Any, ...] = tensor.values.shape
    fits = len(shape) == len(expected) and all(
        wanted in (None, side) for side, wanted in zip(shape, expected, strict=True)
    )
    if not fits:
        wanted_text = ", ".join("n" if side is None else str(side) for side in expected)
        raise mismatch(FAMILY, role, f"[{wanted_text}]", tensor)
    return int(shape[-1] if len(shape) == 1 else shape[1])
