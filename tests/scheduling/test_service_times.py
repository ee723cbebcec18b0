"""Means follow steps at once, and pass over what happens once."""

from __future__ import annotations

import pytest

from camera_app.scheduling.load import DeviceKind
from camera_app.scheduling.service_times import FIRST_GUESS_NS, FIRST_GUESS_SWITCH_NS, ServiceTimes

MS = 1_000_000
STICK = DeviceKind.EDGETPU


def learned(*took_ms: float) -> ServiceTimes:
    times = ServiceTimes()
    for ms in took_ms:
        times.learn("stick", "pack", ms * MS, is_switch=False)
    return times


def mean_ms(times: ServiceTimes) -> float:
    return times.mean_ns("stick", STICK, "pack") / MS


def test_before_the_first_answer_there_is_a_guess_by_kind() -> None:
    expected = ServiceTimes().expect("stick", STICK, "pack")
    assert not expected.is_known
    assert expected.mean_ns == FIRST_GUESS_NS[STICK]


def test_the_first_answer_replaces_the_guess() -> None:
    expected = learned(7).expect("stick", STICK, "pack")
    assert (expected.mean_ns, expected.is_known) == (7 * MS, True)


def test_the_mean_drifts_with_what_is_taken() -> None:
    assert mean_ms(learned(*[7.0] * 10, *[9.0] * 60)) == pytest.approx(9.0, abs=0.05)


def test_one_odd_answer_changes_nothing() -> None:
    assert mean_ms(learned(*[7.0] * 10, 500.0, *[7.0] * 3)) == pytest.approx(7.0)


def test_two_odd_answers_alike_are_a_step() -> None:
    assert mean_ms(learned(*[7.0] * 10, 70.0, 72.0)) == pytest.approx(72.0)
    assert mean_ms(learned(*[70.0] * 10, 7.0, 7.5)) == pytest.approx(7.5)


def test_an_odd_one_up_and_one_down_are_no_step() -> None:
    assert mean_ms(learned(*[20.0] * 10, 70.0, 5.0, 70.0, 5.0)) == pytest.approx(20.0)


def test_the_spread_is_that_of_the_answers() -> None:
    expected = learned(*[9.0, 11.0] * 60).expect("stick", STICK, "pack")
    assert expected.sigma_ns / MS == pytest.approx(1.0, abs=0.2)


def test_bringing_other_weights_is_learned_apart() -> None:
    times = learned(*[7.0] * 5)
    assert times.switch_ns("stick") == FIRST_GUESS_SWITCH_NS
    times.learn("stick", "pack", 32 * MS, is_switch=True)
    assert times.switch_ns("stick") == pytest.approx(25 * MS)
    assert mean_ms(times) == pytest.approx(7.0)


def test_devices_and_packs_are_told_apart() -> None:
    times = learned(7.0)
    times.learn("stick", "other", 3 * MS, is_switch=False)
    times.learn("cpu", "pack", 40 * MS, is_switch=False)
    assert times.known() == {
        ("stick", "pack"): 7 * MS,
        ("stick", "other"): 3 * MS,
        ("cpu", "pack"): 40 * MS,
    }
