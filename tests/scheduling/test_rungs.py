"""Down quickly, up slowly, and never to and fro."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.scheduling.load import Pressure, Reason, Request, Worth
from camera_app.scheduling.rungs import (
    DOWN_AFTER_S,
    UP_AFTER_S,
    RequestRates,
    Rungs,
)

HOUR_S = 3600
MOST_CHANGES_AN_HOUR = 24  # the docs say so
NONE = Pressure()


def at(seconds: float) -> int:
    return nanoseconds(1000 + seconds)


def loads(*by_rung: float) -> Callable[[int], float]:
    return lambda rung: by_rung[rung]


def play(rungs: Rungs, begin_s: float, end_s: float, load: Callable[[int], float]) -> int:
    for tenth in range(int(10 * begin_s), int(10 * end_s) + 1):
        rungs.update(at(tenth / 10), load, NONE)
    return rungs.rung


def test_a_load_that_can_be_answered_changes_nothing() -> None:
    assert play(Rungs(2), 0, 60, loads(0.85, 0.4, 0.2)) == 0


def test_a_short_burst_changes_nothing() -> None:
    rungs = Rungs(2)
    assert play(rungs, 0, DOWN_AFTER_S - 0.2, loads(3, 2, 1)) == 0
    assert play(rungs, DOWN_AFTER_S, 60, loads(0.8, 0.4, 0.2)) == 0


def test_overload_that_lasts_goes_down_a_rung_and_says_why() -> None:
    rungs = Rungs(2)
    assert play(rungs, 0, DOWN_AFTER_S, loads(1.0, 0.5, 0.2)) == 1
    assert rungs.reasons == (Reason.OVERLOAD,)


def test_it_goes_no_farther_down_than_the_ladders_reach() -> None:
    assert play(Rungs(1), 0, 60, loads(9, 8)) == 1
    assert play(Rungs(0), 0, 60, loads(9)) == 0


def test_it_goes_up_when_the_rung_above_would_be_light_for_a_while() -> None:
    rungs = Rungs(1)
    play(rungs, 0, 5, loads(1.5, 0.5))
    assert play(rungs, 5, 5 + UP_AFTER_S - 0.3, loads(0.6, 0.2)) == 1
    assert play(rungs, 5 + UP_AFTER_S, 5 + UP_AFTER_S + 1, loads(0.6, 0.2)) == 0
    assert rungs.reasons == ()


def test_it_stays_down_while_the_rung_above_would_be_heavy() -> None:
    """Below LOAD_DOWN, and yet not up: the space between the two keeps a steady load in place."""
    rungs = Rungs(1)
    play(rungs, 0, 5, loads(1.5, 0.5))
    assert play(rungs, 5, 3600, loads(0.8, 0.3)) == 1


@pytest.mark.parametrize(
    ("pressure", "rung", "reasons"),
    [
        (Pressure(temperature_c=79.9), 0, ()),
        (Pressure(temperature_c=80.0), 1, (Reason.HEAT,)),
        (Pressure(throttled=True), 1, (Reason.HEAT,)),
        (Pressure(temperature_c=85.0), 2, (Reason.HEAT,)),
        (Pressure(under_voltage=True), 1, (Reason.UNDER_VOLTAGE,)),
        (
            Pressure(temperature_c=90.0, under_voltage=True),
            2,
            (Reason.HEAT, Reason.UNDER_VOLTAGE),
        ),
    ],
)
def test_heat_and_a_weak_supply_have_rungs_at_once(
    pressure: Pressure, rung: int, reasons: tuple[Reason, ...]
) -> None:
    rungs = Rungs(2)
    assert rungs.update(at(0), loads(0.1, 0.1, 0.1), pressure) == rung
    assert rungs.reasons == reasons
    assert rungs.is_pressed == bool(reasons)


def test_heat_is_over_only_well_below_where_it_began() -> None:
    rungs = Rungs(1)
    light = loads(0.1, 0.1)
    rungs.update(at(0), light, Pressure(temperature_c=81))
    for second in range(1, 100):
        assert rungs.update(at(second), light, Pressure(temperature_c=73)) == 1
    for second in range(100, 112):
        rungs.update(at(second), light, Pressure(temperature_c=71))
    assert rungs.rung == 0


def changes(moments_loads: list[tuple[float, float, float]]) -> list[float]:
    """Play (seconds, load, temperature) after each other; return when the rung changed."""
    rungs, now_s, changed = Rungs(1), 0.0, []
    for lasts_s, load, celsius in moments_loads:
        for step in range(int(lasts_s)):
            before = rungs.rung
            rungs.update(at(now_s + step), loads(load, load / 3), Pressure(temperature_c=celsius))
            if rungs.rung != before:
                changed.append(now_s + step)
        now_s += int(lasts_s)
    return changed


def most_in_an_hour(moments: list[float]) -> int:
    return max((sum(one <= x < one + HOUR_S for x in moments) for one in moments), default=0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(1, 60), st.floats(0, 4), st.floats(60, 90)), min_size=1, max_size=150
    )
)
def test_no_load_and_no_weather_makes_the_rung_flap(
    moments_loads: list[tuple[float, float, float]],
) -> None:
    assert most_in_an_hour(changes(moments_loads)) <= MOST_CHANGES_AN_HOUR


def test_not_even_a_load_that_comes_back_whenever_it_was_let_up() -> None:
    """The worst there is: heavy as soon as the rung is up, light as soon as it is down."""
    rungs, changed, before = Rungs(1), [], 0
    for tenth in range(5 * HOUR_S * 10):
        load = loads(2.0, 0.5) if rungs.rung == 0 else loads(0.3, 0.1)
        rungs.update(at(tenth / 10), load, NONE)
        if rungs.rung != before:
            before = rungs.rung
            changed.append(tenth / 10)
    assert 10 <= most_in_an_hour(changed) <= MOST_CHANGES_AN_HOUR


def request(number: int, model: str = "m") -> Request:
    return Request(number, "a", 0, model, Worth.MOTION, 0, 10**12)


def test_rates_count_each_request_once_however_long_it_waits() -> None:
    rates = RequestRates()
    waiting: list[Request] = []
    for step in range(2000):  # 20 s, 50 a second, the last 10 of them wait
        if step % 2:
            waiting = [*waiting[-9:], request(step)]
        rates.note(at(step / 100), waiting)
    assert rates.per_s()["m"] == pytest.approx(50, rel=0.1)


def test_rates_fade_when_nothing_comes() -> None:
    rates = RequestRates()
    rates.note(at(0), [request(number) for number in range(100)])
    rates.note(at(20), [])
    assert rates.per_s()["m"] < 0.01
