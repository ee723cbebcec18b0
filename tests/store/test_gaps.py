"""What had to go leaves a gap in its place, whatever goes and in which order."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import ManualClock
from camera_app.config import RetentionSettings
from camera_app.store import EventStore, Outbox
from camera_app.store.gaps import SEVERAL, Gap, joined
from tests.store.conftest import LIMIT_S, make_change, rows
from tests.waiting import wait_until

Opener = Callable[..., EventStore]


def piece(seq: int, *, camera: str = "front", why: str = "age", is_told: bool = True) -> Gap:
    return Gap(camera, seq, seq, why, seq, is_told)


def test_neighbours_become_one_and_streams_stay_apart() -> None:
    pieces = [piece(2), piece(1), piece(4), piece(3, camera="yard")]

    assert joined(pieces) == [
        Gap("front", 1, 2, "age", 2, is_told=True),
        Gap("front", 4, 4, "age", 4, is_told=True),
        Gap("yard", 3, 3, "age", 3, is_told=True),
    ]


def test_a_gap_of_several_reasons_says_so_and_is_told_if_any_part_has_to_be() -> None:
    pieces = [piece(1), piece(2, why="size", is_told=False), piece(3)]

    assert joined(pieces) == [Gap("front", 1, 3, SEVERAL, 3, is_told=False)]


@given(st.sets(st.integers(1, 40)))
def test_gaps_cover_exactly_what_went(gone: set[int]) -> None:
    gaps = joined(piece(seq) for seq in gone)

    covered = [seq for gap in gaps for seq in range(gap.from_seq, gap.to_seq + 1)]
    assert covered == sorted(gone)
    assert all(a.to_seq + 1 < b.from_seq for a, b in pairwise(gaps))


def gap_rows(path: Path) -> list[dict[str, Any]]:
    found = rows(path, "SELECT record FROM event_change WHERE type = 'gap' ORDER BY row")
    return [json.loads(record) for (record,) in found]


def test_what_goes_untold_is_told_as_a_gap_before_what_follows(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(number) for number in (1, 2)]).wait(LIMIT_S)
    store.commit([make_change(3, at_s=80_000)]).wait(LIMIT_S)
    clock.advance(86_400 + 10)
    assert wait_until(lambda: store.stats().removed == 2)

    outbox = Outbox(path)
    gap, change = outbox.pending(0, 10)
    outbox.close()

    assert (gap.type, gap.seq, change.type, change.seq) == ("gap", 2, "started", 3)
    record = json.loads(gap.record)
    assert {name: record[name] for name in ("camera", "from_seq", "to_seq", "why")} == {
        "camera": "front",
        "from_seq": 1,
        "to_seq": 2,
        "why": "age",
    }
    assert store.stats().backlog == 2
    store.settle([gap.row, change.row])
    assert store.wait_drained(LIMIT_S)


def test_gaps_of_many_rounds_are_one_and_count_nothing(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_events=100))
    for first in range(1, 1000, 50):
        store.commit([make_change(n) for n in range(first, first + 50)]).wait(LIMIT_S)

    assert wait_until(lambda: store.stats().changes <= 100)
    (gap,) = gap_rows(path)
    removed = store.stats().removed
    assert (gap["from_seq"], gap["to_seq"], gap["why"]) == (1, removed, "number")
    assert store.stats().backlog == 1001 - removed
    store.stop()
    again = open_store()
    assert (again.stats().changes, again.stats().backlog) == (1000 - removed, 1001 - removed)


def test_what_was_told_and_goes_leaves_a_gap_that_is_not_told(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(1), make_change(2, camera="yard")]).wait(LIMIT_S)
    store.settle([1, 2])
    assert store.wait_drained(LIMIT_S)
    clock.advance(86_400 + 10)

    assert wait_until(lambda: store.stats().removed == 2)
    assert [(gap["camera"], gap["to_seq"]) for gap in gap_rows(path)] == [("front", 1), ("yard", 1)]
    assert rows(path, "SELECT * FROM outbox") == []
    assert store.stats().backlog == 0


def test_an_acknowledgement_on_its_way_while_a_row_becomes_a_gap_settles_it(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    """Sent, then removed, then acknowledged: the subscriber has it, so nothing is to be told."""
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(1)]).wait(LIMIT_S)
    clock.advance(86_400 + 10)
    assert wait_until(lambda: store.stats().removed == 1)
    assert store.stats().backlog == 1

    store.settle([1])

    assert store.wait_drained(LIMIT_S)


def test_events_go_when_they_take_too_much_space(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_megabytes=1))
    for first in range(1, 3000, 500):
        store.commit([make_change(n) for n in range(first, first + 500)]).wait(LIMIT_S)
    clock.advance(61)

    assert wait_until(lambda: store.stats().removed > 0)
    assert wait_until(lambda: used_bytes(path) <= 1_000_000)
    (gap,) = gap_rows(path)
    assert gap["why"] == "size"
    assert gap["to_seq"] == store.stats().removed < 3000


def used_bytes(path: Path) -> int:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (rows(path, f"PRAGMA {name}")[0][0] for name in names)
    used: int = (pages - free) * size
    return used


def test_a_change_that_the_broker_never_takes_stays_in_the_ledger_and_is_noted(
    open_store: Opener, path: Path, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(1)]).wait(LIMIT_S)

    store.refuse(1, 0x95)
    store.settle([1])

    assert store.wait_drained(LIMIT_S)
    assert rows(path, "SELECT row, code FROM refused") == [(1, 0x95)]
    assert rows(path, "SELECT type FROM event_change") == [("started",)]
    assert store.stats().refused == 1
    clock.advance(86_400 + 10)
    assert wait_until(lambda: store.stats().removed == 1)
    assert rows(path, "SELECT * FROM refused") == []
