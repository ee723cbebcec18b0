"""The backdrop of the demo scene: a brick wall, and a hedge in front of it.

Drawn here, its grain from the textures in scikit-image; nothing in it looks like a person.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.demo.portraits import needs_package
from camera_app.values import Pixels, Size

_BRICK_RGB = (176.0, 138.0, 116.0)
_MORTAR_RGB = (198.0, 186.0, 170.0)
_BRICK_WIDE, _BRICK_HIGH, _MORTAR = 54, 20, 2
_LEAF_RGB = (72.0, 100.0, 54.0)
_EDGE_PX = 7.0  # how far leaves stand out of the hedge's upper edge


def brick_wall(size: Size) -> npt.NDArray[np.float32]:
    """Return a wall in evening light, (height, width, 3), red first, 0.0 to 255.0."""
    rows, columns = np.mgrid[0 : size.height, 0 : size.width]
    course = rows // _BRICK_HIGH
    along = columns + (course % 2) * (_BRICK_WIDE // 2)
    is_mortar = (rows % _BRICK_HIGH < _MORTAR) | (along % _BRICK_WIDE < _MORTAR)
    shades = np.random.default_rng(3).normal(1.0, 0.07, (size.height, size.width))
    shade = np.where(is_mortar, 1.0, shades[course, along // _BRICK_WIDE])
    grain = _tiled(_texture("gravel"), size, 0.5)
    down = np.linspace(1.1, 0.8, size.height)[:, None]
    across = np.linspace(1.08, 0.9, size.width)[None, :]
    relief = 0.85 + 0.15 * grain / grain.mean()
    colours = np.where(is_mortar[..., None], _MORTAR_RGB, _BRICK_RGB)
    lit = cv2.GaussianBlur(colours * (shade * relief * down * across)[..., None], (0, 0), 0.7)
    return np.asarray(np.clip(lit, 0, 255), dtype=np.float32)


def hedge_row(size: Size, top: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return a hedge along the lower edge, and how much of each pixel it covers (0.0 to 1.0)."""
    texture = _tiled(_texture("grass"), size, 0.5)
    rows = np.arange(size.height, dtype=np.float32)[:, None]
    shade = np.clip(1.15 - 0.5 * (rows - top) / (size.height - top), 0.4, 1.15)
    brightness = (0.25 + 0.75 * texture / texture.mean()) * shade
    leaves = np.clip(brightness[..., None] * np.array(_LEAF_RGB, np.float32), 0, 255)
    outline = top + _EDGE_PX * _waves(size.width)
    return leaves.astype(np.float32), np.clip(rows - outline[None, :] + 0.5, 0.0, 1.0).astype(
        np.float32
    )


def _waves(width: int) -> npt.NDArray[np.float32]:
    """Return an uneven line between about -1 and 1."""
    rough = np.random.default_rng(1).normal(0.0, 1.0, (1, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(rough, (0, 0), 4.0)[0]
    return np.asarray(smooth / np.abs(smooth).max(), dtype=np.float32)


def _texture(name: str) -> Pixels:
    try:
        from skimage import data
    except ImportError as error:
        raise needs_package("scikit-image") from error
    texture: Pixels = getattr(data, name)()
    return texture


def _tiled(texture: Pixels, size: Size, share: float) -> npt.NDArray[np.float32]:
    """Repeat a texture, scaled, over a frame; every second copy mirrored, so no seam shows."""
    small = cv2.resize(texture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    pair = np.hstack([small, small[:, ::-1]])
    block = np.vstack([pair, pair[::-1]])
    copies = -(-size.height // block.shape[0]), -(-size.width // block.shape[1])
    return np.tile(block, copies)[: size.height, : size.width].astype(np.float32)
