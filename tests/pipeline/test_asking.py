"""Each model is asked for each region, and the answers find back to their region."""

from __future__ import annotations

import numpy as np
import pytest

from camera_app.pipeline import Asking, LookPlan, ModelChoice, ShedReason
from camera_app.scheduling import ANSWER_WITHIN_S, Worth
from camera_app.values import Box, Detection, Frame, Region, Yuv420

LUMA = np.zeros((480, 640), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
LEFT, RIGHT = Region(0, 0, 320, 480), Region(320, 0, 320, 480)
BOX = Box(10, 10, 50, 90)
FRAME = Frame("front", 7, 1_000, PICTURE)
BOTH = LookPlan((LEFT, RIGHT), worths=(Worth.MOTION, Worth.RULE))


def found(label: str, score: float) -> Detection:
    return Detection(BOX, label, score)


def test_every_model_is_wanted_for_every_region() -> None:
    demands = Asking(("person", "face"), 0.1).demands(FRAME, BOTH)

    assert [(demand.region, demand.model) for demand in demands] == [
        (LEFT, "person"),
        (LEFT, "face"),
        (RIGHT, "person"),
        (RIGHT, "face"),
    ]
    assert {demand.min_score for demand in demands} == {0.1}
    assert all(demand.picture is PICTURE for demand in demands)


def test_a_demand_says_whose_it_is_what_it_is_worth_and_until_when() -> None:
    demands = Asking(("person", "face"), 0.1).demands(FRAME, BOTH)

    assert [(demand.place, demand.worth) for demand in demands] == [
        (0, Worth.MOTION),
        (0, Worth.MOTION),
        (1, Worth.RULE),
        (1, Worth.RULE),
    ]
    assert {(demand.camera, demand.captured_ns) for demand in demands} == {("front", 1_000)}
    assert {demand.deadline_ns for demand in demands} == {1_000 + int(ANSWER_WITHIN_S * 1e9)}


def test_a_region_without_all_its_answers_is_left_out_whole() -> None:
    """What the other model finds would be taken for gone."""
    asking = Asking(("person", "face"), 0.1)

    looks = asking.looks(BOTH, [[found("person", 0.9)], None, [found("person", 0.8)], []])
    assert looks == [(RIGHT, [found("person", 0.8)])]
    assert asking.looks(BOTH, [None, [], [], None]) == []


def test_the_answers_of_all_models_are_those_of_the_region_best_first() -> None:
    asking, plan = Asking(("person", "face"), 0.1), LookPlan((LEFT, RIGHT))
    far, face, near = found("person", 0.3), found("face", 0.6), found("person", 0.9)
    other = found("face", 0.7)

    looks = asking.looks(plan, [[near, far], [face], [], [other]])

    assert looks == [(LEFT, [near, face, far]), (RIGHT, [other])]


def test_a_frame_that_is_not_looked_at_asks_nothing() -> None:
    asking, plan = Asking(("person",), 0.1), LookPlan((), ShedReason.STILL)

    assert asking.demands(FRAME, plan) == []
    assert asking.looks(plan, []) == []


CHOICES = (
    ModelChoice("person_large", ("person",), ("person_medium", "person_small")),
    ModelChoice("face", ("face",)),
)


@pytest.mark.parametrize(
    ("variant", "muted", "asked"),
    [
        ("", frozenset(), ("person_large", "face")),
        ("person_small", frozenset(), ("person_small", "face")),
        ("person_large", frozenset(), ("person_large", "face")),
        ("unheard_of", frozenset(), ("person_large", "face")),
        ("", frozenset({"face"}), ("person_large",)),
        ("person_medium", frozenset({"face", "cat"}), ("person_medium",)),
        ("", frozenset({"face", "person"}), ()),
    ],
)
def test_what_is_asked_follows_the_owner(
    variant: str, muted: frozenset[str], asked: tuple[str, ...]
) -> None:
    before = Asking(("person_small",), 0.1)
    assert before.of(CHOICES, variant, muted) == Asking(asked, 0.1)


def test_a_model_that_finds_more_than_what_is_muted_is_asked() -> None:
    both = ModelChoice("all", ("person", "face"))
    assert Asking((), 0.1).of((both,), "", frozenset({"face"})).models == ("all",)
