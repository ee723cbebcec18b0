"""What a subscriber gives out, whatever comes, in whatever order, however often."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.subscriber import Stream, Told
from camera_app.subscriber.place import AHEAD_LIMIT


def change(seq: int) -> Told:
    return Told.of({"type": "started", "seq": seq})


def gap(from_seq: int, to_seq: int) -> Told:
    return Told.of({"type": "gap", "seq": to_seq, "from_seq": from_seq, "to_seq": to_seq})


def seqs(given_out: list[Told]) -> list[int]:
    return [told.to_seq for told in given_out]


def test_what_comes_in_turn_is_given_out_and_a_copy_is_not() -> None:
    stream = Stream(through_seq=4)

    assert seqs(stream.take(change(5))) == [5]
    assert stream.take(change(5)) == []
    assert stream.take(change(2)) == []
    assert (stream.through_seq, stream.copies) == (5, 2)


def test_what_comes_out_of_turn_waits_for_what_is_missing() -> None:
    stream = Stream(through_seq=0)

    assert stream.take(change(3)) == []
    assert stream.is_behind
    assert stream.take(change(2)) == []
    assert seqs(stream.take(change(1))) == [1, 2, 3]
    assert not stream.is_behind


def test_a_gap_takes_the_place_of_what_is_gone() -> None:
    stream = Stream(through_seq=2)
    stream.take(change(7))

    assert seqs(stream.take(gap(3, 6))) == [6, 7]
    assert stream.missing_told == 4


def test_of_a_gap_only_the_part_that_is_new_is_given_out() -> None:
    stream = Stream(through_seq=5)

    (told,) = stream.take(gap(1, 9))

    assert (told.from_seq, told.to_seq, told.record["from_seq"]) == (6, 9, 6)
    assert stream.missing_told == 4


def test_changes_that_a_waiting_gap_covers_are_given_out_once() -> None:
    stream = Stream(through_seq=0)
    stream.take(gap(3, 5))
    stream.take(change(4))

    assert seqs(stream.take(gap(1, 2))) == [2, 5]


def test_what_waits_is_bounded_and_the_rest_is_known_to_be_missing() -> None:
    stream = Stream(through_seq=0)
    for seq in range(2, AHEAD_LIMIT + 100):
        stream.take(change(seq))

    stream.take(change(1))

    assert stream.through_seq == AHEAD_LIMIT + 1
    assert stream.is_behind


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"type": "started"},
        {"type": "started", "seq": "x"},
        {"type": "started", "seq": 0},
        {"type": "gap", "seq": 3},
        {"type": "gap", "seq": 3, "from_seq": 4},
        {"seq": None, "type": "updated"},
    ],
)
def test_what_is_no_message_of_a_ledger_is_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"no message|cannot be|invalid literal"):
        Told.of(record)


@given(
    count=st.integers(1, 40),
    gone=st.sets(st.integers(1, 40)),
    seed=st.integers(0, 2**32),
    copies=st.integers(0, 60),
)
def test_exactly_one_copy_of_each_in_order_whatever_the_network_does(
    count: int, gone: set[int], seed: int, copies: int
) -> None:
    chance = random.Random(seed)
    messages = [gap(seq, seq) if seq in gone else change(seq) for seq in range(1, count + 1)]
    sent = messages + [chance.choice(messages) for _ in range(copies)]
    chance.shuffle(sent)
    stream = Stream(through_seq=0)

    given_out = [told for message in sent for told in stream.take(message)]

    assert seqs(given_out) == list(range(1, count + 1))
    assert stream.missing_told == len(gone & set(range(1, count + 1)))
    assert stream.copies == copies
