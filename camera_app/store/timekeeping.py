"""How far a wall-clock stamp can be believed, and in which run of the machine it was made.

A Raspberry Pi keeps no time while it is off: until a time server is heard its date is a guess. The
kernel knows whether its clock is being kept, and how far off it may be.
"""

from __future__ import annotations

import ctypes
import os
import uuid
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.store.retention import TRUSTED_FROM_NS
from camera_app.values import EventChange

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
ASK_EVERY_S = 1.0

_STA_UNSYNC = 0x40  # <sys/timex.h>: nobody keeps the clock


class Timekeeping(Protocol):
    """What the machine knows of its clock."""

    def boot_id(self) -> str:
        """Name the run of the machine in which monotonic times can be compared."""

    def uncertainty_s(self) -> float | None:
        """Return how far off the wall clock may be; None: nobody knows."""


class KernelTime:
    """Asks the kernel."""

    def boot_id(self) -> str:
        return _kernel_boot_id()

    def uncertainty_s(self) -> float | None:
        told = kernel_clock()
        return told.max_error_s if told is not None and told.is_kept else None


@dataclass(frozen=True, slots=True)
class KernelClock:
    """What the kernel says of its clock.

    Attributes:
        is_kept: Somebody has set it right and keeps it so.
        max_error_s: How far off it may be then.
    """

    is_kept: bool
    max_error_s: float


def kernel_clock() -> KernelClock | None:
    """Ask the kernel for its clock; None where it may not be asked, as in some containers."""
    state = _Timex()  # modes 0: only to read
    adjtimex = getattr(ctypes.CDLL(None, use_errno=True), "adjtimex", None)
    if adjtimex is None or adjtimex(ctypes.byref(state)) < 0:
        return None
    return KernelClock(not state.status & _STA_UNSYNC, float(state.max_error_us) / 1e6)


class _Timex(ctypes.Structure):
    """The beginning of the kernel's `struct timex`; the rest is room for it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("frequency", ctypes.c_long),
        ("max_error_us", ctypes.c_long),
        ("estimated_error_us", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_long * 32),
    )


@lru_cache(maxsize=1)
def _kernel_boot_id() -> str:
    try:
        return str(uuid.UUID(BOOT_ID_FILE.read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        # Hidden from us, as some containers do; then each run of the service counts as one.
        return str(uuid.UUID(bytes=os.urandom(16), version=4))


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a record says of the time in it.

    Attributes:
        boot_id: The run of the machine.
        monotonic_s: Capture of the frame that brought the change about, in seconds of that run.
        uncertainty_s: How far off the wall-clock stamps of the record may be; None: nobody knows.
    """

    boot_id: str
    monotonic_s: float
    uncertainty_s: float | None


class Stamper:
    """Stamps changes; asks the machine once a second at most. From any thread.

    Attributes:
        boot_id: The run of the machine.
    """

    def __init__(self, timekeeping: Timekeeping, clock: Clock) -> None:
        self._timekeeping = timekeeping
        self._clock = clock
        self.boot_id = timekeeping.boot_id()
        # When it was asked, and the answer: replaced as one, so a thread sees either whole.
        self._asked: tuple[int, float | None] | None = None

    def stamp(self, change: EventChange) -> Stamp:
        """Return what to say of the time of a change."""
        is_dated = change.wall_ns >= TRUSTED_FROM_NS
        return Stamp(
            boot_id=self.boot_id,
            monotonic_s=round(seconds(change.at_ns), 3),
            uncertainty_s=self.uncertainty_s() if is_dated else None,
        )

    def is_dated(self) -> bool:
        """Say whether the machine knows the date now."""
        return self.uncertainty_s() is not None and self._clock.wall_ns() >= TRUSTED_FROM_NS

    def uncertainty_s(self) -> float | None:
        """Return how far off the wall clock may be now; None: nobody knows."""
        now_ns = self._clock.monotonic_ns()
        asked = self._asked
        if asked is None or now_ns - asked[0] >= nanoseconds(ASK_EVERY_S):
            found = self._timekeeping.uncertainty_s()
            asked = now_ns, None if found is None else round(found, 3)
            self._asked = asked
        return asked[1]
