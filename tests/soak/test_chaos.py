"""What goes wrong when."""

from __future__ import annotations

from collections import Counter

import pytest

from tools.soak.__main__ import wishes_for
from tools.soak.chaos import QUIET_FIRST_S, QUIET_LAST_S, What, Wishes, plan

FULL = wishes_for(20)


def test_the_same_seed_makes_the_same_run_and_another_another() -> None:
    assert plan(FULL, 1) == plan(FULL, 1)
    assert plan(FULL, 1) != plan(FULL, 2)


@pytest.mark.parametrize("seed", range(20))
def test_all_that_is_wanted_happens_in_its_time_and_is_well_at_the_end(seed: int) -> None:
    happenings = plan(FULL, seed)
    count = Counter(happening.what for happening in happenings)
    assert count[What.KILL_SOURCE] + count[What.KILL_STICK] == 50
    assert count[What.KILL_STICK] >= 10
    assert count[What.BROKER_AWAY] == count[What.BROKER_BACK] == FULL.outages
    assert count[What.UNPLUG] == count[What.PLUG] == FULL.flaps
    times = [happening.at_s for happening in happenings]
    assert times == sorted(times)
    assert times[0] >= QUIET_FIRST_S
    assert times[-1] <= FULL.seconds - QUIET_LAST_S


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(
    ("away", "back"), [(What.BROKER_AWAY, What.BROKER_BACK), (What.UNPLUG, What.PLUG)]
)
def test_what_went_away_is_back_before_it_goes_again(seed: int, away: What, back: What) -> None:
    order = [one.what for one in plan(FULL, seed) if one.what in (away, back)]
    assert order == [away, back] * (len(order) // 2)


def test_of_each_something_happens_in_a_short_run_too() -> None:
    kinds = {one.what for one in plan(wishes_for(0.5), 3)}
    assert kinds == set(What)


def test_nothing_wanted_is_nothing_done() -> None:
    assert plan(Wishes(60.0, kills=0, outages=0, flaps=0), 1) == []
