"""The statements that write: one transaction for event, ledger and outbox row together.

Owned by the writer's thread from the moment it starts; holds no thread and no lock itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from camera_app.store.commit import CommittedChange
from camera_app.store.retention import LedgerRow, OldestRows
from camera_app.store.waiting import WaitingChange
from camera_app.values import EventChange

Run = tuple[int, int]

PUT_CHANGE = "INSERT INTO event_change VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
PUT_OUTBOX = "INSERT INTO outbox VALUES (?)"
PUT_STREAM = """
INSERT INTO stream VALUES (?, ?, ?)
ON CONFLICT (camera) DO UPDATE SET last_seq = excluded.last_seq, last_row = excluded.last_row
"""
PUT_EVENT = """
INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id) DO UPDATE SET
    label = excluded.label, started_wall_ns = excluded.started_wall_ns,
    last_seen_wall_ns = excluded.last_seen_wall_ns, ended_wall_ns = excluded.ended_wall_ns,
    score = excluded.score, top_score = excluded.top_score,
    entered_zones = excluded.entered_zones, is_stationary = excluded.is_stationary,
    last_row = excluded.last_row
"""
_OLDEST_SETTLED = """
SELECT row, at_wall_ns FROM event_change
WHERE row NOT IN (SELECT row FROM outbox) ORDER BY row LIMIT ?
"""
_OLDEST_UNSETTLED = (
    "SELECT row, at_wall_ns FROM outbox JOIN event_change USING (row) ORDER BY row LIMIT ?"
)
_OLDEST_UNSENT = """
SELECT committed_wall_ns FROM outbox JOIN event_change USING (row) ORDER BY row LIMIT 1
"""
_REMOVE_EVENT = """
DELETE FROM event WHERE last_row = ?1
AND event_id = (SELECT event_id FROM event_change WHERE row = ?1)
"""


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the ledger holds.

    Attributes:
        changes: Rows in all.
        unsettled: Rows that no broker has acknowledged.
    """

    changes: int
    unsettled: int


class Ledger:
    """The tables, as the one writer sees them.

    Attributes:
        oldest_unsettled_wall_ns: When the oldest row still to be told was written; None if there
            is none.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._last_seq: dict[str, int] = {}  # by camera, as committed
        self._last_row = 0
        for camera, seq, row in connection.execute("SELECT * FROM stream"):
            self._last_seq[camera] = seq
            self._last_row = max(self._last_row, row)
        self.oldest_unsettled_wall_ns = self._oldest_unsettled()

    def write(
        self,
        changes: Sequence[WaitingChange],
        settled: Iterable[Run],
        now_wall_ns: int,
        before_commit: Callable[[], None],
    ) -> tuple[list[CommittedChange], int]:
        """Write changes, and take settled rows out of the outbox, as one transaction.

        Args:
            changes: To be inserted, in this order.
            settled: Spans of rows that leave the outbox.
            now_wall_ns: When this happens.
            before_commit: Called when only the disk has to be waited for.

        Returns:
            The rows of the changes, in their order, and how many rows left the outbox.
        """
        rows, last_seq = self._numbered(changes, now_wall_ns)
        with self._transaction():
            if rows:
                self._insert(changes, rows)
            gone = self._settle(settled)
            # Read before the commit: what fails after it would be written a second time.
            is_unchanged = not gone and self.oldest_unsettled_wall_ns is not None
            oldest = self.oldest_unsettled_wall_ns if is_unchanged else self._oldest_unsettled()
            before_commit()
        self.oldest_unsettled_wall_ns = oldest
        if rows:
            self._last_seq |= last_seq
            self._last_row = rows[-1].row
        return rows, gone

    def _numbered(
        self, changes: Sequence[WaitingChange], now_wall_ns: int
    ) -> tuple[list[CommittedChange], dict[str, int]]:
        """Give out row and sequence numbers; they count only once the transaction is through."""
        last_seq: dict[str, int] = {}
        rows = []
        for row, waiting in enumerate(changes, start=self._last_row + 1):
            change = waiting.change
            event = change.event
            camera = event.camera
            seq = last_seq.get(camera) or self._last_seq.get(camera, 0)
            last_seq[camera] = seq + 1
            rows.append(
                CommittedChange(
                    row,
                    camera,
                    seq + 1,
                    event.event_id,
                    change.change.value,
                    change.wall_ns,
                    now_wall_ns,
                    waiting.record,
                )
            )
        return rows, last_seq

    def _insert(self, changes: Sequence[WaitingChange], rows: Sequence[CommittedChange]) -> None:
        put = self._connection.executemany
        put(PUT_CHANGE, rows)
        put(PUT_OUTBOX, [(row.row,) for row in rows])
        put(
            PUT_EVENT,
            [_event_row(w.change, row.row) for w, row in zip(changes, rows, strict=True)],
        )
        put(PUT_STREAM, {row.camera: (row.camera, row.seq, row.row) for row in rows}.values())

    def _settle(self, settled: Iterable[Run]) -> int:
        return sum(
            self._connection.execute("DELETE FROM outbox WHERE row BETWEEN ? AND ?", run).rowcount
            for run in settled
        )

    def oldest(self, limit: int) -> OldestRows:
        """Return the oldest rows, at most so many of either kind."""
        settled = [LedgerRow(*row) for row in self._connection.execute(_OLDEST_SETTLED, (limit,))]
        unsettled = self._connection.execute(_OLDEST_UNSETTLED, (limit,))
        return OldestRows(
            settled=settled,
            unsettled=[LedgerRow(*row) for row in unsettled],
            is_all_settled=len(settled) < limit,
        )

    def remove(self, rows: Sequence[int]) -> int:
        """Remove rows for good, and each event whose newest change is among them.

        Returns:
            How many of them were still in the outbox.
        """
        keys = [(row,) for row in rows]
        with self._transaction():
            many = self._connection.executemany
            many(_REMOVE_EVENT, keys)
            untold = many("DELETE FROM outbox WHERE row = ?", keys).rowcount
            many("DELETE FROM event_change WHERE row = ?", keys)
            oldest = self._oldest_unsettled()
        self.oldest_unsettled_wall_ns = oldest
        return untold

    def totals(self) -> Totals:
        """Count the rows: reads an index from end to end, so once at the start."""
        one = self._connection.execute(
            "SELECT (SELECT count(*) FROM event_change), (SELECT count(*) FROM outbox)"
        ).fetchone()
        return Totals(*one)

    def _oldest_unsettled(self) -> int | None:
        found = self._connection.execute(_OLDEST_UNSENT).fetchone()
        return None if found is None else int(found[0])

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            # SQLite ends some failed transactions by itself, a full disk's among them.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _event_row(change: EventChange, row: int) -> tuple[object, ...]:
    event = change.event
    to_wall_ns = change.wall_ns - change.at_ns
    return (
        event.event_id,
        event.camera,
        event.label,
        to_wall_ns + event.started_ns,
        to_wall_ns + event.last_seen_ns,
        None if event.ended_ns is None else to_wall_ns + event.ended_ns,
        round(event.score, 4),
        round(event.top_score, 4),
        _names_json(event.entered_zones),
        event.is_stationary,
        row,
    )


@lru_cache(maxsize=256)  # a camera has few zones, and each event enters them again
def _names_json(names: tuple[str, ...]) -> str:
    return json.dumps(names)


def runs(rows: Iterable[int]) -> list[Run]:
    """Return numbers as spans of neighbours, first and last included, in order."""
    spans: list[Run] = []
    for row in sorted(rows):
        if spans and row <= spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], row)
        else:
            spans.append((row, row))
    return spans
