"""What is left out last: what a rule waits for, then what is followed, then what moves."""

from __future__ import annotations

import pytest

from camera_app.config import CameraSettings, EventSettings, LineSettings, ZoneSettings
from camera_app.pipeline.worth import Followed, rules_of, worth_of
from camera_app.scheduling.load import Worth
from camera_app.values import Box

REGION = Box(0, 0, 100, 100)
INSIDE, OUTSIDE = Box(10, 10, 50, 50), Box(200, 200, 250, 250)
WHOLE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))


@pytest.mark.parametrize(
    ("moving", "followed", "worth"),
    [
        ([], [], Worth.MOTION),  # nobody knows what is there
        ([INSIDE], [], Worth.MOTION),
        ([], [(INSIDE, "car", False)], Worth.STANDING),
        ([OUTSIDE], [(INSIDE, "car", False), (OUTSIDE, "cat", True)], Worth.STANDING),
        ([INSIDE], [(INSIDE, "car", False)], Worth.MOTION),
        ([], [(INSIDE, "car", True)], Worth.TRACK),
        ([], [(INSIDE, "person", False)], Worth.STANDING),
        ([], [(INSIDE, "car", True), (INSIDE, "person", True)], Worth.RULE),
    ],
)
def test_a_region_is_worth_what_is_in_it(
    moving: list[Box], followed: list[Followed], worth: Worth
) -> None:
    assert worth_of(REGION, moving, followed, {"person"}.__contains__) is worth


def test_a_zone_is_a_rule_for_the_classes_that_it_counts() -> None:
    def rules(*zones: ZoneSettings, labels: tuple[str, ...] = ("person", "cat")) -> list[bool]:
        events = EventSettings(labels=labels)
        has_rule = rules_of(CameraSettings(source="x", zones=zones, events=events))
        return [has_rule(label) for label in ("person", "cat", "car")]

    mat = ZoneSettings(name="mat", polygon=WHOLE)
    bed = ZoneSettings(name="bed", polygon=WHOLE, labels=("cat",))
    assert rules() == [False, False, False]
    assert rules(bed) == [False, True, False]
    assert rules(mat, bed) == [True, True, False]
    assert rules(mat, labels=()) == [True, True, True]


def test_a_line_is_a_rule_as_a_zone_is() -> None:
    sill = LineSettings(name="sill", points=((0.0, 0.5), (1.0, 0.5)), labels=("cat",))
    has_rule = rules_of(CameraSettings(source="x", lines=(sill,)))
    assert [has_rule(label) for label in ("person", "cat")] == [False, True]
