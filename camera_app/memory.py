"""What this process does so that it takes no more memory than it needs, for as long as it runs.

It asks the C library; one that does not know the request (musl) is left as it is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from camera_app.clock import Clock, nanoseconds

# It takes about a millisecond, in which other threads wait if they want memory.
GIVE_BACK_EVERY_S = 60.0


def give_back_what_is_free() -> None:
    """Give the system what was needed for a while only, as to read files and load networks."""
    ask = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if ask is not None:
        ask(0)


class MemoryKeeper:
    """Gives back what is free now and then, so that a burst of work leaves nothing for a year.

    A heap shrinks by itself only at its end, and a year is long enough for something small to be
    kept there.

    Args:
        clock: Time.
        give_back: Does it.
    """

    def __init__(
        self, clock: Clock, give_back: Callable[[], None] = give_back_what_is_free
    ) -> None:
        self._clock = clock
        self._give_back = give_back
        self._given_ns = clock.monotonic_ns()

    def look(self) -> None:
        """Give back what is free, if it is time; on the thread that keeps this."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._given_ns >= nanoseconds(GIVE_BACK_EVERY_S):
            self._given_ns = now_ns
            self._give_back()
