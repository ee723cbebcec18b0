"""The statements that write: one transaction for event, ledger and outbox row together.

Owned by the writer's thread from the moment it starts; holds no thread and no lock itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from camera_app.store.commit import CommittedChange
from camera_app.store.films import FilmNote, enter_films
from camera_app.store.gaps import DISK_FULL, Gap, gap_of, gap_row, joined
from camera_app.store.redating import UNDATED, redated
from camera_app.store.retention import Doomed, LedgerRow, OldestRows
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
WHERE type <> 'gap' AND row NOT IN (SELECT row FROM outbox) ORDER BY row LIMIT ?
"""
_OLDEST_UNSETTLED = """
SELECT row, at_wall_ns FROM outbox JOIN event_change USING (row)
WHERE type <> 'gap' ORDER BY row LIMIT ?
"""
_OLDEST_UNSENT = """
SELECT committed_wall_ns FROM outbox JOIN event_change USING (row) ORDER BY row LIMIT 1
"""
_REMOVE_EVENT = """
DELETE FROM event WHERE last_row = ?1
AND event_id = (SELECT event_id FROM event_change WHERE row = ?1)
"""
_PLACE = """
SELECT camera, seq, NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.row = event_change.row)
FROM event_change WHERE row = ?
"""
_GAP_BEFORE = """
SELECT row, camera, seq, record,
    NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.row = event_change.row)
FROM event_change WHERE camera = ? AND seq = ? AND type = 'gap'
"""
# The next gap of the stream; whether it begins right there its record tells.
_GAP_AFTER = """
SELECT row, camera, seq, record,
    NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.row = event_change.row)
FROM event_change WHERE camera = ? AND seq > ? AND type = 'gap' ORDER BY seq LIMIT 1
"""
_UNDATED = """
SELECT row, at_wall_ns, record FROM event_change
WHERE row >= ? AND instr(record, ?) ORDER BY row LIMIT ?
"""
_REDATE_CHANGE = """
UPDATE event_change SET at_wall_ns = at_wall_ns + ?1, record = ?2,
    committed_wall_ns = committed_wall_ns + ?1 WHERE row = ?3
"""
_REDATE_EVENT = """
UPDATE event SET started_wall_ns = started_wall_ns + ?1,
    last_seen_wall_ns = last_seen_wall_ns + ?1, ended_wall_ns = ended_wall_ns + ?1
WHERE last_row = ?2
"""
PUT_REFUSED = "INSERT OR IGNORE INTO refused VALUES (?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Totals:
    """How much the ledger holds.

    Attributes:
        changes: Changes in all; gaps are none.
        unsettled: Rows that no broker has acknowledged, gaps included.
    """

    changes: int
    unsettled: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal took.

    Attributes:
        untold: Changes that no broker had acknowledged.
        backlog: How many rows the outbox has more than before; mostly negative.
    """

    untold: int
    backlog: int


@dataclass(frozen=True, slots=True)
class Entries:
    """What goes into the ledger in one transaction.

    Attributes:
        changes: To be inserted, in this order.
        shed: Changes that were given up before they were written, by camera; they go before.
        settled: Spans of rows that leave the outbox.
        refused: Rows that the broker never takes, each with its code.
        films: What became of films; after the changes of the events that they show.
    """

    changes: Sequence[WaitingChange] = ()
    shed: Mapping[str, int] = field(default_factory=dict)
    settled: Iterable[Run] = ()
    refused: Mapping[int, int] = field(default_factory=dict)
    films: Sequence[FilmNote] = ()


@dataclass(frozen=True, slots=True)
class Entered:
    """What came of it.

    Attributes:
        rows: The rows of the changes, in their order.
        gaps: How many gaps stand for what was shed.
        settled: How many rows left the outbox.
    """

    rows: Sequence[CommittedChange]
    gaps: int
    settled: int


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
        self, entries: Entries, now_wall_ns: int, before_commit: Callable[[], None]
    ) -> Entered:
        """Write changes, and take settled rows out of the outbox, as one transaction.

        Args:
            entries: What is to be written.
            now_wall_ns: When this happens.
            before_commit: Called when only the disk has to be waited for.
        """
        gaps, last_seq = self._gaps_for(entries.shed, now_wall_ns)
        first_row = self._last_row + len(gaps) + 1
        rows, last_seq = self._numbered(entries.changes, now_wall_ns, first_row, last_seq)
        with self._transaction():
            if gaps:
                self._insert_gaps(gaps)
            if rows:
                self._insert(entries.changes, rows)
            if entries.refused:
                put = self._connection.executemany
                put(PUT_REFUSED, [(*one, now_wall_ns) for one in entries.refused.items()])
            enter_films(self._connection, entries.films)
            gone = self._settle(entries.settled)
            # Read before the commit: what fails after it would be written a second time.
            is_unchanged = not gone and self.oldest_unsettled_wall_ns is not None
            oldest = self.oldest_unsettled_wall_ns if is_unchanged else self._oldest_unsettled()
            before_commit()
        self.oldest_unsettled_wall_ns = oldest
        self._last_seq |= last_seq
        self._last_row += len(gaps) + len(rows)
        return Entered(rows, len(gaps), gone)

    def fold(self) -> None:
        """Take the write-ahead log into the database, as far as no reader needs it."""
        self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _gaps_for(
        self, shed: Mapping[str, int], now_wall_ns: int
    ) -> tuple[list[CommittedChange], dict[str, int]]:
        """Give numbers to changes that were never written, one gap a camera."""
        last_seq: dict[str, int] = {}
        gaps = []
        for row, (camera, count) in enumerate(shed.items(), start=self._last_row + 1):
            before = self._last_seq.get(camera, 0)
            last_seq[camera] = before + count
            gap = Gap(camera, before + 1, before + count, DISK_FULL, row, is_told=False)
            gaps.append(gap_row(gap, now_wall_ns))
        return gaps, last_seq

    def _insert_gaps(self, gaps: Sequence[CommittedChange]) -> None:
        put = self._connection.executemany
        put(PUT_CHANGE, gaps)
        put(PUT_OUTBOX, [(gap.row,) for gap in gaps])
        put(PUT_STREAM, [(gap.camera, gap.seq, gap.row) for gap in gaps])

    def _numbered(
        self,
        changes: Sequence[WaitingChange],
        now_wall_ns: int,
        first_row: int,
        given: Mapping[str, int],
    ) -> tuple[list[CommittedChange], dict[str, int]]:
        """Give out row and sequence numbers; they count only once the transaction is through."""
        last_seq = dict(given)
        rows = []
        for row, waiting in enumerate(changes, start=first_row):
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

    def remove(self, doomed: Sequence[Doomed], now_wall_ns: int) -> Removed:
        """Remove rows for good, and each event whose newest change is among them.

        A gap takes their place, and waits to be told where one of them did.
        """
        keys = [(one.row,) for one in doomed]
        with self._transaction():
            gaps, absorbed = self._gaps_left_by(doomed)
            many = self._connection.executemany
            many(_REMOVE_EVENT, keys)
            many("DELETE FROM refused WHERE row = ?", keys)
            untold = many("DELETE FROM outbox WHERE row = ?", keys).rowcount
            untold_gaps = many("DELETE FROM outbox WHERE row = ?", absorbed).rowcount
            many("DELETE FROM event_change WHERE row = ?", [*keys, *absorbed])
            many(PUT_CHANGE, [gap_row(gap, now_wall_ns) for gap in gaps])
            to_tell = [(gap.row,) for gap in gaps if not gap.is_told]
            many(PUT_OUTBOX, to_tell)
            oldest = self._oldest_unsettled()
        self.oldest_unsettled_wall_ns = oldest
        # `rowcount` of an empty batch is -1.
        untold, untold_gaps = max(0, untold), max(0, untold_gaps)
        return Removed(untold, len(to_tell) - untold - untold_gaps)

    def _gaps_left_by(self, doomed: Sequence[Doomed]) -> tuple[list[Gap], list[tuple[int]]]:
        """Return the gaps that take the place of rows, and the rows of older gaps in them."""
        pieces = []
        for one in doomed:
            camera, seq, is_told = self._connection.execute(_PLACE, (one.row,)).fetchone()
            pieces.append(Gap(camera, seq, seq, one.why, one.row, bool(is_told)))
        older: dict[int, Gap] = {}
        for gap in joined(pieces):
            older |= {neighbour.row: neighbour for neighbour in self._neighbours(gap)}
        return joined([*pieces, *older.values()]), [(row,) for row in older]

    def _neighbours(self, gap: Gap) -> Iterator[Gap]:
        before = self._connection.execute(_GAP_BEFORE, (gap.camera, gap.from_seq - 1)).fetchone()
        after = self._connection.execute(_GAP_AFTER, (gap.camera, gap.to_seq)).fetchone()
        for found in (before, after):
            if found is None:
                continue
            row, camera, seq, record, is_told = found
            neighbour = gap_of(row, camera, seq, record, is_told=bool(is_told))
            if neighbour.from_seq <= gap.to_seq + 1:
                yield neighbour

    def redate(
        self, first_row: int, limit: int, *, boot_id: str, offset_ns: int, uncertainty_s: float
    ) -> int | None:
        """Correct stamps of rows that were made before the date was known, as one transaction.

        Args:
            first_row: Look from this row on.
            limit: At most so many rows.
            boot_id: The run of the machine that is going on.
            offset_ns: What to add to its monotonic time for the wall time.
            uncertainty_s: How far off that may be.

        Returns:
            The row to go on from, or None when there are no more.
        """
        found = self._connection.execute(_UNDATED, (first_row, UNDATED, limit)).fetchall()
        with self._transaction():
            for row, at_wall_ns, record in found:
                new = redated(
                    record,
                    at_wall_ns,
                    boot_id=boot_id,
                    offset_ns=offset_ns,
                    uncertainty_s=uncertainty_s,
                )
                if new is not None:
                    text, delta_ns = new
                    self._connection.execute(_REDATE_CHANGE, (delta_ns, text, row))
                    self._connection.execute(_REDATE_EVENT, (delta_ns, row))
            oldest = self._oldest_unsettled()
        self.oldest_unsettled_wall_ns = oldest
        return found[-1][0] + 1 if len(found) == limit else None

    def used_bytes(self) -> int:
        """Return how much of the file is in use; what was freed inside it is used again."""
        pages, free, size = (
            self._connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def totals(self) -> Totals:
        """Count the rows: reads an index from end to end, so once at the start."""
        one = self._connection.execute(
            "SELECT (SELECT count(*) FROM event_change)"
            " - (SELECT count(*) FROM event_change WHERE type = 'gap'),"
            " (SELECT count(*) FROM outbox)"
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
