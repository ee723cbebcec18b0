"""SSD heads without the post-processing operator.

Outputs: encodings (1, n, 4) as y, x, height, width relative to anchors; scores (1, n, classes),
through the sigmoid already, column 0 background where the pack says so.

Source: the box coder of TensorFlow's object detection interface.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_app.errors import ModelOutputError
from camera_app.inference.decoders.nms import keep_best
from camera_app.inference.decoders.tensors import (
    Found,
    best_first,
    clipped,
    corners,
    expect_count,
    find_role,
)
from camera_app.inference.quantization import dequantise, rows_at_least
from camera_app.inference.runtime import Outputs, Tensor, TensorSpec
from camera_app.models import SsdAnchorsDecode
from camera_app.values import Size

FAMILY = "ssd_anchors"
Reals = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]
# Every cell scores every class a little: with a threshold near zero there are tens of thousands,
# of which none but the best can be among the few that are kept.
MOST_CANDIDATES = 4000


class SsdAnchorsDecoder:
    """Decodes one network of this family.

    Args:
        decode: From the pack.
        anchors: (n, 4) as centre y, centre x, height, width in shares of the input.
        size: Of the input.
        classes: Number of labels, background not counted.
        outputs: Of the file.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(
        self,
        decode: SsdAnchorsDecode,
        anchors: npt.NDArray[np.float32] | None,
        size: Size,
        classes: int,
        outputs: Sequence[TensorSpec],
    ) -> None:
        if anchors is None:
            raise ModelOutputError(f"family {FAMILY} needs anchors, the pack has none")
        self._decode = decode
        self._size = np.array([size.width, size.height], np.float64)
        self._centres = anchors[:, 1::-1].astype(np.float64)
        self._sides = anchors[:, :1:-1].astype(np.float64)
        self._first_column = 1 if decode.has_background else 0
        expect_count(outputs, FAMILY, ("boxes", "scores"))
        columns = classes + self._first_column
        self._boxes = find_role(outputs, FAMILY, "boxes", (1, len(anchors), 4), decode.outputs)
        self._scores = find_role(
            outputs, FAMILY, "scores", (1, len(anchors), columns), decode.outputs
        )

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return what one run found, suppressed per class."""
        tensor = self._scores.of(outputs)
        rows, classes, scores = self._candidates(tensor, min_score)
        if not len(rows):
            return Found.nothing()
        boxes = clipped(self._decoded(self._boxes.of(outputs), rows), bounds)
        keep = keep_best(
            boxes,
            scores,
            classes,
            max_iou=self._decode.nms_iou,
            limit=self._decode.max_detections,
        )
        return best_first(keep, boxes, scores, classes)

    def _candidates(self, tensor: Tensor, min_score: float) -> tuple[Indexes, Indexes, Reals]:
        """Return row, class and score of every class score that reaches the minimum."""
        columns = tensor.values[0, :, self._first_column :]
        flat = columns.reshape(-1)
        places = rows_at_least(flat, min_score, tensor)
        if len(places) > MOST_CANDIDATES:
            order = np.argsort(-flat[places].astype(np.float64), kind="stable")
            places = np.sort(places[order[:MOST_CANDIDATES]])
        rows, classes = np.divmod(places, columns.shape[1])
        return rows, classes, np.clip(dequantise(flat[places], tensor), 0.0, 1.0)

    def _decoded(self, tensor: Tensor, rows: Indexes) -> Reals:
        encoded = dequantise(tensor.values[0, rows], tensor)
        sides = self._sides[rows]
        centres = encoded[:, 1::-1] / self._decode.centre_scale * sides + self._centres[rows]
        sizes = np.exp(encoded[:, :1:-1] / self._decode.size_scale) * sides
        return corners(centres * self._size, sizes * self._size)
