"""Events are dated back along a chain of weak sights, and along nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from camera_app.clock import nanoseconds
from camera_app.events.precursors import Precursors
from camera_app.values import Box, Detection, Track, TrackState

BOX = Box(100, 100, 200, 300)
ELSEWHERE = Box(400, 100, 500, 300)
SHIFTED = Box(130, 100, 230, 300)  # overlaps BOX by 0.54


def sight(box: Box = BOX, score: float = 0.3, label: str = "person") -> Detection:
    return Detection(box, label, score)


def track(first_s: float, box: Box = BOX) -> Track:
    at_ns = nanoseconds(first_s)
    return Track(1, "person", box, 0.8, TrackState.TENTATIVE, at_ns, at_ns, 1)


@pytest.mark.parametrize(
    ("frames", "expected_s"),
    [
        ([(0.7, sight()), (0.8, sight()), (0.9, sight())], 0.7),
        ([(0.5, sight(SHIFTED)), (0.9, sight())], 0.5),  # the chain may move, and have a hole
        ([(0.3, sight()), (0.95, sight())], 0.95),  # but not one of over 0.6 s
        ([(0.9, sight(ELSEWHERE))], 1.0),
        ([(0.9, sight(label="dog"))], 1.0),
        ([(0.9, sight(score=0.19))], 1.0),
        ([], 1.0),
    ],
)
def test_a_chain_of_weak_sights_leads_up_to_the_track(
    frames: Sequence[tuple[float, Detection]], expected_s: float
) -> None:
    precursors = Precursors()
    for time_s, detection in frames:
        precursors.note(nanoseconds(time_s), [detection])
    precursors.note(nanoseconds(1.0), [sight(score=0.8)])
    assert precursors.first_sight_ns(track(1.0)) == nanoseconds(expected_s)


def test_a_chain_ends_after_two_seconds() -> None:
    precursors = Precursors()
    for tenth in range(100):
        precursors.note(nanoseconds(tenth / 10), [sight()])
    assert precursors.first_sight_ns(track(9.9)) == nanoseconds(7.9)
