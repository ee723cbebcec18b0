"""Which rows of the ledger go when the owner's limits bite. Pure: it is handed rows and decides.

Rows that a broker has acknowledged go first, oldest first; rows still to be told go last of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camera_app.clock import NS_PER_S
from camera_app.store.gaps import TOO_OLD

NS_PER_DAY = 24 * 3600 * NS_PER_S

# A Raspberry Pi without a network believes in 1970 until it is told better. Such a stamp says
# nothing about age, neither of a row nor of now. 2024-01-01.
TRUSTED_FROM_NS = 1_704_067_200 * NS_PER_S


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What retention has to know of one row of the ledger.

    Attributes:
        row: Its number; a smaller one is older.
        at_wall_ns: When the change happened, nanoseconds since 1970.
    """

    row: int
    at_wall_ns: int


@dataclass(frozen=True, slots=True)
class Doomed:
    """A row that goes, and why: a word of `gaps.py`."""

    row: int
    why: str


@dataclass(frozen=True, slots=True)
class OldestRows:
    """The oldest rows of the ledger by fate, each in order of their numbers.

    Attributes:
        settled: Acknowledged, or never to be told.
        unsettled: Still in the outbox.
        is_all_settled: `settled` is every settled row there is, not only the first of them.
    """

    settled: Sequence[LedgerRow]
    unsettled: Sequence[LedgerRow]
    is_all_settled: bool


def oldest_kept_wall_ns(now_wall_ns: int, max_days: float) -> int:
    """Return the moment before which rows are too old; 0 while the date is not known."""
    if now_wall_ns < TRUSTED_FROM_NS:
        return 0
    return max(0, now_wall_ns - round(max_days * NS_PER_DAY))


def rows_to_remove(
    oldest: OldestRows, *, excess: int, why: str, oldest_wall_ns: int
) -> tuple[Doomed, ...]:
    """Return the rows that go now, settled ones before unsettled ones.

    Args:
        oldest: The first rows of either kind; a next call sees the next ones.
        excess: How many rows there are above a limit; 0 or less: none.
        why: Which limit that is.
        oldest_wall_ns: Rows that happened before this are too old.
    """
    too_old = _too_old(oldest.settled, oldest_wall_ns)
    from_settled = max(too_old, min(excess, len(oldest.settled)))
    gone = _doomed(oldest.settled, too_old, from_settled, why)
    is_settled_within_limits = from_settled < len(oldest.settled) or oldest.is_all_settled
    if is_settled_within_limits:
        still_in_excess = min(excess - len(gone), len(oldest.unsettled))
        too_old = _too_old(oldest.unsettled, oldest_wall_ns)
        from_unsettled = max(too_old, still_in_excess)
        gone += _doomed(oldest.unsettled, too_old, from_unsettled, why)
    return tuple(gone)


def _doomed(rows: Sequence[LedgerRow], too_old: int, count: int, why: str) -> list[Doomed]:
    return [
        Doomed(row.row, TOO_OLD if index < too_old else why)
        for index, row in enumerate(rows[: max(0, count)])
    ]


def _too_old(rows: Sequence[LedgerRow], oldest_wall_ns: int) -> int:
    """Return how many leading rows are too old.

    A row without a trusted stamp is as old as the next one that has one.
    """
    count = 0
    for index, row in enumerate(rows, start=1):
        if row.at_wall_ns < TRUSTED_FROM_NS:
            continue
        if row.at_wall_ns >= oldest_wall_ns:
            break
        count = index
    return count
