"""Reading what is still to be told, oldest first. Settling goes through the store's writer."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from camera_app.store.commit import CommittedChange
from camera_app.store.database import open_for_reading, translated

_PENDING = """
SELECT c.row, c.camera, c.seq, c.event_id, c.type, c.at_wall_ns, c.committed_wall_ns, c.record
FROM outbox AS o JOIN event_change AS c ON c.row = o.row
WHERE o.row > ? ORDER BY o.row LIMIT ?
"""


class Outbox:
    """A reader of its own, for one thread; sees what is committed, while the writer goes on.

    Rows are numbered in order of commit by the one writer, so that nothing ever appears before a
    row that was already seen: reading after the last row misses nothing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the database.

        Raises:
            StoreError: It is not there or cannot be read.
        """
        self._connection = open_for_reading(self._path)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def pending(self, after_row: int, limit: int) -> list[CommittedChange]:
        """Return the oldest rows still to be told with a number above `after_row`.

        Raises:
            StoreError: The database cannot be read.
        """
        if self._connection is None:
            self.open()
        assert self._connection is not None
        with translated(self._path):
            found = self._connection.execute(_PENDING, (after_row, limit)).fetchall()
        return [CommittedChange._make(row) for row in found]
