"""What a subscriber that missed something can still be told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from camera_app.clock import ManualClock
from camera_app.config import RetentionSettings
from camera_app.store import EventStore, LedgerReader
from camera_app.store.commit import CommittedChange
from tests.store.conftest import LIMIT_S, make_change
from tests.waiting import wait_until

Opener = Callable[..., EventStore]


@pytest.fixture
def reader(path: Path) -> Iterator[LedgerReader]:
    with closing(LedgerReader(path)) as made:
        yield made


def gap(row: CommittedChange) -> tuple[int, int, str]:
    record: dict[str, Any] = json.loads(row.record)
    assert record["to_seq"] == row.seq
    return record["from_seq"], record["to_seq"], record["why"]


def test_a_page_holds_one_stream_in_order_from_a_number_on(
    open_store: Opener, reader: LedgerReader
) -> None:
    changes = [make_change(n, camera="front" if n % 2 else "yard") for n in range(1, 21)]
    open_store().commit(changes).wait(LIMIT_S)

    page = reader.page("front", 3, 4)

    assert [(row.camera, row.seq) for row in page.rows] == [("front", seq) for seq in (4, 5, 6, 7)]
    assert page.newest_seq == 10
    assert reader.page("front", 10, 4).rows == ()
    assert reader.page("nobody", 0, 4).newest_seq == 0


def test_a_page_begins_with_the_gap_that_its_number_lies_in(
    open_store: Opener, reader: LedgerReader, clock: ManualClock
) -> None:
    store = open_store(retention=RetentionSettings(max_days=1))
    store.commit([make_change(n) for n in (1, 2, 3)]).wait(LIMIT_S)
    store.commit([make_change(4, at_s=80_000)]).wait(LIMIT_S)
    clock.advance(86_400 + 10)
    assert wait_until(lambda: store.stats().removed == 3)

    first, second = reader.page("front", 2, 10).rows

    assert gap(first) == (1, 3, "age")
    assert (second.type, second.seq) == ("started", 4)


def test_a_hole_that_nobody_noted_is_told_as_a_gap_and_always_the_same(
    open_store: Opener, reader: LedgerReader, path: Path
) -> None:
    store = open_store()
    store.commit([make_change(n) for n in range(1, 7)]).wait(LIMIT_S)
    store.settle(range(1, 7))
    assert store.wait_drained(LIMIT_S)
    store.stop()

    with closing(sqlite3.connect(path)) as other, other:
        other.execute("DELETE FROM event_change WHERE seq IN (1, 2, 4)")

    told = reader.page("front", 0, 10).rows

    assert [row.seq for row in told] == [2, 3, 4, 5, 6]
    assert (gap(told[0]), gap(told[2])) == ((1, 2, "unknown"), (4, 4, "unknown"))
    assert reader.page("front", 0, 10).rows == told


def test_a_change_that_the_broker_never_takes_is_a_gap_here_too(
    open_store: Opener, reader: LedgerReader
) -> None:
    store = open_store()
    store.commit([make_change(1), make_change(2)]).wait(LIMIT_S)
    store.refuse(1, 0x95)
    store.settle([1])
    assert wait_until(lambda: store.stats().backlog == 1)

    first, second = reader.page("front", 0, 10).rows

    assert (gap(first), second.type) == ((1, 1, "refused"), "started")
