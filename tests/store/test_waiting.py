from __future__ import annotations

import threading
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from camera_app.store.commit import Commit
from camera_app.store.waiting import (
    ChangeWorth,
    WaitingChange,
    WaitingChanges,
    to_shed,
    worth_of,
)
from camera_app.values import ChangeType, Crossing, Direction, Loitering
from tests.store.conftest import make_change

STARTED, UPDATED, ENDED = ChangeType.STARTED, ChangeType.UPDATED, ChangeType.ENDED
PROGRESS, FINDING, TURN = ChangeWorth.PROGRESS, ChangeWorth.FINDING, ChangeWorth.TURN


def waiting(number: int, kind: ChangeType = STARTED) -> WaitingChange:
    change = make_change(number, change=kind)
    return WaitingChange(change, "{}", Commit(1, threading.Lock()))


def test_what_matters_least_is_shed_first_and_of_that_the_oldest() -> None:
    worths = [TURN, PROGRESS, FINDING, PROGRESS, TURN, PROGRESS]

    assert to_shed(worths, 2) == {1, 3}
    assert to_shed(worths, 3) == {1, 3, 5}
    assert to_shed(worths, 4) == {1, 2, 3, 5}
    assert to_shed(worths, 5) == {0, 1, 2, 3, 5}


def test_a_line_crossed_is_worth_more_than_that_somebody_is_still_there() -> None:
    still_there = make_change(1, change=UPDATED)
    crossed = replace(still_there, crossing=Crossing("door", Direction.IN, 0))
    loitering = replace(still_there, loitering=Loitering("mat", 0))
    worths = [worth_of(one) for one in (still_there, crossed, loitering)]

    assert worths == [PROGRESS, FINDING, FINDING]
    assert {worth_of(make_change(1, change=kind)) for kind in (STARTED, ENDED)} == {TURN}


@given(st.lists(st.sampled_from(ChangeWorth)), st.integers(0, 30))
def test_shedding_takes_exactly_so_many_and_none_while_a_lesser_one_stays(
    worths: list[ChangeWorth], count: int
) -> None:
    gone = to_shed(worths, count)
    kept = set(range(len(worths))) - gone

    assert len(gone) == min(count, len(worths))
    if gone and kept:
        assert max(worths[index] for index in gone) <= min(worths[index] for index in kept)


def test_what_is_put_back_comes_first_and_in_order() -> None:
    changes = [waiting(number) for number in range(1, 5)]
    queue = WaitingChanges(limit=10)
    queue.put(changes[:3])

    queue.put_back(queue.take(2))
    queue.put(changes[3:])

    assert queue.take(10) == changes


def test_shedding_brings_the_queue_to_its_limit_and_keeps_the_order() -> None:
    kinds = [STARTED, UPDATED, ENDED, STARTED]
    changes = [waiting(number, kind) for number, kind in enumerate(kinds, start=1)]
    queue = WaitingChanges(limit=2)
    queue.put(changes)

    assert queue.shed() == [changes[0], changes[1]]
    assert queue.take(10) == changes[2:]
    assert queue.shed() == []
