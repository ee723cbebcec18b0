"""Time: where it comes from and how it is written."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import (
    ManualClock,
    SystemClock,
    iso_utc,
    nanoseconds,
    seconds,
    wall_ns_of,
)


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(now_ns=5)

    assert (clock.monotonic_ns(), clock.monotonic_ns()) == (5, 5)
    clock.advance(1.5)
    assert clock.monotonic_ns() == 1_500_000_005


def test_wall_time_of_a_manual_clock_is_its_own_plus_an_offset() -> None:
    clock = ManualClock(now_ns=10, wall_offset_ns=1_000)
    clock.move_to(30)

    assert clock.wall_ns() == 1_030


def test_correcting_wall_time_leaves_monotonic_time_alone() -> None:
    clock = ManualClock(now_ns=10)
    clock.wall_offset_ns = -4

    assert (clock.monotonic_ns(), clock.wall_ns()) == (10, 6)


def test_a_manual_clock_refuses_to_go_back() -> None:
    clock = ManualClock(now_ns=10)

    with pytest.raises(ValueError, match="cannot go back by 0.5 s"):
        clock.advance(-0.5)
    with pytest.raises(ValueError, match="cannot go back to 9 from 10"):
        clock.move_to(9)
    assert clock.monotonic_ns() == 10


def test_the_clock_of_the_machine_goes_forward_and_knows_the_century() -> None:
    clock = SystemClock()
    earlier = clock.monotonic_ns()

    assert clock.monotonic_ns() >= earlier
    assert iso_utc(clock.wall_ns()) > "2024"


@pytest.mark.parametrize(
    ("wall_ns", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_500_000, "1970-01-01T00:00:00.001Z"),  # cut, not rounded: no stamp lies in the future
        (999_999_999, "1970-01-01T00:00:00.999Z"),
        (1_769_843_100_250_000_000, "2026-01-31T07:05:00.250Z"),
    ],
)
def test_a_stamp_is_written_in_utc_with_milliseconds(wall_ns: int, text: str) -> None:
    assert iso_utc(wall_ns) == text
    assert wall_ns_of(datetime.fromisoformat(text)) == wall_ns // 1_000_000 * 1_000_000


@given(st.integers(0, 4_000_000_000_000), st.integers(0, 4_000_000_000_000))
def test_stamps_sort_as_their_moments_do(one_ms: int, other_ms: int) -> None:
    stamps = iso_utc(one_ms * 1_000_000), iso_utc(other_ms * 1_000_000)

    assert (stamps[0] < stamps[1]) == (one_ms < other_ms)


@given(st.integers(0, 10**15))
def test_seconds_and_back_loses_no_microsecond(span_us: int) -> None:
    assert abs(nanoseconds(seconds(span_us * 1_000)) - span_us * 1_000) < 1_000
