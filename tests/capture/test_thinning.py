from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.capture.thinning import EARLY_NS, Thinner
from camera_app.clock import NS_PER_S


def taken(fps: float, stamps_ns: list[int]) -> list[int]:
    thinner = Thinner(fps)
    return [at_ns for at_ns in stamps_ns if thinner.takes(at_ns)]


@pytest.mark.parametrize(("source_fps", "asked"), [(25, 10), (30, 10), (30, 7), (60, 1), (15, 10)])
def test_a_faster_source_is_thinned_to_the_rate_and_evenly(source_fps: int, asked: int) -> None:
    stamps = [index * NS_PER_S // source_fps for index in range(source_fps * 20)]
    kept = taken(asked, stamps)
    assert len(kept) == pytest.approx(asked * 20, abs=1)
    gaps = [after - before for before, after in itertools.pairwise(kept)]
    # No gap differs from the wanted one by more than a frame of the source and what is early.
    allowed_ns = NS_PER_S / source_fps + EARLY_NS + 1
    assert max(abs(gap - NS_PER_S / asked) for gap in gaps) <= allowed_ns


@pytest.mark.parametrize("source_fps", [1, 5, 10])
def test_a_source_that_is_no_faster_passes_whole(source_fps: int) -> None:
    stamps = [index * NS_PER_S // source_fps for index in range(50)]
    assert taken(10, stamps) == stamps


@given(st.lists(st.integers(-20_000_000, 20_000_000), min_size=20, max_size=60))
def test_jitter_costs_no_frame_of_a_source_at_the_asked_rate(jitter_ns: list[int]) -> None:
    stamps = [index * 100_000_000 + jitter for index, jitter in enumerate(jitter_ns)]
    # The first stamp is the anchor; its own jitter adds to that of each other frame.
    stamps[0] = 0
    assert taken(10, stamps) == stamps


def test_after_a_gap_there_is_no_rush_to_catch_up() -> None:
    before = [index * 40_000_000 for index in range(25)]
    after = [10 * NS_PER_S + index * 40_000_000 for index in range(25)]
    kept = taken(10, before + after)
    assert len([at_ns for at_ns in kept if at_ns >= 10 * NS_PER_S]) == 10
