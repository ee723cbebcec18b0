"""Detections of overlapping regions become one frame's."""

from __future__ import annotations

from camera_app.pipeline.merging import is_cut, merge_regions, without_cut
from camera_app.values import Box, Detection, Region, Size

SIZE = Size(640, 480)
LEFT, RIGHT = Region(0, 0, 320, 480), Region(240, 0, 400, 480)


def person(box: Box, score: float) -> Detection:
    return Detection(box, "person", score)


def test_a_piece_that_a_crop_has_cut_off_is_left_out() -> None:
    whole, piece = person(Box(20, 100, 100, 400), 0.6), person(Box(250, 100, 320, 400), 0.9)
    assert without_cut(SIZE, (LEFT, [piece, whole])) == [whole]


def test_what_two_crops_show_is_one_object() -> None:
    one, same = person(Box(250, 100, 310, 300), 0.6), person(Box(252, 100, 312, 302), 0.9)
    assert merge_regions([[one], [same]]) == (same,)


def test_two_classes_in_one_place_are_two_objects() -> None:
    box = Box(250, 100, 300, 200)
    bag = Detection(box, "backpack", 0.5)
    assert merge_regions([[person(box, 0.9)], [bag]]) == (person(box, 0.9), bag)


def test_the_edge_of_the_frame_cuts_nobody() -> None:
    assert not is_cut(Box(0, 100, 50, 480), LEFT, SIZE)
    assert is_cut(Box(250, 100, 319, 400), LEFT, SIZE)
    assert is_cut(Box(241, 100, 300, 400), RIGHT, SIZE)
    assert not is_cut(Box(300, 100, 640, 400), RIGHT, SIZE)
