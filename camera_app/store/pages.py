"""Reading the ledger of one stream from a number on, for a subscriber that missed something."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.store.commit import CommittedChange
from camera_app.store.database import open_for_reading, translated
from camera_app.store.gaps import GAP_TYPE, UNKNOWN, Gap, gap_of, gap_row, refused_gap

_NEWEST = "SELECT last_seq FROM stream WHERE camera = ?"
_AFTER = """
SELECT c.row, c.camera, c.seq, c.event_id, c.type, c.at_wall_ns, c.committed_wall_ns, c.record,
    r.at_wall_ns
FROM event_change AS c LEFT JOIN refused AS r ON r.row = c.row
WHERE c.camera = ? AND c.seq > ? ORDER BY c.seq LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """A stretch of one stream.

    Attributes:
        newest_seq: The last number that was given out; 0: none, or no such stream.
        rows: Changes and gaps in order, without a hole after the number that was asked for.
    """

    newest_seq: int
    rows: tuple[CommittedChange, ...]


class LedgerReader:
    """A reader of its own, for one thread; sees what is committed, while the writer goes on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def page(self, camera: str, after_seq: int, limit: int) -> LedgerPage:
        """Return what follows a number in a camera's stream, at most so many rows.

        Raises:
            StoreError: The database cannot be read.
        """
        if self._connection is None:
            self._connection = open_for_reading(self._path)
        with translated(self._path):
            self._connection.execute("BEGIN")  # both from one moment
            try:
                newest = self._connection.execute(_NEWEST, (camera,)).fetchone()
                found = self._connection.execute(_AFTER, (camera, after_seq, limit)).fetchall()
            finally:
                self._connection.execute("COMMIT")
        newest_seq = 0 if newest is None else int(newest[0])
        rows = (_told(CommittedChange._make(row[:-1]), row[-1]) for row in found)
        return LedgerPage(newest_seq, tuple(_without_holes(rows, after_seq)))


def _told(change: CommittedChange, refused_wall_ns: int | None) -> CommittedChange:
    """Return the row, or the gap that was told instead: the broker does not take it here either."""
    return change if refused_wall_ns is None else refused_gap(change, refused_wall_ns)


def _without_holes(rows: Iterable[CommittedChange], after_seq: int) -> Iterator[CommittedChange]:
    """Put a gap where numbers are missing: removed before gaps were kept, or by another hand."""
    for row in rows:
        first = _first_seq(row)
        if first > after_seq + 1:
            missing = Gap(row.camera, after_seq + 1, first - 1, UNKNOWN, row.row, is_told=True)
            yield gap_row(missing, row.committed_wall_ns)
        yield row
        after_seq = row.seq


def _first_seq(row: CommittedChange) -> int:
    if row.type != GAP_TYPE:
        return row.seq
    return gap_of(row.row, row.camera, row.seq, row.record, is_told=True).from_seq
