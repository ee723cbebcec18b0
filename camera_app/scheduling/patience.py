"""How long something must go well before it counts as well again. Pure.

What comes and goes must not flap: each relapse soon after the last one doubles the wait.
"""

from __future__ import annotations

from camera_app.clock import nanoseconds


class Patience:
    """A wait that doubles with each relapse, up to a cap, and begins anew after a calm time.

    Args:
        first_s: The wait after a first relapse, seconds.
        cap_s: The longest wait. After twice as long without a relapse all begins anew: once, so
            that the longest wait itself is no calm.
    """

    def __init__(self, *, first_s: float, cap_s: float) -> None:
        self._first_ns = nanoseconds(first_s)
        self._cap_ns = nanoseconds(cap_s)
        self._relapsed_ns: int | None = None
        self.wait_ns = self._first_ns

    def relapse(self, now_ns: int) -> None:
        """Take note that it went wrong."""
        last_ns, self._relapsed_ns = self._relapsed_ns, now_ns
        if last_ns is None or now_ns - last_ns > 2 * self._cap_ns:
            self.wait_ns = self._first_ns
        else:
            self.wait_ns = min(2 * self.wait_ns, self._cap_ns)
