"""Pictures as blue, green and red, for people: drawing and JPEG."""

from __future__ import annotations

import cv2
import numpy as np

from camera_app.values import ColourMatrix, Picture, Pixels, Rgb, Yuv420

# Luma weights of red and blue in each matrix; ITU-R BT.601 and BT.709.
_WEIGHTS = {ColourMatrix.BT601: (0.299, 0.114), ColourMatrix.BT709: (0.2126, 0.0722)}

# So many rows at a time: reckoned as a whole, one of 1080 rows would take 100 MB for a moment.
BAND_ROWS = 32


def bgr(picture: Picture) -> Pixels:
    """Return a picture as uint8 (height, width, 3), blue first, contiguous."""
    if isinstance(picture, Rgb):
        return np.ascontiguousarray(picture.pixels[:, :, ::-1])
    if picture.matrix is ColourMatrix.BT601 and not picture.is_full_range:
        return _common_bgr(picture)
    return _any_bgr(picture)


def _common_bgr(picture: Yuv420) -> Pixels:
    """Convert limited-range BT.601 with an even size by one library call."""
    height, width = picture.luma.shape
    if (height | width) & 1:
        return _any_bgr(picture)
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = picture.luma
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    chroma[0], chroma[1] = picture.u, picture.v
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _any_bgr(picture: Yuv420) -> Pixels:
    height, width = picture.luma.shape
    doubled = (picture.u.shape[1] * 2, picture.u.shape[0] * 2)
    u, v = (
        cv2.resize(plane, doubled, interpolation=cv2.INTER_LINEAR)[:height, :width]
        for plane in (picture.u, picture.v)
    )
    matrix, result = _matrix(picture), np.empty((height, width, 3), np.uint8)
    for top in range(0, height, BAND_ROWS):
        rows = slice(top, top + BAND_ROWS)
        yuv = np.dstack([picture.luma[rows], u[rows], v[rows]]).astype(np.float32)
        coloured = np.asarray(cv2.transform(yuv, matrix), np.float32)
        coloured += np.float32(0.5)
        result[rows] = np.clip(coloured, 0, 255, out=coloured)
    return result


def _matrix(picture: Yuv420) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Return the 3x4 matrix from (y, u, v) bytes to (blue, green, red)."""
    red, blue = _WEIGHTS[picture.matrix]
    green = 1.0 - red - blue
    luma_gain, luma_floor, chroma_gain = 1.0, 0.0, 1.0
    if not picture.is_full_range:
        luma_gain, luma_floor, chroma_gain = 255 / 219, 16.0, 255 / 224
    u, v = 2 * (1 - blue) * chroma_gain, 2 * (1 - red) * chroma_gain
    rows = [
        (luma_gain, u, 0.0),
        (luma_gain, -u * blue / green, -v * red / green),
        (luma_gain, 0.0, v),
    ]
    offsets = [-(a * luma_floor + (b + c) * 128) for a, b, c in rows]
    return np.array([(*row, offset) for row, offset in zip(rows, offsets, strict=True)], np.float32)
