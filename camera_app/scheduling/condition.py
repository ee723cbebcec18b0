"""How far a device is trusted, from what happened with it. Pure.

    broken ──opened, known answers right──> probation ──a few answers in time──> suspect
       ^                                        │                                  │  ^
       └────────── failed, from anywhere ───────┘               quiet for a while  │  │ late
                                                                                   v  │
                                                                                  healthy

A stick that is back is used at once, yet each of its first requests is answered by another device
as well. How long it must then stay quiet grows with each relapse, so a stick that comes and goes is
used whenever it is there, and called healthy a few times an hour at most.
"""

from __future__ import annotations

from camera_app.clock import nanoseconds
from camera_app.scheduling.load import Condition
from camera_app.scheduling.patience import Patience

PROBATION_ANSWERS = 5  # in time, one after the other, before a device is given requests alone

FIRST_TRY_S = 0.25  # a killed child leaves the stick's driver a moment to let go
LAST_TRY_S = 4.0  # below five seconds: a stick that recovers by itself is found again by then

FIRST_QUIET_S = 2.0  # a single late answer is forgotten soon
LONGEST_QUIET_S = 600.0  # a stick that relapses for ever is called healthy six times an hour


class DeviceCondition:
    """The condition of one device; begins as broken: nobody has opened it yet.

    Args:
        now_ns: Now, monotonic, as everywhere below.
    """

    def __init__(self, now_ns: int) -> None:
        self.condition = Condition.BROKEN
        self._next_try_ns = now_ns
        self._try_wait_s = FIRST_TRY_S
        self._quiet = Patience(first_s=FIRST_QUIET_S, cap_s=LONGEST_QUIET_S)
        self._quiet_since_ns = now_ns
        self._in_time = 0

    @property
    def next_try_ns(self) -> int | None:
        """When to open it, monotonic; None while it is open."""
        return self._next_try_ns if self.condition is Condition.BROKEN else None

    def returned(self, now_ns: int) -> None:
        """Take note that it was plugged in: no need to wait before it is opened."""
        self._try_wait_s = FIRST_TRY_S
        self._next_try_ns = now_ns

    def open_failed(self, now_ns: int) -> None:
        """Take note that it could not be opened, or gave wrong answers to what is known."""
        self._wait_before_next_try(now_ns)

    def opened(self, now_ns: int) -> None:
        """Take note that it was opened, and gave the known answers."""
        self.condition = Condition.PROBATION
        self._in_time = 0
        self._quiet_since_ns = now_ns

    def answered(self, now_ns: int) -> None:
        """Take note of an answer in time."""
        if self.condition is Condition.PROBATION:
            self._in_time += 1
            if self._in_time >= PROBATION_ANSWERS:
                self.condition = Condition.SUSPECT
                self._quiet_since_ns = now_ns
        elif self.condition is Condition.SUSPECT and self._was_quiet_until(now_ns):
            self.condition = Condition.HEALTHY
            self._try_wait_s = FIRST_TRY_S

    def late(self, now_ns: int) -> None:
        """Take note that it missed the time expected of it."""
        if self.condition is Condition.HEALTHY:
            self._quiet.relapse(now_ns)
            self.condition = Condition.SUSPECT
        self._in_time = 0
        self._quiet_since_ns = now_ns

    def failed(self, now_ns: int) -> None:
        """Take note that it died, hung, refused, or gave wrong answers: it is closed now."""
        self._quiet.relapse(now_ns)
        self.condition = Condition.BROKEN
        self._wait_before_next_try(now_ns)

    def _was_quiet_until(self, now_ns: int) -> bool:
        return now_ns - self._quiet_since_ns >= self._quiet.wait_ns

    def _wait_before_next_try(self, now_ns: int) -> None:
        self._next_try_ns = now_ns + nanoseconds(self._try_wait_s)
        self._try_wait_s = min(2 * self._try_wait_s, LAST_TRY_S)
