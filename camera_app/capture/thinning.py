"""Which frames of a fast source are taken so that what is left is even in time. Pure."""

from __future__ import annotations

from camera_app.clock import nanoseconds

# A frame may come this much early and is still taken: cameras and networks jitter. Never more than
# a quarter of a period, or fast rates would be exceeded.
EARLY_NS = 20_000_000


class Thinner:
    """Takes frames at a given rate, by their time stamps; a slower source passes whole."""

    def __init__(self, fps: float) -> None:
        self._period_ns = nanoseconds(1.0 / fps)
        self._early_ns = min(EARLY_NS, self._period_ns // 4)
        self._due_ns: int | None = None

    def takes(self, at_ns: int) -> bool:
        """Return whether the frame with this time stamp is taken; stamps never decrease."""
        if self._due_ns is None:
            self._due_ns = at_ns
        if at_ns + self._early_ns < self._due_ns:
            return False
        # Counting on from when it was due, not from when it came, keeps the average exact;
        # after a gap there is nothing to catch up with.
        is_late = at_ns > self._due_ns + self._period_ns
        self._due_ns = (at_ns if is_late else self._due_ns) + self._period_ns
        return True
