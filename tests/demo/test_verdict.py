"""The demo judges itself by the truth, not by its own word."""

from __future__ import annotations

import pytest

from camera_app.demo.film import Visit, mot_lines
from camera_app.demo.verdict import judge, read_tracks
from camera_app.values import BestMoment, Box, Event, Size

LEFT, RIGHT = Box(0, 0, 100, 100), Box(300, 0, 400, 100)


def visit(number: int, box: Box, frames: range, visibility: float = 1.0) -> Visit:
    return Visit(
        number, f"person {number}", dict.fromkeys(frames, box), dict.fromkeys(frames, visibility)
    )


def event(at_frame: int, box: Box) -> Event:
    at_ns = at_frame * 100_000_000
    best = BestMoment(at_ns, box, 0.9)
    return Event("id", "scene", "person", at_ns, at_ns, box, 0.9, 0.9, best, Size(768, 432))


def test_a_person_found_in_every_frame_is_a_recall_of_one() -> None:
    visits = [visit(1, LEFT, range(10, 20))]

    verdict = judge(visits, {n: [LEFT] for n in range(10, 20)}, [event(15, LEFT)])

    assert verdict.recall == 1.0
    assert verdict.is_right


def test_frames_without_a_track_on_the_person_are_missed() -> None:
    visits = [visit(1, LEFT, range(4))]
    tracks = {0: [LEFT], 1: [RIGHT], 2: [Box(60, 0, 160, 100)]}  # IoU of the last: 40 / 160

    verdict = judge(visits, tracks, [])

    assert (verdict.visits[0].found, verdict.visits[0].frames) == (1, 4)
    assert verdict.recall == 0.25


def test_a_frame_that_shows_less_than_half_of_the_person_does_not_count() -> None:
    hidden = visit(1, LEFT, range(5), visibility=0.4)
    shown = visit(2, RIGHT, range(5))

    verdict = judge([hidden, shown], {n: [RIGHT] for n in range(5)}, [])

    assert [v.frames for v in verdict.visits] == [0, 5]
    assert verdict.recall == 1.0


def test_one_track_does_not_count_for_two_people() -> None:
    visits = [visit(1, LEFT, range(5)), visit(2, Box(10, 0, 110, 100), range(5))]

    verdict = judge(visits, {n: [LEFT] for n in range(5)}, [])

    assert [v.found for v in verdict.visits] == [5, 0]


@pytest.mark.parametrize(
    ("events", "is_right"),
    [
        ([event(2, LEFT), event(2, RIGHT)], True),
        ([event(2, LEFT)], False),  # one visit made no event
        ([event(2, LEFT), event(3, LEFT), event(2, RIGHT)], False),  # one made two
        ([event(2, LEFT), event(2, RIGHT), event(2, Box(500, 200, 600, 300))], False),  # nobody
        ([event(2, LEFT), event(9, RIGHT)], False),  # at a time when nobody was there
    ],
)
def test_each_visit_must_make_one_event_and_nothing_else_any(
    events: list[Event], is_right: bool
) -> None:
    visits = [visit(1, LEFT, range(5)), visit(2, RIGHT, range(5))]

    assert judge(visits, {}, events).is_right is is_right


def test_an_event_about_nobody_is_stray() -> None:
    stray = event(2, RIGHT)

    assert judge([visit(1, LEFT, range(5))], {}, [stray]).stray_events == (stray,)


def test_tracks_are_read_from_frame_one_as_index_zero() -> None:
    text = mot_lines((visit(7, LEFT, range(2, 4)),))

    assert text.startswith("3,7,0,0,100,100,")
    assert read_tracks(text) == {2: [LEFT], 3: [LEFT]}
