"""The event store as the rest of the house sees it: a part with a hand-over for changes.

The thread behind it is `writer.py`'s, the tables are `ledger.py`'s, reading is `outbox.py`'s and
`queries.py`'s.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from camera_app.clock import Clock, seconds
from camera_app.config import RetentionSettings
from camera_app.errors import StoreError
from camera_app.events import canonical_json, change_record
from camera_app.store.commit import Commit
from camera_app.store.database import open_database, store_error, unusable_folder
from camera_app.store.films import FilmNote
from camera_app.store.handover import HandOver, StoreStats
from camera_app.store.ledger import Ledger
from camera_app.store.timekeeping import KernelTime, Stamper, Timekeeping
from camera_app.store.waiting import WaitingChange
from camera_app.store.writer import CommitListener, Writer
from camera_app.values import EventChange

DATABASE_NAME = "events.db"

# A change is about two kilobytes in memory, so this is twenty megabytes: hours of a full disk.
WAITING_LIMIT = 10_000
# More does not make a transaction cheaper, and whoever waits on the first of them waits longer.
GROUP_LIMIT = 500


class EventStore:
    """Keeps every event change of every camera: a part that is started and stopped.

    Args:
        path: The database file.
        clock: Time.
        retention: The owner's limits.
        waiting_limit: Changes that may wait for the disk.
        group_limit: Changes that are written in one transaction.
        timekeeping: What the machine knows of its clock; None: what the kernel says.
        is_stamped: Records say in which run of the machine they were made, and how sure their
            times are. Those of a recorded clip must not: they are the same on any machine.

    Attributes:
        path: The database file. Files with `-wal`, `-shm` and `.lock` appear beside it.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        retention: RetentionSettings,
        *,
        waiting_limit: int = WAITING_LIMIT,
        group_limit: int = GROUP_LIMIT,
        timekeeping: Timekeeping | None = None,
        is_stamped: bool = True,
    ) -> None:
        self.path = path
        self._files = (path, Path(f"{path}-wal"))  # that take the space
        self._clock = clock
        self._retention = retention
        self._group_limit = group_limit
        self._stamper = Stamper(timekeeping or KernelTime(), clock)
        self._is_stamped = is_stamped
        self._handover = HandOver(str(path), waiting_limit)
        self._listeners: tuple[CommitListener, ...] = ()  # replaced, never changed
        self._writer: Writer | None = None  # owned by the caller of start and stop
        self._lock_file: int | None = None  # the same; descriptor that holds the file lock

    @property
    def max_age_s(self) -> float:
        """Age at which the owner lets a change go."""
        return self._retention.max_days * 86_400

    @property
    def is_dated(self) -> bool:
        """Whether the machine knows the date by now; any thread."""
        return self._stamper.is_dated()

    def add_listener(self, listener: CommitListener) -> None:
        """Call this after every commit from now on, on the writer's thread; it must not block."""
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: CommitListener) -> None:
        """Call this no more; a commit that is just being told of may still reach it."""
        self._listeners = tuple(one for one in self._listeners if one != listener)

    def retain(self, retention: RetentionSettings) -> None:
        """Keep by other limits from now on."""
        self._retention = retention
        if self._writer is not None:
            self._writer.retain(retention)

    def start(self) -> None:
        """Open the database, made if it is absent, and start the thread that writes.

        Raises:
            StoreError: The folder cannot be written, or another camera-app writes there.
            StoreCorrupt: The file is damaged, or none of ours; it is left as it is.
        """
        self._lock_file = _lock_beside(self.path)
        try:
            self._writer = self._open()
        except BaseException:
            self._unlock()
            raise
        self._writer.start()

    def stop(self) -> None:
        """Write what waits, close the database, and end the thread."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.stop()
        self._unlock()

    def _open(self) -> Writer:
        connection = open_database(self.path)
        try:
            ledger = Ledger(connection)
            totals, oldest_wall_ns = ledger.totals(), ledger.oldest_unsettled_wall_ns
        except sqlite3.Error as error:
            connection.close()
            raise store_error(error, self.path) from error
        self._handover.open(totals.changes, totals.unsettled, oldest_wall_ns)
        return Writer(
            self.path,
            ledger,
            self._handover,
            self._clock,
            self._retention,
            self._stamper,
            listeners=lambda: self._listeners,
            group_limit=self._group_limit,
        )

    def _unlock(self) -> None:
        descriptor, self._lock_file = self._lock_file, None
        if descriptor is not None:
            os.close(descriptor)

    def commit(self, changes: Sequence[EventChange]) -> Commit:
        """Hand changes over to be written; does not wait for the disk.

        It waits only where too many wait already and the disk works. While it does not, the
        oldest updates are shed instead, and then the oldest of the rest: a camera must not stand
        still because of its disk.

        Raises:
            StoreError: The store is closed or has given up.
        """
        commit = self._handover.new_commit(len(changes))
        waiting = [WaitingChange(c, self._record(c), commit) for c in changes]
        self._handover.put(commit, waiting)
        return commit

    def _record(self, change: EventChange) -> str:
        record = change_record(change)
        if self._is_stamped:
            stamp = self._stamper.stamp(change)
            record["boot_id"] = stamp.boot_id
            record["monotonic_s"] = stamp.monotonic_s
            record["uncertainty_s"] = stamp.uncertainty_s
        return canonical_json(record)

    def settle(self, rows: Iterable[int]) -> None:
        """Take rows out of the outbox soon; after a crash before that they are told again."""
        self._handover.settle(rows)

    def refuse(self, row: int, code: int) -> None:
        """Write down that the broker never takes a row, and with which code it says so.

        The row stays in the outbox until what is told in its place is settled.
        """
        self._handover.refuse(row, code)

    def note_films(self, notes: Iterable[FilmNote]) -> None:
        """Write down soon which films there are and which are gone; does not wait for the disk."""
        self._handover.note_films(notes)

    def settling(self) -> int:
        """Return how many acknowledged rows were not yet taken out of the outbox."""
        return self._handover.settling()

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait until everything is written and acknowledged; return whether it is."""
        return self._handover.wait_drained(timeout_s)

    def stats(self) -> StoreStats:
        """Return how the store does now."""
        stats = self._handover.stats()
        oldest_wall_ns = stats.oldest_unsent_wall_ns
        age_s = None
        if oldest_wall_ns is not None:
            # Never negative: the wall clock may have been put back since.
            age_s = max(0.0, seconds(self._clock.wall_ns() - oldest_wall_ns))
        writer = self._writer
        return replace(
            stats,
            oldest_unsent_age_s=age_s,
            size_bytes=sum(map(_file_bytes, self._files)),
            written_bytes=None if writer is None else writer.written_bytes,
        )


def _lock_beside(path: Path) -> int:
    """Hold the database for this process: two writers would give out the same numbers.

    The kernel lets go of the lock when the process ends, however it ends.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise unusable_folder(error, path) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        remedy = "Stop it first, or give this one another data folder"
        raise StoreError(
            "another camera-app writes to this database", where=str(path), remedy=remedy
        ) from error
    return descriptor


def _file_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
