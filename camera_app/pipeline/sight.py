"""Blind seconds: time in which frames came and nothing looked. Pure.

A camera sees when a frame was looked at, or when its motion gate found nothing new in it.
"""

from __future__ import annotations

from typing import NamedTuple

from camera_app.clock import nanoseconds

# A frame takes some time from capture to conclusion, and a busy device looks at a part of them
# only; that is no blindness. What is longer counts whole.
UNNOTICED_NS = nanoseconds(0.5)


class Sight:
    """How long one camera was blind. Belongs to one thread.

    Any thread may read it: a thread that hangs cannot tell of it.
    """

    def __init__(self) -> None:
        # Replaced as one, so that no reader counts a gap twice.
        self._state = _State()

    @property
    def unseen_since_ns(self) -> int | None:
        """Capture of the first frame nobody saw since; None: all is seen."""
        return self._state.unseen_since_ns

    def take(self, captured_ns: int) -> None:
        """Take note of a frame that is to be seen."""
        blind_ns, unseen_since_ns, _ = self._state
        since_ns = captured_ns if unseen_since_ns is None else unseen_since_ns
        self._state = _State(blind_ns, since_ns, captured_ns)

    def see(self, now_ns: int) -> None:
        """Take note that the newest frame has been seen."""
        blind_ns, unseen_since_ns, newest_ns = self._state
        if unseen_since_ns is not None:
            blind_ns += _counted(now_ns - unseen_since_ns)
        self._state = _State(blind_ns, None, newest_ns)

    def rest(self) -> None:
        """Take note that no frame has come for long: who has nothing to see is not blind."""
        newest_ns = self._state.newest_ns
        until_ns = newest_ns + UNNOTICED_NS
        self._state = _State(self.blind_ns(until_ns), None, newest_ns)

    def blind_ns(self, now_ns: int, came_ns: int = 0) -> int:
        """Return the time in which it was blind so far.

        Args:
            now_ns: The moment.
            came_ns: Capture of the newest frame that has come, if one came after those taken.
        """
        blind_ns, unseen_since_ns, newest_ns = self._state
        if unseen_since_ns is None:
            return blind_ns
        until_ns = min(now_ns, max(newest_ns, came_ns) + UNNOTICED_NS)
        return blind_ns + _counted(until_ns - unseen_since_ns)


class _State(NamedTuple):
    """What is known of one camera's sight.

    Attributes:
        blind_ns: How long it was blind until all was seen the last time.
        unseen_since_ns: Capture of the first frame nobody saw since; None: all is seen.
        newest_ns: Capture of the newest frame that was taken.
    """

    blind_ns: int = 0
    unseen_since_ns: int | None = None
    newest_ns: int = 0


def _counted(gap_ns: int) -> int:
    return gap_ns if gap_ns > UNNOTICED_NS else 0
