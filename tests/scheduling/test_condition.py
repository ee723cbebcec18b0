"""A device is trusted again bit by bit, and the more slowly the more often it relapses."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.scheduling.condition import (
    FIRST_QUIET_S,
    FIRST_TRY_S,
    LAST_TRY_S,
    PROBATION_ANSWERS,
    DeviceCondition,
)
from camera_app.scheduling.load import Condition

HOUR_NS = nanoseconds(3600)
MOST_RECOVERIES_AN_HOUR = 14  # the docs say so: nine waits that double, then six an hour


def at(seconds: float) -> int:
    return nanoseconds(1000 + seconds)


def opened() -> DeviceCondition:
    condition = DeviceCondition(at(0))
    condition.opened(at(0))
    return condition


def healthy() -> DeviceCondition:
    condition = opened()
    for _ in range(PROBATION_ANSWERS):
        condition.answered(at(0))
    condition.answered(at(FIRST_QUIET_S))
    assert condition.condition is Condition.HEALTHY
    return condition


def test_a_new_device_is_to_be_opened_at_once() -> None:
    condition = DeviceCondition(at(0))
    assert condition.condition is Condition.BROKEN
    assert condition.next_try_ns == at(0)


def test_an_opened_device_is_on_probation_until_it_has_answered_a_few_times() -> None:
    condition = opened()
    assert condition.next_try_ns is None
    for _ in range(PROBATION_ANSWERS - 1):
        condition.answered(at(0))
    assert condition.condition is Condition.PROBATION
    condition.answered(at(0))
    assert condition.condition is Condition.SUSPECT


def test_a_late_answer_on_probation_begins_it_anew() -> None:
    condition = opened()
    for _ in range(PROBATION_ANSWERS - 1):
        condition.answered(at(0))
    condition.late(at(0))
    for _ in range(PROBATION_ANSWERS - 1):
        condition.answered(at(0))
    assert condition.condition is Condition.PROBATION


def test_a_suspect_is_healthy_after_a_quiet_time() -> None:
    condition = healthy()
    condition.late(at(10))
    assert condition.condition is Condition.SUSPECT
    condition.answered(at(10 + FIRST_QUIET_S - 0.1))
    assert condition.condition is Condition.SUSPECT
    condition.answered(at(10 + FIRST_QUIET_S))
    assert condition.condition is Condition.HEALTHY


def test_a_failed_device_is_tried_again_after_waits_that_double_to_four_seconds() -> None:
    condition = healthy()
    condition.failed(at(10))
    waits = []
    now_s = 10.0
    for _ in range(8):
        assert condition.next_try_ns is not None
        waits.append((condition.next_try_ns - at(now_s)) / 1e9)
        now_s += waits[-1]
        condition.open_failed(at(now_s))
    assert waits == [FIRST_TRY_S, 0.5, 1.0, 2.0, LAST_TRY_S, LAST_TRY_S, LAST_TRY_S, LAST_TRY_S]


def test_a_stick_that_was_plugged_in_is_tried_at_once() -> None:
    condition = healthy()
    condition.failed(at(10))
    for _ in range(6):
        condition.open_failed(at(20))
    condition.returned(at(21))
    assert condition.next_try_ns == at(21)


def test_a_relapse_lengthens_the_quiet_time() -> None:
    condition = healthy()
    for second, quiet_s in ((10, FIRST_QUIET_S), (20, 2 * FIRST_QUIET_S), (40, 4 * FIRST_QUIET_S)):
        condition.late(at(second))
        condition.answered(at(second + quiet_s - 0.1))
        assert condition.condition is Condition.SUSPECT
        condition.answered(at(second + quiet_s))
        assert condition.condition is Condition.HEALTHY


def test_relapses_are_forgiven_after_a_long_calm() -> None:
    condition = healthy()
    condition.late(at(10))
    condition.answered(at(20))
    condition.late(at(5000))
    condition.answered(at(5000 + FIRST_QUIET_S))
    assert condition.condition is Condition.HEALTHY


def recoveries_ns(steps: Sequence[tuple[str, float]]) -> list[int]:
    """Play what happened after so many seconds each; return when it was called healthy."""
    condition, now_s, moments = DeviceCondition(at(0)), 0.0, []
    for what, after_s in steps:
        now_s += after_s
        before = condition.condition
        if before is Condition.BROKEN:
            condition.opened(at(now_s))
        elif what == "answered":
            for _ in range(PROBATION_ANSWERS):
                condition.answered(at(now_s))
        elif what == "late":
            condition.late(at(now_s))
        else:
            condition.failed(at(now_s))
        if condition.condition is Condition.HEALTHY and before is not Condition.HEALTHY:
            moments.append(at(now_s))
    return moments


def most_in_an_hour(moments: Sequence[int]) -> int:
    return max(
        (sum(first <= one < first + HOUR_NS for one in moments) for first in moments), default=0
    )


steps = st.lists(
    st.tuples(st.sampled_from(["answered", "late", "failed"]), st.floats(0.1, 400.0)),
    max_size=300,
)


@settings(max_examples=40, deadline=None)
@given(steps)
def test_a_device_that_comes_and_goes_is_called_healthy_a_few_times_an_hour(
    steps: list[tuple[str, float]],
) -> None:
    assert most_in_an_hour(recoveries_ns(steps)) <= MOST_RECOVERIES_AN_HOUR


def test_not_even_one_that_relapses_whenever_it_is_trusted() -> None:
    """The worst there is: it answers every half second, and fails as soon as it is healthy."""
    condition, moments = DeviceCondition(at(0)), []
    for half_second in range(2 * 3600 * 5):
        now_ns = at(half_second / 2)
        if condition.condition is Condition.BROKEN:
            condition.opened(now_ns)
        elif condition.condition is Condition.HEALTHY:
            moments.append(now_ns)
            condition.failed(now_ns)
        else:
            for _ in range(PROBATION_ANSWERS):
                condition.answered(now_ns)
    assert 8 <= most_in_an_hour(moments) <= MOST_RECOVERIES_AN_HOUR
