from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.publish.window import Window


def test_rows_settle_from_the_oldest_on() -> None:
    window = Window(limit=4)
    for row in (3, 5, 6, 9):
        window.offer(row)

    assert window.settle(5) == []  # 3 is older and not acknowledged
    assert window.settle(3) == [3, 5]
    assert window.settle(9) == []
    assert window.settle(6) == [6, 9]
    assert window.settled_through == 9


def test_a_row_answered_out_of_turn_keeps_its_place() -> None:
    window = Window(limit=2)
    window.offer(1)
    window.offer(2)
    window.settle(2)

    assert (window.room, len(window)) == (0, 1)
    with pytest.raises(ValueError, match="without room"):
        window.offer(3)


def test_rows_are_offered_in_order() -> None:
    window = Window(limit=5, settled_through=7)
    with pytest.raises(ValueError, match="out of order"):
        window.offer(7)
    window.offer(8)
    with pytest.raises(ValueError, match="out of order"):
        window.offer(8)


def test_a_row_acknowledged_twice_or_never_sent_changes_nothing() -> None:
    window = Window(limit=5)
    window.offer(1)
    window.offer(2)

    assert window.settle(7) == []
    window.settle(2)
    assert window.settle(2) == []
    assert window.settle(1) == [1, 2]


def test_after_a_refusal_nothing_goes_out_until_it_begins_again_from_there() -> None:
    window = Window(limit=5)
    for row in (1, 2, 3):
        window.offer(row)

    window.refuse(2)
    window.refuse(2)
    assert window.settle(3) == []
    assert window.settle(1) == [1]
    assert (window.room, window.is_blocked, len(window)) == (0, True, 0)

    window.restart(limit=2)
    assert (window.room, window.settled_through, window.last_offered) == (2, 1, 1)
    window.offer(2)
    assert window.settle(2) == [2]


def test_where_one_may_be_on_its_way_a_refused_row_is_followed_by_one_more() -> None:
    """Or nobody would learn that the broker refuses just this one."""
    window = Window(limit=1)
    window.offer(1)
    window.refuse(1)

    assert window.room == 1
    window.offer(2)
    assert (window.room, window.settle(2), window.unanswered) == (0, [], [])


def test_a_window_can_be_widened_with_rows_on_their_way() -> None:
    window = Window(limit=1)
    window.offer(1)

    window.widen(3)

    assert window.room == 2
    window.offer(2)
    assert window.unanswered == [1, 2]


class MoodyBroker:
    """Takes, refuses, answers out of turn and hangs up by chance; calm once told to be."""

    def __init__(self, seed: int, limits: list[int], count: int) -> None:
        self.window = Window(limits[0])
        self.reader: list[int] = []  # what a subscriber got
        self.settled: list[int] = []
        self.is_calm = False
        self._chance = random.Random(seed)
        self._limits = limits
        self._count = count
        self._on_the_way: list[int] = []  # sent, not looked at by the broker
        self._unheard: list[tuple[int, bool]] = []  # looked at: row, taken; not heard of yet

    def step(self) -> None:
        self._fill()
        assert len(self.window) <= max(self._limits)
        act = self._chance.random()
        if not self.is_calm and act < 0.1:
            self._hang_up()
        elif self._on_the_way and (act < 0.6 or not self._unheard):
            self._look()
        elif self._unheard:
            self._answer()
        if self.window.is_blocked and not self._on_the_way and not self._unheard:
            self.window.restart(self._chance.choice(self._limits))

    def _fill(self) -> None:
        while self.window.room and self.window.last_offered < self._count:
            row = self.window.last_offered + 1
            self.window.offer(row)
            self._on_the_way.append(row)

    def _hang_up(self) -> None:
        self._on_the_way.clear()
        self._unheard.clear()
        self.window.restart(self._chance.choice(self._limits))

    def _look(self) -> None:
        row = self._on_the_way.pop(0)
        is_taken = self.is_calm or self._chance.random() < 0.9
        self._unheard.append((row, is_taken))
        self.reader += [row] * is_taken

    def _answer(self) -> None:
        row, is_taken = self._unheard.pop(self._chance.randrange(len(self._unheard)))
        if is_taken:
            self.settled += self.window.settle(row)
        else:
            self.window.refuse(row)


@given(
    count=st.integers(0, 60),
    limits=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
def test_whatever_is_cut_refused_or_answered_late_a_reader_in_turn_gets_all(
    count: int, limits: list[int], seed: int
) -> None:
    broker = MoodyBroker(seed, limits, count)

    for _ in range(count * 2):
        broker.step()
        assert taken_in_turn(broker.reader) >= len(broker.settled)
    broker.is_calm = True
    for _ in range(count * 3 + 40):
        broker.step()

    assert broker.settled == list(range(1, count + 1))
    assert taken_in_turn(broker.reader) == count


def taken_in_turn(rows: list[int]) -> int:
    """Return how far a reader comes who takes the next row and ignores all others."""
    taken = 0
    for row in rows:
        taken += row == taken + 1
    return taken
