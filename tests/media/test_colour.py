"""Colours survive the way to blue, green and red, whatever the matrix and range."""

from __future__ import annotations

import numpy as np
import pytest

from camera_app.media import bgr, colour
from camera_app.values import ColourMatrix, Rgb, Yuv420

WEIGHTS = {ColourMatrix.BT601: (0.299, 0.114), ColourMatrix.BT709: (0.2126, 0.0722)}


def picture_of(
    rgb: tuple[int, int, int], matrix: ColourMatrix, is_full: bool, width: int, height: int
) -> Yuv420:
    """Make a flat picture by the definition of the standards, in floating point."""
    red_weight, blue_weight = WEIGHTS[matrix]
    red, green, blue = (part / 255 for part in rgb)
    luma = red_weight * red + (1 - red_weight - blue_weight) * green + blue_weight * blue
    u, v = (blue - luma) / (2 * (1 - blue_weight)), (red - luma) / (2 * (1 - red_weight))
    scale, floor, chroma = (255, 0, 255) if is_full else (219, 16, 224)
    shape = ((height + 1) // 2, (width + 1) // 2)
    return Yuv420(
        np.full((height, width), round(luma * scale + floor), np.uint8),
        np.full(shape, round(u * chroma + 128), np.uint8),
        np.full(shape, round(v * chroma + 128), np.uint8),
        matrix,
        is_full,
    )


@pytest.mark.parametrize("matrix", list(ColourMatrix))
@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("size", [(8, 6), (7, 5)])
@pytest.mark.parametrize("rgb", [(200, 40, 30), (20, 180, 60), (30, 60, 220), (128, 128, 128)])
def test_a_flat_colour_comes_back(
    rgb: tuple[int, int, int], size: tuple[int, int], is_full: bool, matrix: ColourMatrix
) -> None:
    picture = picture_of(rgb, matrix, is_full, *size)
    result = bgr(picture)
    assert result.shape == (size[1], size[0], 3)
    assert np.abs(result.astype(int) - np.array(rgb[::-1])).max() <= 3  # rounding of 8-bit YUV


def test_a_still_in_rgb_is_turned_round() -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(bgr(Rgb(pixels)), pixels[:, :, ::-1])


@pytest.mark.parametrize("height", [colour.BAND_ROWS - 1, 2 * colour.BAND_ROWS + 5])
def test_where_bands_of_a_picture_meet_cannot_be_seen(
    height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = np.random.default_rng(height)
    luma = numbers.integers(0, 256, (height, 40), np.uint8)
    u, v = numbers.integers(0, 256, (2, (height + 1) // 2, 20), np.uint8)
    picture = Yuv420(luma, u, v, ColourMatrix.BT709)
    in_bands = bgr(picture)
    monkeypatch.setattr(colour, "BAND_ROWS", height)
    assert np.array_equal(in_bands, bgr(picture))
