"""BlazeFace: anchors that are only places, boxes and landmarks in input pixels.

Outputs: regressors (1, n, 4 + 2k) as offset of the centre x, y, then width, height, then k
points x, y relative to the anchor; classificators (1, n, 1), logits.

Source: the decoding of MediaPipe's face detection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_app.inference.decoders.nms import keep_best
from camera_app.inference.decoders.tensors import Found, clipped, corners, expect_count, find_role
from camera_app.inference.quantization import dequantise, rows_at_least
from camera_app.inference.runtime import Outputs, TensorSpec
from camera_app.models import BlazefaceDecode
from camera_app.values import Size

FAMILY = "blazeface"
Reals = npt.NDArray[np.float64]
# Beyond it the sigmoid is 0 or 1 in every floating-point type, and exp would overflow.
LARGEST_LOGIT = 80.0


class BlazefaceDecoder:
    """Decodes one network of this family.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(self, decode: BlazefaceDecode, size: Size, outputs: Sequence[TensorSpec]) -> None:
        self._decode = decode
        self._anchors = anchors(decode) * [size.width, size.height]
        count = len(self._anchors)
        width = 4 + 2 * decode.points
        expect_count(outputs, FAMILY, ("regressors", "classificators"))
        self._regressors = find_role(
            outputs, FAMILY, "regressors", (1, count, width), decode.outputs
        )
        self._logits = find_role(outputs, FAMILY, "classificators", (1, count, 1), decode.outputs)

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return the faces of one run."""
        logits = self._logits.of(outputs)
        rows = rows_at_least(logits.values[0, :, 0], logit(min_score), logits)
        if not len(rows):
            return Found.nothing(self._decode.points)
        scores = _sigmoid(dequantise(logits.values[0, rows, 0], logits))
        tensor = self._regressors.of(outputs)
        encoded = dequantise(tensor.values[0, rows], tensor)
        boxes = clipped(corners(encoded[:, :2] + self._anchors[rows], encoded[:, 2:4]), bounds)
        faces = np.zeros(len(rows), np.intp)
        keep = keep_best(boxes, scores, faces, max_iou=self._decode.nms_iou)
        points = encoded[keep, 4:].reshape(len(keep), -1, 2) + self._anchors[rows[keep], None]
        return Found(boxes[keep], scores[keep], faces[keep], points)


def anchors(decode: BlazefaceDecode) -> Reals:
    """Return the anchors (n, 2) as x, y in shares of the input."""
    return np.array(
        [
            [(column + 0.5) / layer.cells, (row + 0.5) / layer.cells]
            for layer in decode.layers
            for row in range(layer.cells)
            for column in range(layer.cells)
            for _ in range(layer.anchors)
        ]
    )


def logit(share: float) -> float:
    """Return the logit of a share; beyond the largest, the largest."""
    if share <= 0.0:
        return -math.inf
    return math.log(share / (1.0 - share)) if share < 1.0 else LARGEST_LOGIT


def _sigmoid(logits: Reals) -> Reals:
    clipped = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    return np.asarray(1.0 / (1.0 + np.exp(-clipped)))
