"""The threads of this process and their signs of life; who misses one is `health/watchdog.py`."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass

# A round of a thread takes far less than a second; on a machine that swaps, or whose SD card tidies
# itself up, it may take many. What takes longer by nature says so in its promise.
ROUND_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Sign:
    """The newest sign of life of one thread.

    Attributes:
        thread: Its name.
        key: Tells it from every other thread of this process, before or since.
        count: How many signs it has given.
        within_s: The next comes within so many seconds; infinite: it waits for others to want
            something of it, and owes nothing.
    """

    thread: str
    key: int
    count: int
    within_s: float


class Vital:
    """Where one thread gives its signs of life; others read the newest."""

    def __init__(self, thread: str, key: int) -> None:
        # Replaced as one by its thread, so that a reader sees count and promise of one moment.
        self._sign = Sign(thread, key, 0, ROUND_LIMIT_S)

    @property
    def sign(self) -> Sign:
        return self._sign

    def promise(self, within_s: float = ROUND_LIMIT_S) -> None:
        """Give a sign of life, and promise the next within that time."""
        before = self._sign
        self._sign = Sign(before.thread, before.key, before.count + 1, within_s)

    def owe_nothing(self) -> None:
        """Give a sign of life; the next comes when others want something of this thread."""
        self.promise(math.inf)


class Roster:
    """The threads of this process that give signs of life."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards every field below
        self._keys = itertools.count()
        self._vitals: dict[int, Vital] = {}

    def enter(self, thread: str) -> Vital:
        """Add a thread, which owes a sign from now on."""
        with self._guard:
            key = next(self._keys)
            vital = self._vitals[key] = Vital(thread, key)
            return vital

    def leave(self, vital: Vital) -> None:
        """Take a thread out that has ended as it should. One that died stays, silent."""
        with self._guard:
            self._vitals.pop(vital.sign.key, None)

    def signs(self) -> tuple[Sign, ...]:
        """Return the newest sign of every thread, the oldest thread first."""
        with self._guard:
            return tuple(vital.sign for vital in self._vitals.values())


# One for the process, not one handed from part to part: a thread that somebody forgot to hand it to
# would be the one whose hang nobody sees.
ROSTER = Roster()
