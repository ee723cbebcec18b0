"""What a caller holds between handing changes in and knowing that they are durable."""

from __future__ import annotations

import threading
from typing import NamedTuple

from camera_app.errors import StoreError, StoreFull


class CommittedChange(NamedTuple):
    """One row of the ledger. A tuple with names, because thousands a second are read.

    Attributes:
        row: Its number, in order of commit over all cameras.
        camera: The stream it belongs to.
        seq: Its number in that stream, from 1, gap-free.
        event_id: The event that changed.
        type: `started`, `updated` or `ended`.
        at_wall_ns: Capture of the frame that brought it about, nanoseconds since 1970.
        committed_wall_ns: When it was written, nanoseconds since 1970.
        record: The change as canonical JSON.
    """

    row: int
    camera: str
    seq: int
    event_id: str
    type: str
    at_wall_ns: int
    committed_wall_ns: int
    record: str


class Commit:
    """The changes of one hand-over, and what became of them.

    The methods other than `wait` belong to the hand-over, which calls them with its lock held.
    """

    __slots__ = ("_committed", "_failure", "_lock", "_open", "_shed", "_signal", "_trouble")

    def __init__(self, count: int, lock: threading.Lock) -> None:
        self._lock = lock  # the hand-over's; guards every field below
        self._open = count  # changes whose fate is not known
        self._shed = 0
        self._committed: list[CommittedChange] = []
        self._trouble: StoreError | None = None  # why it takes long; it is being tried again
        self._failure: StoreError | None = None  # why nobody tries any more
        # Made by the first who waits, and held until there is news: a bare lock is the cheapest
        # thing to wait on, and a caller who waits for each commit pays for every microsecond.
        self._signal: threading.Lock | None = None

    def wait(self, timeout_s: float | None = None) -> tuple[CommittedChange, ...]:
        """Return the rows that the changes got, once they are on disk.

        After `StoreFull` the changes are still kept in memory and tried again; so it can be
        called again.

        Raises:
            StoreFull: The disk does not take them now, or some were shed meanwhile.
            StoreError: They were not written in time, or the store gave up.
        """
        signal = self._signal_to_wait_for()
        if signal is not None and signal.acquire(timeout=-1 if timeout_s is None else timeout_s):
            signal.release()  # for whoever waits beside us
        with self._lock:
            if self._open == 0 and not self._shed:
                return tuple(self._committed)
            raise self._news(timeout_s)

    def _signal_to_wait_for(self) -> threading.Lock | None:
        with self._lock:
            if self._has_news():
                return None
            if self._signal is None:
                self._signal = threading.Lock()
                self._signal.acquire()
            return self._signal

    def _has_news(self) -> bool:
        return self._open == 0 or self._trouble is not None or self._failure is not None

    def _news(self, timeout_s: float | None) -> StoreError:
        if self._failure is not None:
            return self._failure
        if self._open == 0:
            return StoreFull(f"{self._shed} changes were shed: the disk took nothing for too long")
        if self._trouble is not None:
            return self._trouble
        return StoreError(f"not written within {timeout_s} s")

    def add(self, committed: CommittedChange) -> None:
        """Note that one change is on disk."""
        self._committed.append(committed)
        self._open -= 1
        self._trouble = None
        if self._open == 0:
            self._wake()

    def shed_one(self) -> None:
        """Note that one change is given up."""
        self._shed += 1
        self._open -= 1
        self._wake()

    def delay(self, trouble: StoreError) -> None:
        """Note why it was not written yet."""
        self._trouble = trouble
        self._wake()

    def fail(self, failure: StoreError) -> None:
        """Note that nothing more will be tried."""
        self._failure = failure
        self._wake()

    def _wake(self) -> None:
        if self._signal is not None:
            self._signal.release()
            self._signal = None
