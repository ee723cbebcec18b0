from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.errors import ModelOutputError
from camera_app.inference.preprocess import (
    Feed,
    Preprocessor,
    Rectangle,
    feed_table,
    fitted,
    placement,
    similarity,
    warped,
)
from camera_app.inference.runtime import TensorSpec
from camera_app.models import Colour, Fit, InputGeometry
from camera_app.models.pack import Normalisation
from camera_app.values import ColourMatrix, Point, Region, Rgb, Size, Yuv420

UINT8 = TensorSpec("in", (1, 48, 64, 3), "uint8", 1 / 128, 128)
INT8 = TensorSpec("in", (1, 48, 64, 3), "int8", 1.0, -128)
FLOAT = TensorSpec("in", (1, 48, 64, 3), "float32")


def geometry(
    fit: Fit = Fit.STRETCH,
    colour: Colour = Colour.RGB,
    *,
    pad: int = 0,
    normalise: Normalisation | None = None,
) -> InputGeometry:
    return InputGeometry(width=64, height=48, fit=fit, colour=colour, pad=pad, normalise=normalise)


def smooth_rgb(width: int = 160, height: int = 120) -> Rgb:
    """Return a picture with colour everywhere and no sharp edge."""
    y, x = np.mgrid[:height, :width]
    red, green = x * 200 / width + 20, y * 200 / height + 20
    blue = 128 + 80 * np.sin(x / 30) * np.cos(y / 20)
    return Rgb(np.stack((red, green, blue), axis=2).astype(np.uint8))


def as_yuv(picture: Rgb, matrix: ColourMatrix, *, is_full_range: bool) -> Yuv420:
    """Turn a picture into planes by the ITU formulas, in floating point."""
    red_share, blue_share = (0.299, 0.114) if matrix is ColourMatrix.BT601 else (0.2126, 0.0722)
    red, green, blue = np.moveaxis(picture.pixels.astype(np.float64), 2, 0)
    luma = red_share * red + (1 - red_share - blue_share) * green + blue_share * blue
    u = (blue - luma) / (2 * (1 - blue_share))
    v = (red - luma) / (2 * (1 - red_share))
    if not is_full_range:
        luma, u, v = 16 + luma * 219 / 255, u * 224 / 255, v * 224 / 255
    half = (picture.size.width // 2, picture.size.height // 2)
    u, v = (cv2.resize(plane, half, interpolation=cv2.INTER_AREA) + 128 for plane in (u, v))
    planes = [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in (luma, u, v)]
    return Yuv420(*planes, matrix, is_full_range)


# --- where the picture lies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "part", "expected"),
    [
        (Fit.STRETCH, Rectangle(0, 0, 768, 432), Rectangle(0, 0, 320, 320)),
        (Fit.LETTERBOX_TOP_LEFT, Rectangle(0, 0, 768, 432), Rectangle(0, 0, 320, 180)),
        (Fit.LETTERBOX_TOP_LEFT, Rectangle(8, 8, 100, 400), Rectangle(0, 0, 80, 320)),
        (Fit.LETTERBOX_CENTRE, Rectangle(0, 0, 768, 432), Rectangle(0, 70, 320, 180)),
        (Fit.LETTERBOX_CENTRE, Rectangle(0, 0, 10000, 2), Rectangle(0, 159, 320, 1)),
    ],
)
def test_a_picture_is_fitted(fit: Fit, part: Rectangle, expected: Rectangle) -> None:
    assert fitted(fit, part, Size(320, 320)) == expected


sides = st.integers(2, 4000)


@given(
    st.sampled_from(list(Fit)),
    st.builds(Rectangle, st.integers(0, 500), st.integers(0, 500), sides, sides),
    st.builds(Size, st.integers(8, 640), st.integers(8, 640)),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_a_point_comes_back_to_where_it_was(
    fit: Fit, part: Rectangle, size: Size, x_share: float, y_share: float
) -> None:
    lies = fitted(fit, part, size)
    way = placement(part, lies)
    point = Point(part.x + x_share * part.width, part.y + y_share * part.height)
    there = way.to_input(point)
    assert lies.x - 1e-6 <= there.x <= lies.x + lies.width + 1e-6
    assert lies.y - 1e-6 <= there.y <= lies.y + lies.height + 1e-6
    back = way.points_to_frame(np.array([there.x, there.y]))
    np.testing.assert_allclose(back, (point.x, point.y), atol=1e-6)
    box = way.boxes_to_frame(np.array([[there.x, there.y, there.x, there.y]]))
    np.testing.assert_allclose(box, [[point.x, point.y, point.x, point.y]], atol=1e-6)


@given(st.sampled_from(list(Fit)), st.builds(Rectangle, st.just(0), st.just(0), sides, sides))
def test_a_letterbox_keeps_the_shape_within_a_pixel(fit: Fit, part: Rectangle) -> None:
    lies = fitted(fit, part, Size(320, 240))
    assert lies.x + lies.width <= 320
    assert lies.y + lies.height <= 240
    if fit is not Fit.STRETCH:
        scale = min(320 / part.width, 240 / part.height)
        assert abs(lies.width - part.width * scale) <= 1
        assert abs(lies.height - part.height * scale) <= 1


def test_a_bright_square_lies_where_the_placement_says() -> None:
    pixels = np.zeros((240, 320, 3), np.uint8)
    pixels[100:140, 200:260] = 255
    way = Preprocessor(geometry(Fit.LETTERBOX_CENTRE), UINT8)
    prepared = way.prepare(Rgb(pixels), Region(100, 60, 200, 100))
    bright = np.argwhere(prepared.tensor[0, :, :, 0] > 127)
    (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
    box = prepared.placement.boxes_to_frame(np.array([[left, top, right, bottom]], np.float64))
    np.testing.assert_allclose(box, [[200, 100, 260, 140]], atol=prepared.placement.x_step)


def test_what_a_letterbox_leaves_free_is_padded() -> None:
    way = Preprocessor(geometry(Fit.LETTERBOX_TOP_LEFT, pad=114), INT8)
    tensor = way.prepare(Rgb(np.full((64, 64, 3), 200, np.uint8))).tensor
    assert (tensor[0, :, :48] == 200 - 128).all()
    assert (tensor[0, :, 48:] == 114 - 128).all()


@pytest.mark.parametrize(
    "region", [Region(0, 0, 162, 100), Region(-2, 0, 10, 10), Region(0, 0, 0, 2)]
)
def test_a_region_that_leaves_the_picture_is_refused(region: Region) -> None:
    with pytest.raises(ValueError, match="no part of a picture of 160x120"):
        Preprocessor(geometry(), UINT8).prepare(smooth_rgb(), region)


# --- colour ------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", list(Colour))
@pytest.mark.parametrize("is_full_range", [False, True])
@pytest.mark.parametrize("region", [None, Region(20, 10, 96, 84)])
def test_planes_give_the_same_input_as_rgb(
    colour: Colour, is_full_range: bool, region: Region | None
) -> None:
    rgb = smooth_rgb()
    yuv = as_yuv(rgb, ColourMatrix.BT601, is_full_range=is_full_range)
    spec = TensorSpec("in", (1, 48, 64, colour.channels), "uint8")
    way = Preprocessor(geometry(Fit.LETTERBOX_TOP_LEFT, colour, pad=7), spec)
    from_rgb, from_yuv = way.prepare(rgb, region), way.prepare(yuv, region)
    difference = np.abs(from_rgb.tensor.astype(int) - from_yuv.tensor.astype(int))
    assert difference.max() <= 6
    assert difference.mean() <= 1.0
    assert from_rgb.placement == from_yuv.placement


@pytest.mark.parametrize("matrix", list(ColourMatrix))
@pytest.mark.parametrize("is_full_range", [False, True])
def test_pure_colours_survive_matrix_and_range(matrix: ColourMatrix, is_full_range: bool) -> None:
    for colour in ((200, 30, 40), (20, 190, 30), (30, 20, 220), (255, 255, 255), (0, 0, 0)):
        rgb = Rgb(np.full((32, 32, 3), colour, np.uint8))
        yuv = as_yuv(rgb, matrix, is_full_range=is_full_range)
        tensor = Preprocessor(geometry(), UINT8).prepare(yuv).tensor
        np.testing.assert_allclose(tensor[0, 24, 32], colour, atol=3)


def test_bgr_is_rgb_turned_round() -> None:
    for picture in (smooth_rgb(), as_yuv(smooth_rgb(), ColourMatrix.BT709, is_full_range=False)):
        rgb = Preprocessor(geometry(), UINT8).prepare(picture).tensor
        bgr = Preprocessor(geometry(colour=Colour.BGR), UINT8).prepare(picture).tensor
        np.testing.assert_array_equal(bgr, rgb[..., ::-1])
        assert (bgr != rgb).any()


def test_an_odd_picture_is_seen_whole() -> None:
    rgb = smooth_rgb(161, 121)
    luma = np.full((121, 161), 100, np.uint8)
    chroma = np.full((61, 81), 128, np.uint8)
    way = Preprocessor(geometry(), UINT8)
    assert way.prepare(Yuv420(luma, chroma, chroma)).placement == way.prepare(rgb).placement


def test_strided_planes_are_read_right() -> None:
    """A decoder's rows are longer than the picture is wide."""
    yuv = as_yuv(smooth_rgb(), ColourMatrix.BT601, is_full_range=False)

    def strided(plane: np.ndarray) -> np.ndarray:
        wide = np.full((plane.shape[0], plane.shape[1] + 32), 255, np.uint8)
        wide[:, : plane.shape[1]] = plane
        return wide[:, : plane.shape[1]]

    same = Yuv420(strided(yuv.luma), strided(yuv.u), strided(yuv.v))
    way = Preprocessor(geometry(), UINT8)
    np.testing.assert_array_equal(way.prepare(same).tensor, way.prepare(yuv).tensor)


def test_the_tensor_is_contiguous_and_leaves_the_picture_alone() -> None:
    """An input of the picture's own size must not be turned over in the picture itself."""
    rgb = smooth_rgb(64, 48)
    before = rgb.pixels.copy()
    tensor = Preprocessor(geometry(), INT8).prepare(rgb).tensor
    assert tensor.flags.c_contiguous
    np.testing.assert_array_equal(rgb.pixels, before)
    np.testing.assert_array_equal(tensor[0].astype(int) + 128, before)


def test_grey_planes_of_the_inputs_size_are_left_alone() -> None:
    luma = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64).astype(np.uint8)
    chroma = np.full((24, 32), 128, np.uint8)
    spec = TensorSpec("in", (1, 48, 64, 1), "int8", 1.0, 0)
    way = Preprocessor(geometry(colour=Colour.GREY), spec)
    tensor = way.prepare(Yuv420(luma.copy(), chroma, chroma, is_full_range=True)).tensor
    np.testing.assert_array_equal(tensor[0, :, :, 0].astype(int) + 128, luma)


# --- faces -------------------------------------------------------------------------------------


def test_a_similarity_is_found_again() -> None:
    source = np.array([[30.0, 40], [70, 42], [50, 60], [35, 80], [66, 81]])
    turn = np.array([[0.8, -0.3], [0.3, 0.8]])
    target = source @ turn.T + [5.0, -7.0]
    expected = np.column_stack((turn, [5.0, -7.0]))
    np.testing.assert_allclose(similarity(source, target), expected, atol=1e-6)


def test_one_misplaced_landmark_does_not_turn_the_face() -> None:
    source = np.array([[30.0, 40], [70, 42], [50, 60], [35, 80], [66, 81]])
    moved = source.copy()
    moved[2] += [25, -10]
    np.testing.assert_allclose(similarity(moved, source)[:, :2], np.eye(2), atol=0.02)


def test_points_in_one_place_are_no_face() -> None:
    with pytest.raises(ValueError, match="one place"):
        similarity(np.full((5, 2), 7.0), np.arange(10.0).reshape(5, 2))


@pytest.mark.parametrize("is_full_range", [False, True])
def test_a_face_is_cut_from_planes_as_from_rgb(is_full_range: bool) -> None:
    rgb = smooth_rgb()
    yuv = as_yuv(rgb, ColourMatrix.BT601, is_full_range=is_full_range)
    matrix = np.array([[0.6, 0.2, -24.0], [-0.2, 0.6, -20.0]])
    one, other = (warped(p, matrix, Size(32, 32), Colour.RGB).astype(int) for p in (rgb, yuv))
    assert np.abs(one - other).mean() <= 1.0
    assert np.abs(one - other).max() <= 6


# --- bytes to numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "normalise", "of_0", "of_200"),
    [
        (UINT8, None, 0, 200),
        (INT8, None, -128, 72),
        (FLOAT, Normalisation(mean=127.5, divisor=127.5), -1.0, 72.5 / 127.5),
        # 200 means (200 - 100) / 50 = 2.0; in steps of 0.5 from zero point 10 that is 14.
        (TensorSpec("in", (), "int8", 0.5, 10), Normalisation(mean=100, divisor=50), 6, 14),
        # 200 means 2000, more than a byte can hold.
        (TensorSpec("in", (), "uint8", 1.0, 0), Normalisation(mean=0, divisor=0.1), 0, 255),
    ],
)
def test_bytes_are_fed_as_the_pack_says(
    spec: TensorSpec, normalise: Normalisation | None, of_0: float, of_200: float
) -> None:
    table = feed_table(geometry(normalise=normalise), spec)
    fed = Feed(table).apply(np.array([[0, 200]], np.uint8))
    assert fed.dtype.name == spec.dtype
    np.testing.assert_allclose(fed, [[of_0, of_200]], rtol=1e-6)


@pytest.mark.parametrize(
    ("spec", "normalise"),
    [
        (FLOAT, None),
        (TensorSpec("in", (), "int32"), None),
        (TensorSpec("in", (), "uint8"), Normalisation(mean=1, divisor=1)),
    ],
)
def test_an_input_that_nobody_explains_is_refused(
    spec: TensorSpec, normalise: Normalisation | None
) -> None:
    with pytest.raises(ModelOutputError, match="input"):
        feed_table(geometry(normalise=normalise), spec)


def test_an_input_of_another_size_is_refused_with_both_shapes() -> None:
    spec = TensorSpec("image", (1, 32, 32, 3), "uint8")
    with pytest.raises(ModelOutputError, match=r"\[1, 48, 64, 3\], the file has image \[1, 32, 32"):
        Preprocessor(geometry(), spec)
