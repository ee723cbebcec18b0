"""YOLOX: anchor-free grids, one cell a row.

Outputs: boxes (1, n, 4) as centre offset x, y in cells and logarithm of width, height in cells;
scores (1, n, 1 + classes) as objectness, then classes, all of them through the sigmoid. Cells are
listed stride by stride, row by row.

Source: the head of Megvii's YOLOX, cut before its last concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_app.inference.decoders.nms import keep_best
from camera_app.inference.decoders.tensors import (
    Found,
    best_first,
    clipped,
    corners,
    expect_count,
    find_role,
)
from camera_app.inference.quantization import dequantise, largest_real, rows_at_least
from camera_app.inference.runtime import Outputs, Tensor, TensorSpec
from camera_app.models import YoloxDecode
from camera_app.values import Size

FAMILY = "yolox"
Reals = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


class YoloxDecoder:
    """Decodes one network of this family.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(
        self, decode: YoloxDecode, size: Size, classes: int, outputs: Sequence[TensorSpec]
    ) -> None:
        self._max_iou = decode.nms_iou
        self._cells, self._strides = grid(size, decode.strides)
        count = len(self._cells)
        expect_count(outputs, FAMILY, ("boxes", "scores"))
        self._boxes = find_role(outputs, FAMILY, "boxes", (1, count, 4), decode.outputs)
        self._scores = find_role(outputs, FAMILY, "scores", (1, count, 1 + classes), decode.outputs)

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return what one run found, suppressed per class."""
        tensor = self._scores.of(outputs)
        rows, classes, scores = _candidates(tensor, min_score)
        if not len(rows):
            return Found.nothing()
        boxes = clipped(self._decoded(self._boxes.of(outputs), rows), bounds)
        keep = keep_best(boxes, scores, classes, max_iou=self._max_iou)
        return best_first(keep, boxes, scores, classes)

    def _decoded(self, tensor: Tensor, rows: Indexes) -> Reals:
        encoded = dequantise(tensor.values[0, rows], tensor)
        strides = self._strides[rows, None]
        centres = (encoded[:, :2] + self._cells[rows]) * strides
        return corners(centres, np.exp(encoded[:, 2:]) * strides)


def _candidates(tensor: Tensor, min_score: float) -> tuple[Indexes, Indexes, Reals]:
    """Return row, class and score of each cell whose best class reaches the score."""
    raw = tensor.values[0]
    # A product with a class score cannot exceed the objectness by more than the largest class
    # score, which quantisation may put slightly above one.
    bound = min_score / max(1.0, min(largest_real(tensor), 2.0))
    rows = rows_at_least(raw[:, 0], bound, tensor)
    classes = raw[rows, 1:].argmax(axis=1)
    objectness = dequantise(raw[rows, 0], tensor)
    scores = objectness * dequantise(raw[rows, 1 + classes], tensor)
    enough = np.flatnonzero(scores >= min_score)
    return rows[enough], classes[enough], np.minimum(scores[enough], 1.0)


def grid(size: Size, strides: Sequence[int]) -> tuple[Reals, Reals]:
    """Return column and row (n, 2) of every cell, and its stride in pixels (n,)."""
    cells, sides = [], []
    for stride in strides:
        rows, columns = np.mgrid[: size.height // stride, : size.width // stride]
        cells.append(np.column_stack((columns.ravel(), rows.ravel())))
        sides.append(np.full(rows.size, stride))
    return np.concatenate(cells).astype(np.float64), np.concatenate(sides).astype(np.float64)
