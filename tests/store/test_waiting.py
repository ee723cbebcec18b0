from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from camera_app.store.commit import Commit
from camera_app.store.waiting import WaitingChange, WaitingChanges, to_shed
from camera_app.values import ChangeType
from tests.store.conftest import make_change

STARTED, UPDATED, ENDED = ChangeType.STARTED, ChangeType.UPDATED, ChangeType.ENDED


def waiting(number: int, kind: ChangeType = STARTED) -> WaitingChange:
    change = make_change(number, change=kind)
    return WaitingChange(change, "{}", Commit(1, threading.Lock()))


def test_oldest_updates_are_shed_before_any_start_or_end() -> None:
    types = [STARTED, UPDATED, UPDATED, ENDED, UPDATED]

    assert to_shed(types, 2) == {1, 2}
    assert to_shed(types, 3) == {1, 2, 4}
    assert to_shed(types, 4) == {0, 1, 2, 4}


@given(st.lists(st.sampled_from(ChangeType)), st.integers(0, 30))
def test_shedding_takes_exactly_so_many_and_starts_only_without_updates(
    types: list[ChangeType], count: int
) -> None:
    gone = to_shed(types, count)

    assert len(gone) == min(count, len(types))
    if any(types[index] is not UPDATED for index in gone):
        assert all(types[index] is not UPDATED for index in set(range(len(types))) - gone)


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
