"""Privacy masks: what is under one is painted over before a picture leaves the reader's side.

A mask may hide a little too much, never too little: every pixel that its outline touches is
painted, and every chroma sample that belongs to such a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from camera_app.values import Pixels, Size, Yuv420

Polygon = Sequence[tuple[float, float]]
Cover = npt.NDArray[np.bool_]

LUMA_FLAT = 16
CHROMA_FLAT = 128


class MaskPainter:
    """Paints polygons over pictures of any size; each size is worked out once."""

    def __init__(self, polygons: Sequence[Polygon]) -> None:
        """Remember the polygons: corners as shares of width and height."""
        self._polygons = polygons
        self._size: Size | None = None
        self._luma_patch: _Patch | None = None
        self._chroma_patch: _Patch | None = None

    def painted(self, picture: Yuv420) -> Yuv420:
        """Return the picture with everything under a mask flat; the given one is not touched.

        Not touched, because a decoder may still build its next picture on it. Without masks the
        picture itself comes back.
        """
        if not self._polygons:
            return picture
        if picture.size != self._size:
            self._prepare(picture.size)
        if self._luma_patch is None or self._chroma_patch is None:
            return picture
        return replace(
            picture,
            luma=self._luma_patch.over(picture.luma, LUMA_FLAT),
            u=self._chroma_patch.over(picture.u, CHROMA_FLAT),
            v=self._chroma_patch.over(picture.v, CHROMA_FLAT),
        )

    def _prepare(self, size: Size) -> None:
        cover = np.zeros((size.height, size.width), np.bool_)
        for polygon in self._polygons:
            cover |= covered(polygon, size)
        self._size = size
        self._luma_patch = _Patch.around(cover)
        self._chroma_patch = _Patch.around(_halved(cover))


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """The part of a plane that has masked samples, and which those are."""

    rows: slice
    columns: slice
    cover: Cover

    @classmethod
    def around(cls, cover: Cover) -> _Patch | None:
        rows, columns = np.flatnonzero(cover.any(axis=1)), np.flatnonzero(cover.any(axis=0))
        if not len(rows):
            return None
        y, x = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        return cls(y, x, cover[y, x].copy())

    def over(self, plane: Pixels, value: int) -> Pixels:
        painted = plane.copy()
        np.copyto(painted[self.rows, self.columns], np.uint8(value), where=self.cover)
        return painted


def _halved(cover: Cover) -> Cover:
    """Return which chroma samples belong to at least one covered pixel."""
    height, width = cover.shape
    even = np.zeros((height + height % 2, width + width % 2), np.bool_)
    even[:height, :width] = cover
    return even[0::2, 0::2] | even[1::2, 0::2] | even[0::2, 1::2] | even[1::2, 1::2]


def covered(polygon: Polygon, size: Size) -> Cover:
    """Return which pixels a polygon touches, bool (height, width).

    A polygon that crosses itself covers whatever it winds around, the doubly enclosed part too.
    """
    corners = [(x * size.width, y * size.height) for x, y in polygon]
    # Both grids hold steps along a row; summing them up from the left gives the state of a pixel.
    winding = np.zeros((size.height, size.width + 1), np.int32)
    outline = np.zeros((size.height, size.width + 1), np.int32)
    for start, end in zip(corners, (*corners[1:], corners[0]), strict=True):
        _add_crossings(winding, start, end)
        _add_outline(outline, start, end)
    inside = np.cumsum(winding, axis=1)[:, :-1] != 0
    touched = np.cumsum(outline, axis=1)[:, :-1] > 0
    result: Cover = inside | touched
    return result


def _add_crossings(
    winding: npt.NDArray[np.int32], start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Add where an edge crosses the middle of each row, signed by its direction."""
    sign = 1 if end[1] > start[1] else -1
    (x0, y0), (x1, y1) = (start, end) if sign > 0 else (end, start)
    height, width = winding.shape[0], winding.shape[1] - 1
    rows = np.arange(max(0, math.ceil(y0 - 0.5)), min(height, math.ceil(y1 - 0.5)))
    if not len(rows):
        return
    crossings = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.intp)
    winding[rows, columns] += sign


def _add_outline(
    outline: npt.NDArray[np.int32], start: tuple[float, float], end: tuple[float, float]
) -> None:
    """Add the pixels of each row that an edge passes through or touches."""
    (x0, y0), (x1, y1) = sorted((start, end), key=lambda corner: corner[1])
    height, width = outline.shape[0], outline.shape[1] - 1
    # Pixel row r spans r to r + 1, its borders included: an edge on a border touches both rows.
    rows = np.arange(max(0, math.ceil(y0) - 1), min(height, math.floor(y1) + 1))
    if not len(rows):
        return
    if y1 > y0:
        tops = np.clip(rows, y0, y1)
        bottoms = np.clip(rows + 1, y0, y1)
        ends = np.stack(
            [x0 + (tops - y0) * (x1 - x0) / (y1 - y0), x0 + (bottoms - y0) * (x1 - x0) / (y1 - y0)]
        )
        left, right = ends.min(axis=0), ends.max(axis=0)
    else:
        left, right = np.full(len(rows), min(x0, x1)), np.full(len(rows), max(x0, x1))
    first = np.clip(np.ceil(left) - 1, 0, width - 1).astype(np.intp)
    last = np.clip(np.floor(right), 0, width - 1).astype(np.intp)
    outline[rows, first] += 1
    outline[rows, last + 1] -= 1
