"""The demo judges itself by the truth, not by its own word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from camera_app.demo.film import Visit, mot_lines
from camera_app.demo.verdict import STANDARDS, BoxCount, ClassVerdict, FrameReport, Verdict, judge
from camera_app.values import (
    BestMoment,
    Box,
    Detection,
    Event,
    Observation,
    Size,
    Track,
    TrackState,
)

LEFT, RIGHT = Box(0, 0, 100, 100), Box(300, 0, 400, 100)
NOBODY = Box(500, 200, 600, 300)
SIZE = Size(768, 432)
WHOLE = Box(0, 0, 768, 432)


def visit(
    number: int, box: Box, frames: range, visibility: float = 1.0, label: str = "person"
) -> Visit:
    return Visit(
        number,
        label,
        f"somebody {number}",
        dict.fromkeys(frames, box),
        dict.fromkeys(frames, visibility),
    )


def event(at_frame: int, box: Box, label: str = "person") -> Event:
    at_ns = at_frame * 100_000_000
    best = BestMoment(at_ns, box, 0.9)
    return Event("id", "scene", label, at_ns, at_ns, box, 0.9, 0.9, best, SIZE)


def tracked(boxes: Mapping[int, Sequence[Box]], label: str = "person") -> dict[int, FrameReport]:
    """Return reports of frames in which nothing looked, with tracks of these boxes."""
    return {
        index: FrameReport(
            None,
            tuple(Track(1, label, box, 0.9, TrackState.CONFIRMED, 0, 0, 9) for box in shown),
        )
        for index, shown in boxes.items()
    }


def looked(*found: Detection, at: Box = WHOLE) -> FrameReport:
    return FrameReport(Observation(0, SIZE, (at,), found), ())


def verdict(
    visits: Sequence[Visit],
    reports: Mapping[int, FrameReport],
    events: Sequence[Event] = (),
    labels: Sequence[str] = ("person",),
) -> Verdict:
    return judge(visits, reports, events, labels=labels, min_score=0.4)


def of_persons(*words: object) -> ClassVerdict:
    [one] = verdict(*words).classes  # type: ignore[arg-type]
    return one


# -- tracked


def test_a_person_tracked_in_every_frame_is_a_recall_of_one() -> None:
    visits = [visit(1, LEFT, range(10, 20))]

    seen = verdict(visits, tracked({n: [LEFT] for n in range(10, 20)}), [event(15, LEFT)])

    assert seen.classes[0].recall == 1.0
    assert seen.classes[0].tracked == BoxCount(right=10, wrong=0)
    assert seen.is_right


def test_frames_without_a_track_on_the_person_are_missed_and_boxes_beside_are_wrong() -> None:
    visits = [visit(1, LEFT, range(4))]
    beside = Box(60, 0, 160, 100)  # IoU with the truth: 40 / 160

    seen = of_persons(visits, tracked({0: [LEFT], 1: [RIGHT], 2: [beside]}))

    assert (seen.visits[0].tracked, seen.visits[0].frames) == (1, 4)
    assert seen.recall == 0.25
    assert seen.tracked == BoxCount(right=1, wrong=2)
    assert seen.tracked.wrong_share == pytest.approx(2 / 3)


def test_a_frame_that_shows_less_than_half_of_the_person_does_not_count() -> None:
    hidden = visit(1, LEFT, range(5), visibility=0.4)
    shown = visit(2, RIGHT, range(5))

    seen = of_persons([hidden, shown], tracked({n: [RIGHT] for n in range(5)}))

    assert [v.frames for v in seen.visits] == [0, 5]
    assert seen.recall == 1.0


def test_a_box_on_somebody_who_is_hardly_seen_is_neither_right_nor_wrong() -> None:
    hidden = visit(1, LEFT, range(1), visibility=0.4)

    assert of_persons([hidden], tracked({0: [Box(20, 0, 60, 60)]})).tracked == BoxCount(0, 0)
    assert of_persons([hidden], tracked({0: [NOBODY]})).tracked == BoxCount(0, 1)


def test_one_track_does_not_count_for_two_people_nor_two_tracks_for_one() -> None:
    visits = [visit(1, LEFT, range(5)), visit(2, Box(10, 0, 110, 100), range(5))]

    seen = of_persons(visits, tracked({n: [LEFT] for n in range(5)}))

    assert [v.tracked for v in seen.visits] == [5, 0]
    twice = of_persons(visits[:1], tracked({0: [LEFT, LEFT]}))
    assert twice.tracked == BoxCount(right=1, wrong=1)


# -- found


def test_found_counts_only_where_a_network_looked_and_was_sure() -> None:
    visits = [visit(1, LEFT, range(5))]
    reports = {
        0: looked(Detection(LEFT, "person", 0.4)),
        1: looked(Detection(LEFT, "person", 0.39)),
        2: looked(at=RIGHT),  # nobody looked where the person is
        3: looked(Detection(LEFT, "face", 0.9), Detection(NOBODY, "person", 0.9)),
        4: FrameReport(None, ()),
    }

    seen = of_persons(visits, reports)

    assert (seen.visits[0].found, seen.visits[0].looks) == (1, 3)
    assert seen.found_recall == pytest.approx(1 / 3)
    assert seen.found == BoxCount(right=1, wrong=1)


def test_a_look_at_half_of_somebody_is_no_look_at_them() -> None:
    seen = of_persons([visit(1, LEFT, range(1))], {0: looked(at=Box(0, 0, 60, 432))})

    assert seen.visits[0].looks == 0
    assert seen.found_recall == 0.0


# -- reported


@pytest.mark.parametrize(
    ("events", "is_right"),
    [
        ([event(2, LEFT), event(2, RIGHT)], True),
        ([event(2, LEFT)], False),  # one visit made no event
        ([event(2, LEFT), event(3, LEFT), event(2, RIGHT)], False),  # one made two
        ([event(2, LEFT), event(2, RIGHT), event(2, NOBODY)], False),
        ([event(2, LEFT), event(9, RIGHT)], False),  # at a time when nobody was there
    ],
)
def test_each_visit_must_make_one_event_and_nothing_else_any(
    events: list[Event], is_right: bool
) -> None:
    visits = [visit(1, LEFT, range(5)), visit(2, RIGHT, range(5))]
    reports = tracked({n: [LEFT, RIGHT] for n in range(5)})

    assert verdict(visits, reports, events).is_right is is_right


def test_an_event_about_nobody_is_stray() -> None:
    stray = event(2, RIGHT)

    assert of_persons([visit(1, LEFT, range(5))], {}, [stray]).stray_events == (stray,)


# -- the standard


@pytest.mark.parametrize("label", STANDARDS)
def test_a_class_below_its_standard_is_wrong_whatever_was_reported(label: str) -> None:
    standard = STANDARDS[label]
    visits = [visit(1, LEFT, range(100), label=label)]
    enough = round(100 * standard.recall)
    few_wrong = int(enough * standard.wrong_share / (1 - standard.wrong_share))

    def is_right(tracked_frames: int, wrong: int) -> bool:
        shown = {n: [LEFT, *[NOBODY] * (n < wrong)] for n in range(tracked_frames)}
        return verdict(
            visits, tracked(shown, label), [event(5, LEFT, label)], labels=(label,)
        ).is_right

    assert is_right(enough, few_wrong)
    assert not is_right(enough - 1, 0)
    assert not is_right(enough, few_wrong + 1)


def test_a_face_is_no_person_and_each_class_is_judged_by_itself() -> None:
    visits = [visit(1, LEFT, range(5)), visit(1, RIGHT, range(5), label="face")]
    reports = tracked({n: [LEFT] for n in range(5)})

    seen = verdict(visits, reports, [event(2, LEFT)], ("person", "face"))

    assert [one.is_right for one in seen.classes] == [True, False]
    assert [one.recall for one in seen.classes] == [1.0, 0.0]
    assert not seen.is_right


def test_truth_is_written_with_frames_from_one() -> None:
    text = mot_lines((visit(7, LEFT, range(2, 4)),))

    assert text.startswith("3,7,0,0,100,100,")
