"""Tells a message that a broker never takes from a broker that takes nothing just now. Pure.

A wrong access list, a full quota, a network that breaks: all of that passes or is mended, and the
events wait. One message that is refused again and again, while others to the same topic are taken,
is another matter: it must not hold up what comes after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# So many rounds in succession it was refused, and in each another one to its topic was taken.
ROUNDS = 3
QUOTA_EXCEEDED = 0x97  # passes by itself, however often it is said
# The broker hung up and said that a packet was the reason; no network says that.
PACKET_CODES = frozenset({0x81, 0x82, 0x90, 0x95, 0x99})
# The connection ended while a row was the oldest unanswered, so often: it is sent alone from now
# on, to see whether it is the one.
SUSPECT_AFTER = 3
# It did so while the row was alone on its way. Where the broker gives no reason it may as well be
# the network, so it has to go on for long.
ALONE_WITH_REASON = 3
ALONE_WITHOUT_REASON = 10
WITHOUT_REASON_FOR_NS = 600 * 10**9
NO_CODE = 0


@dataclass(slots=True)
class _HungUp:
    """Connections in succession that ended with the same row as the oldest on its way."""

    row: int
    since_ns: int
    ends: int = 0
    alone: int = 0  # of those, with no other row on its way
    alone_with_reason: int = 0  # of those, with a code about a packet


class Refusals:
    """What is known of rows that did not get through; belongs to one thread."""

    def __init__(self) -> None:
        self._refused: dict[int, tuple[str, int]] = {}  # this round: row -> topic, code
        self._taken: set[str] = set()  # this round: topics of what was taken
        self._rounds: dict[int, int] = {}  # row -> rounds in succession that speak against it
        self._hung_up: _HungUp | None = None

    @property
    def suspect(self) -> int | None:
        """A row that is to be sent alone, as connections end with it; None: there is none."""
        hung_up = self._hung_up
        return hung_up.row if hung_up and hung_up.ends >= SUSPECT_AFTER else None

    def take(self, row: int, topic: str) -> bool:
        """Note that the broker took a row; return whether it had been under suspicion.

        A stream's name may stand for its topic: there is one for each.
        """
        self._taken.add(topic)
        if self._rounds:
            self._rounds.pop(row, None)
        hung_up = self._hung_up
        if hung_up is None or hung_up.row != row:
            return False
        self._hung_up = None
        return hung_up.ends >= SUSPECT_AFTER

    def refuse(self, row: int, topic: str, code: int) -> None:
        """Note that the broker answered that it does not take a row."""
        self._refused[row] = topic, code

    def end_round(self) -> dict[int, int]:
        """Note that sending begins again; return the rows to give up, each with its code."""
        refused, self._refused = self._refused, {}
        taken, self._taken = self._taken, set()
        rounds = self._rounds
        self._rounds = {
            row: rounds.get(row, 0) + 1
            for row, (topic, code) in refused.items()
            if topic in taken and code != QUOTA_EXCEEDED
        }
        return {row: refused[row][1] for row, count in self._rounds.items() if count >= ROUNDS}

    def lose(self, on_the_way: Sequence[int], code: int, now_ns: int) -> dict[int, int]:
        """Note that the connection ended; return the rows to give up, each with its code.

        Args:
            on_the_way: Rows that the broker has not answered, oldest first.
            code: Reason that the broker gave; 0: none, the connection just ended.
            now_ns: Monotonic time.
        """
        self._refused.clear()
        self._taken.clear()
        if not on_the_way:
            return {}
        row = on_the_way[0]
        if self._hung_up is None or self._hung_up.row != row:
            self._hung_up = _HungUp(row, now_ns)
        hung_up = self._hung_up
        hung_up.ends += 1
        if len(on_the_way) == 1:
            hung_up.alone += 1
            hung_up.alone_with_reason += code in PACKET_CODES
        if _speaks_against(hung_up, now_ns):
            self._hung_up = None
            return {row: code if code in PACKET_CODES else NO_CODE}
        return {}


def _speaks_against(hung_up: _HungUp, now_ns: int) -> bool:
    lasts_ns = now_ns - hung_up.since_ns
    return hung_up.alone_with_reason >= ALONE_WITH_REASON or (
        hung_up.alone >= ALONE_WITHOUT_REASON and lasts_ns >= WITHOUT_REASON_FOR_NS
    )
