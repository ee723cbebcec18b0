"""Light face detectors with SSD priors, with and without landmarks.

Outputs: boxes (1, n, 4) as centre x, y and logarithm of width, height relative to priors; scores
(1, n, 2), column 1 face; with landmarks points (1, n, 2k) relative to priors. The centre of a
cell lies in its middle; dividing by the number of cells instead, as can be seen elsewhere, moves
faces in the coarse layers, whose cells do not divide the input evenly.

Source: the priors of the Ultra-Light-Fast-Generic face detectors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_app.inference.decoders.nms import keep_best
from camera_app.inference.decoders.tensors import Found, clipped, corners, expect_count, find_role
from camera_app.inference.quantization import dequantise, rows_at_least, softmax
from camera_app.inference.runtime import Outputs, Tensor, TensorSpec
from camera_app.models import UlfgDecode
from camera_app.values import Size

FAMILY = "ulfg"
Reals = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


class UlfgDecoder:
    """Decodes one network of this family.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(self, decode: UlfgDecode, size: Size, outputs: Sequence[TensorSpec]) -> None:
        self._decode = decode
        self._size = np.array([size.width, size.height], np.float64)
        self._priors = priors(decode, size)
        count = len(self._priors)
        roles = ("boxes", "scores", "points") if decode.points else ("boxes", "scores")
        expect_count(outputs, FAMILY, roles)
        self._boxes = find_role(outputs, FAMILY, "boxes", (1, count, 4), decode.outputs)
        self._scores = find_role(outputs, FAMILY, "scores", (1, count, 2), decode.outputs)
        self._points = (
            find_role(outputs, FAMILY, "points", (1, count, 2 * decode.points), decode.outputs)
            if decode.points
            else None
        )

    def decode(self, outputs: Outputs, bounds: Reals, *, min_score: float) -> Found:
        """Return the faces of one run."""
        rows, scores = self._candidates(self._scores.of(outputs), min_score)
        if not len(rows):
            return Found.nothing(self._decode.points)
        boxes = clipped(self._decoded(self._boxes.of(outputs), rows), bounds)
        faces = np.zeros(len(rows), np.intp)
        keep = keep_best(boxes, scores, faces, max_iou=self._decode.nms_iou)
        points = self._decoded_points(outputs, rows[keep])
        return Found(boxes[keep], scores[keep], faces[keep], points)

    def _candidates(self, tensor: Tensor, min_score: float) -> tuple[Indexes, Reals]:
        raw = tensor.values[0]
        if self._decode.scores == "probabilities":
            rows = rows_at_least(raw[:, 1], min_score, tensor)
            return rows, np.clip(dequantise(raw[rows, 1], tensor), 0.0, 1.0)
        shares = softmax(dequantise(raw, tensor))[:, 1]
        rows = np.flatnonzero(shares >= min_score)
        return rows, shares[rows]

    def _decoded(self, tensor: Tensor, rows: Indexes) -> Reals:
        encoded = dequantise(tensor.values[0, rows], tensor)
        centres, sides = self._priors[rows, :2], self._priors[rows, 2:]
        centres = centres + encoded[:, :2] * self._decode.centre_variance * sides
        sizes = sides * np.exp(encoded[:, 2:] * self._decode.size_variance)
        return corners(centres * self._size, sizes * self._size)

    def _decoded_points(self, outputs: Outputs, rows: Indexes) -> Reals:
        if self._points is None:
            return np.empty((len(rows), 0, 2))
        tensor = self._points.of(outputs)
        encoded = dequantise(tensor.values[0, rows], tensor).reshape(len(rows), -1, 2)
        centres, sides = self._priors[rows, None, :2], self._priors[rows, None, 2:]
        points = centres + encoded * self._decode.centre_variance * sides
        return np.asarray(points * self._size)


def priors(decode: UlfgDecode, size: Size) -> Reals:
    """Return the priors (n, 4) as centre x, y, width, height in shares of the input."""
    layers = [_layer(layer.stride, layer.sides, size) for layer in decode.layers]
    table = np.concatenate(layers)
    return np.clip(table, 0.0, 1.0) if decode.clip else table


def _layer(stride: int, sides: Sequence[tuple[float, float]], size: Size) -> Reals:
    columns, rows = math.ceil(size.width / stride), math.ceil(size.height / stride)
    return np.array(
        [
            [
                (column + 0.5) * stride / size.width,
                (row + 0.5) * stride / size.height,
                width / size.width,
                height / size.height,
            ]
            for row in range(rows)
            for column in range(columns)
            for width, height in sides
        ]
    )
