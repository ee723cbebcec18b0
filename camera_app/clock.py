"""Where time comes from. One clock is handed in; nothing else in the house asks the system.

Monotonic time orders and measures; wall time is only ever a stamp, because a Raspberry Pi has
no battery-backed clock and may learn the date minutes after it starts.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

NS_PER_S = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Tells the time; a manual one stands in for it in tests and replay."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back; zero is arbitrary."""

    def wall_ns(self) -> int:
        """Return nanoseconds since 1970-01-01 UTC as far as this machine knows."""


class SystemClock:
    """The clock of the machine."""

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()


class ManualClock:
    """A clock that stands still until it is moved: for tests and for replay.

    Attributes:
        now_ns: The monotonic reading.
        wall_offset_ns: What to add for the wall reading.
    """

    def __init__(self, now_ns: int = 0, wall_offset_ns: int = 0) -> None:
        self.now_ns = now_ns
        self.wall_offset_ns = wall_offset_ns

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns + self.wall_offset_ns

    def advance(self, seconds: float) -> None:
        """Move forward; going back is refused as a real monotonic clock would."""
        if seconds < 0:
            raise ValueError(f"a monotonic clock cannot go back by {-seconds} s")
        self.now_ns += round(seconds * NS_PER_S)

    def move_to(self, now_ns: int) -> None:
        """Set the monotonic reading, which may not be earlier than it is."""
        if now_ns < self.now_ns:
            raise ValueError(f"a monotonic clock cannot go back to {now_ns} from {self.now_ns}")
        self.now_ns = now_ns


def seconds(nanoseconds: int) -> float:
    """Return a span of nanoseconds in seconds."""
    return nanoseconds / NS_PER_S


def nanoseconds(span_s: float) -> int:
    """Return a span of seconds in whole nanoseconds."""
    return round(span_s * NS_PER_S)


def wall_ns_of(moment: datetime) -> int:
    """Return the wall stamp of a moment, to the microsecond; the way back from `iso_utc`.

    Args:
        moment: With its offset from UTC.
    """
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def iso_utc(wall_ns: int) -> str:
    """Return a wall stamp as ISO 8601 in UTC, with milliseconds: 2026-01-31T07:05:00.250Z."""
    whole_s, rest_ns = divmod(wall_ns, NS_PER_S)
    return f"{_iso_second(whole_s)}.{rest_ns // 1_000_000:03d}Z"


@lru_cache(maxsize=64)  # the stamps of one record lie within a few seconds
def _iso_second(whole_s: int) -> str:
    return datetime.fromtimestamp(whole_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
