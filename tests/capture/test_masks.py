"""Guarantee 7 at its root: pixels under a privacy mask leave no reader."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.capture.masks import CHROMA_FLAT, LUMA_FLAT, MaskPainter, covered
from camera_app.values import Size, Yuv420

SIZE = Size(38, 26)
share = st.floats(0.0, 1.0, allow_nan=False)
polygons = st.lists(st.tuples(share, share), min_size=3, max_size=8)


def noise(size: Size, seed: int = 0) -> Yuv420:
    """Pixels none of which has the value that a mask paints."""
    random = np.random.default_rng(seed)
    half = ((size.height + 1) // 2, (size.width + 1) // 2)
    luma = random.integers(20, 120, (size.height, size.width), dtype=np.uint8)
    u, v = (random.integers(0, 120, half, dtype=np.uint8) for _ in "uv")
    return Yuv420(luma, u, v)


def inside(polygon: list[tuple[float, float]], x: float, y: float) -> bool:
    """Whether the polygon winds around a point: the textbook way, one point at a time."""
    winding = 0
    for (ax, ay), (bx, by) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        left_of_edge = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
        if ay <= y < by and left_of_edge > 0:
            winding += 1
        if by <= y < ay and left_of_edge < 0:
            winding -= 1
    return winding != 0


@settings(deadline=None, max_examples=150)
@given(polygons, st.lists(st.tuples(share, share), min_size=30, max_size=30))
def test_every_point_inside_a_polygon_lies_in_a_covered_pixel(
    polygon: list[tuple[float, float]], points: list[tuple[float, float]]
) -> None:
    cover = covered(polygon, SIZE)
    corners = [(x * SIZE.width, y * SIZE.height) for x, y in polygon]
    for share_x, share_y in points:
        x, y = share_x * SIZE.width, share_y * SIZE.height
        if inside(corners, x, y):
            assert cover[min(int(y), SIZE.height - 1), min(int(x), SIZE.width - 1)]


@settings(deadline=None, max_examples=100)
@given(polygons, st.lists(share, min_size=4, max_size=4))
def test_every_point_on_the_outline_lies_in_a_covered_pixel(
    polygon: list[tuple[float, float]], along: list[float]
) -> None:
    cover = covered(polygon, SIZE)
    corners = [(x * SIZE.width, y * SIZE.height) for x, y in polygon]
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        for part in (0.0, 1.0, *along):
            x, y = ax + part * (bx - ax), ay + part * (by - ay)
            # The sum may round a hair past the edge of the picture.
            assert cover[min(int(y), SIZE.height - 1), min(int(x), SIZE.width - 1)]


def test_a_mask_hides_little_more_than_it_should() -> None:
    cover = covered([(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)], Size(40, 40))
    rows, columns = np.nonzero(cover)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 30, 9, 30)


@settings(deadline=None, max_examples=50)
@given(polygons, st.sampled_from([Size(38, 26), Size(37, 25), Size(64, 64)]))
def test_under_a_mask_all_three_planes_are_flat(
    polygon: list[tuple[float, float]], size: Size
) -> None:
    picture = noise(size)
    painted = MaskPainter([polygon]).painted(picture)
    cover = covered(polygon, size)
    assert (painted.luma[cover] == LUMA_FLAT).all()
    assert (painted.luma[~cover] == picture.luma[~cover]).all()
    for y, x in np.argwhere(cover):
        assert painted.u[y // 2, x // 2] == CHROMA_FLAT
        assert painted.v[y // 2, x // 2] == CHROMA_FLAT


def test_a_mask_over_everything_leaves_nothing() -> None:
    whole = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]
    painted = MaskPainter([whole]).painted(noise(Size(31, 17)))
    assert {int(plane.min()) for plane in (painted.luma,)} == {LUMA_FLAT}
    assert painted.luma.max() == LUMA_FLAT
    assert {int(value) for plane in (painted.u, painted.v) for value in plane.ravel()} == {128}


def test_a_polygon_that_crosses_itself_covers_what_it_winds_around_twice() -> None:
    star = [(0.5, 0.0), (0.8, 1.0), (0.0, 0.4), (1.0, 0.4), (0.2, 1.0)]
    assert covered(star, Size(100, 100))[50, 50]


def test_the_given_picture_is_not_touched_because_the_decoder_still_needs_it() -> None:
    picture = noise(SIZE)
    before = picture.luma.copy()
    MaskPainter([[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]]).painted(picture)
    assert (picture.luma == before).all()


def test_a_change_of_size_moves_the_mask_with_it() -> None:
    painter = MaskPainter([[(0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)]])
    for size in (Size(40, 20), Size(80, 60), Size(40, 20)):
        luma = painter.painted(noise(size)).luma
        assert (luma[:, size.width // 2 :] == LUMA_FLAT).all()
        assert (luma[:, : size.width // 2 - 1] != LUMA_FLAT).all()


def test_without_masks_the_picture_itself_comes_back() -> None:
    picture = noise(SIZE)
    assert MaskPainter([]).painted(picture) is picture


@pytest.mark.parametrize("matters", ["matrix", "is_full_range"])
def test_what_the_colours_mean_stays(matters: str) -> None:
    picture = noise(SIZE)
    painted = MaskPainter([[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]]).painted(picture)
    assert getattr(painted, matters) == getattr(picture, matters)
