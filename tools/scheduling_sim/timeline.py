"""The virtual clock: things to do, each at its moment."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Timeline:
    """Does what was planned in the order of its moments; nothing waits.

    Attributes:
        now_ns: The moment of what is being done.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self._planned: list[tuple[int, int, Action]] = []
        self._order = count()  # of two things at one moment, the one planned first goes first

    def at(self, moment_ns: float, action: Action) -> None:
        """Plan an action; a moment that has passed is now."""
        moment_ns = max(self.now_ns, round(moment_ns))
        heapq.heappush(self._planned, (moment_ns, next(self._order), action))

    def run_until(self, end_ns: int) -> None:
        """Do all that is planned before a moment, and stand there."""
        while self._planned and self._planned[0][0] < end_ns:
            self.now_ns, _, action = heapq.heappop(self._planned)
            action()
        self.now_ns = end_ns
