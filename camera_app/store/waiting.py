"""Changes that wait to be written: bounded, and shed by rule when the disk takes nothing.

Not thread-safe by itself: `handover.py` holds its lock around every call.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from camera_app.store.commit import Commit
from camera_app.values import ChangeType, EventChange


@dataclass(frozen=True, slots=True, eq=False)
class WaitingChange:
    """One change on its way into the database.

    Attributes:
        change: What happened.
        record: The same as canonical JSON, made by the thread that handed it in.
        commit: Who is told what became of it.
    """

    change: EventChange
    record: str
    commit: Commit = field(repr=False)


class WaitingChanges:
    """A queue that can give back what could not be written, and shed.

    Attributes:
        limit: Most changes it should hold; `shed` brings it back there.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._changes: deque[WaitingChange] = deque()

    def __len__(self) -> int:
        return len(self._changes)

    def __iter__(self) -> Iterator[WaitingChange]:
        return iter(self._changes)

    @property
    def is_at_limit(self) -> bool:
        return len(self._changes) >= self.limit

    def put(self, changes: Iterable[WaitingChange]) -> None:
        self._changes.extend(changes)

    def take(self, limit: int) -> list[WaitingChange]:
        """Return the oldest changes, at most so many; they are no longer in here."""
        count = min(limit, len(self._changes))
        return [self._changes.popleft() for _ in range(count)]

    def put_back(self, changes: Sequence[WaitingChange]) -> None:
        """Return to the front what `take` gave."""
        self._changes.extendleft(reversed(changes))

    def shed(self) -> list[WaitingChange]:
        """Remove and return what is above the limit: see `to_shed`."""
        excess = len(self._changes) - self.limit
        if excess <= 0:
            return []
        gone = to_shed([worth_of(waiting.change) for waiting in self._changes], excess)
        shed = [waiting for index, waiting in enumerate(self._changes) if index in gone]
        kept = (waiting for index, waiting in enumerate(self._changes) if index not in gone)
        self._changes = deque(kept)
        return shed


class ChangeWorth(IntEnum):
    """What it costs to miss a change; the least goes first."""

    PROGRESS = 0  # an event without its middle is still an event
    FINDING = 1  # a line crossed, somebody loitering: later changes say so too, not when
    TURN = 2  # a start or an end


def worth_of(change: EventChange) -> ChangeWorth:
    """Return what it costs to miss a change."""
    if change.change is not ChangeType.UPDATED:
        return ChangeWorth.TURN
    has_found = change.crossing is not None or change.loitering is not None
    return ChangeWorth.FINDING if has_found else ChangeWorth.PROGRESS


def to_shed(worths: Sequence[ChangeWorth], count: int) -> frozenset[int]:
    """Return the indices of the changes that can best be missed: of equals, the oldest go first."""
    return frozenset(sorted(range(len(worths)), key=worths.__getitem__)[:count])
