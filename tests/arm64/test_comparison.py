"""When two processors saw the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from camera_app.values import Box
from tools.arm64.comparison import Seen, agreement_of, seen_of

BOX = Box(100.0, 100.0, 200.0, 300.0)
STORY = (("started", "person"), ("ended", "person"))
SEEN = Seen(STORY, {(frame, 1): (BOX, 0.8) for frame in range(40)})


def moved(frames: int, box: Box = BOX, score: float = 0.8) -> Seen:
    return replace(SEEN, boxes={**SEEN.boxes, **{(n, 1): (box, score) for n in range(frames)}})


def test_files_of_a_replay_become_what_it_saw() -> None:
    log = "".join(json.dumps({"type": kind, "label": label}) + "\n" for kind, label in STORY)
    seen = seen_of(log, "4,1,100.00,100.00,100.00,200.00,0.8000,-1,-1,-1\n")

    assert seen == Seen(STORY, {(4, 1): (BOX, 0.8)})


def test_the_same_agrees_wholly() -> None:
    agreement = agreement_of(SEEN, SEEN)

    assert (agreement.boxes, agreement.shared, agreement.least_overlap) == (40, 40, 1.0)
    assert agreement.holds


@pytest.mark.parametrize(
    ("other", "holds"),
    [
        (moved(1, Box(101.0, 100.0, 201.0, 302.0)), True),  # overlap 0.97
        (moved(1, Box(110.0, 100.0, 210.0, 300.0)), False),  # 0.82
        (moved(1, score=0.84), True),
        (moved(1, score=0.86), False),
        (replace(SEEN, boxes=dict(list(SEEN.boxes.items())[2:])), True),  # 38 of 40
        (replace(SEEN, boxes=dict(list(SEEN.boxes.items())[3:])), False),
        (replace(SEEN, story=(("started", "cat"), ("ended", "cat"))), False),
        (replace(SEEN, story=STORY[:1]), False),
    ],
)
def test_a_little_apart_is_the_same_and_more_is_not(other: Seen, holds: bool) -> None:
    assert agreement_of(SEEN, other).holds is holds
    assert agreement_of(other, SEEN).holds is holds


def test_two_that_saw_nothing_prove_nothing() -> None:
    assert not agreement_of(Seen((), {}), Seen((), {})).holds
