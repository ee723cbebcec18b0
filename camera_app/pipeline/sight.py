"""Blind seconds: time in which frames came and nothing looked. Pure.

A camera sees when a frame was looked at, or when its motion gate found nothing new in it.
"""

from __future__ import annotations

from camera_app.clock import nanoseconds

# A frame takes some time from capture to conclusion, and a busy device looks at a part of them
# only; that is no blindness. What is longer counts whole.
UNNOTICED_S = 0.5


class Sight:
    """How long one camera was blind. Belongs to one thread.

    Attributes:
        unseen_since_ns: Capture of the first frame nobody saw since; None: all is seen. Any
            thread may read it: a thread that hangs cannot tell of it.
    """

    def __init__(self) -> None:
        self.unseen_since_ns: int | None = None
        self._blind_ns = 0

    def take(self, captured_ns: int) -> None:
        """Take note of a frame that is to be seen."""
        if self.unseen_since_ns is None:
            self.unseen_since_ns = captured_ns

    def see(self, now_ns: int) -> None:
        """Take note that the newest frame has been seen."""
        self._blind_ns = self.blind_ns(now_ns)
        self.unseen_since_ns = None

    def blind_ns(self, now_ns: int) -> int:
        """Return the time in which it was blind so far."""
        if self.unseen_since_ns is None:
            return self._blind_ns
        gap_ns = now_ns - self.unseen_since_ns
        return self._blind_ns + (gap_ns if gap_ns > nanoseconds(UNNOTICED_S) else 0)
