"""The geometry of the values; everything else about them is their fields."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.values import Box, Point, Region, Rgb, Size, Yuv420

pixels = st.integers(-500, 500)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    left, top = draw(pixels), draw(pixels)
    return Box(left, top, left + draw(st.integers(1, 400)), top + draw(st.integers(1, 400)))


def test_a_box_knows_its_measures() -> None:
    box = Box(10, 20, 40, 80)

    assert (box.width, box.height, box.area) == (30, 60, 1800)
    assert box.centre == Point(25, 50)
    assert box.foot == Point(25, 80)


def test_a_box_turned_inside_out_has_no_area() -> None:
    assert Box(10, 0, 5, 8).area == 0.0


@pytest.mark.parametrize(
    ("other", "both", "share"),
    [
        (Box(0, 0, 10, 10), 100.0, 1.0),
        (Box(5, 0, 15, 10), 50.0, 50 / 150),
        (Box(2, 2, 4, 4), 4.0, 4 / 100),
        (Box(10, 0, 20, 10), 0.0, 0.0),  # right is exclusive: they only touch
        (Box(30, 30, 40, 40), 0.0, 0.0),
    ],
)
def test_overlap_of_two_boxes(other: Box, both: float, share: float) -> None:
    box = Box(0, 0, 10, 10)

    assert box.intersection(other) == both
    assert box.iou(other) == pytest.approx(share)


@given(boxes(), boxes())
def test_overlap_does_not_depend_on_the_order(one: Box, other: Box) -> None:
    assert one.iou(other) == other.iou(one)
    assert 0.0 <= one.iou(other) <= 1.0
    assert one.iou(one) == 1.0


@given(boxes(), boxes())
def test_a_union_holds_both_and_nothing_smaller_does(one: Box, other: Box) -> None:
    union = one.union(other)

    assert union.intersection(one) == one.area
    assert union.intersection(other) == other.area
    assert {union.left, union.top, union.right, union.bottom} <= {
        *dataclasses.astuple(one),
        *dataclasses.astuple(other),
    }


@given(boxes(), st.integers(1, 300), st.integers(1, 300))
def test_a_clipped_box_is_what_lies_inside_the_frame(box: Box, width: int, height: int) -> None:
    clipped = box.clipped(Size(width, height))

    assert 0 <= clipped.left <= clipped.right <= width
    assert 0 <= clipped.top <= clipped.bottom <= height
    assert clipped.area == box.intersection(Box(0, 0, width, height))


def test_a_box_holds_its_left_upper_edge_and_not_its_right_lower_one() -> None:
    box = Box(0, 0, 10, 10)

    assert box.contains(Point(0, 0))
    assert not box.contains(Point(10, 5))
    assert not box.contains(Point(5, 10))


@pytest.mark.parametrize("numbers", [(1, 0, 2, 2), (0, 1, 2, 2), (0, 0, 3, 2), (0, 0, 2, 3)])
def test_a_region_is_even_in_all_four_numbers(numbers: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="even"):
        Region(*numbers)


def test_the_region_of_an_odd_frame_leaves_out_the_last_row_and_column() -> None:
    assert Region.whole(Size(641, 361)) == Region(0, 0, 640, 360)
    assert Region(2, 4, 6, 8).box == Box(2, 4, 8, 12)


def test_a_size_is_written_as_width_by_height() -> None:
    assert str(Size(768, 432)) == "768x432"


def test_pictures_know_their_size() -> None:
    luma = np.zeros((4, 6), np.uint8)
    chroma = np.zeros((2, 3), np.uint8)

    assert Yuv420(luma, chroma, chroma).size == Size(6, 4)
    assert Rgb(np.zeros((4, 6, 3), np.uint8)).size == Size(6, 4)


def test_a_value_cannot_be_changed_or_given_a_misspelt_field() -> None:
    box = Box(0, 0, 1, 1)

    with pytest.raises(dataclasses.FrozenInstanceError):
        box.left = 5  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        box.lefft = 5  # type: ignore[attr-defined]
