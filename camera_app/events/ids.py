"""Names for events: UUIDs that sort by time.

The layout is that of UUID version 7: 48 bits of wall-clock milliseconds, then random bits. Where
the random bits come from is handed in: the machine's source for a live camera, a seed for replay,
so that the same clip gives the same names.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from itertools import count
from uuid import UUID

RANDOM_BITS = 74

RandomBits = Callable[[], int]


def random_bits() -> int:
    """Return 74 bits that nobody can foresee."""
    return secrets.randbits(RANDOM_BITS)


def seeded_bits(seed: str) -> RandomBits:
    """Return a source of 74-bit numbers that repeats itself for the same seed."""
    numbers = count()

    def next_bits() -> int:
        digest = hashlib.sha256(f"{seed}/{next(numbers)}".encode()).digest()
        return int.from_bytes(digest[:10], "big") & ((1 << RANDOM_BITS) - 1)

    return next_bits


def event_id(wall_ns: int, bits: int) -> str:
    """Return the UUID of version 7 for a wall-clock moment and 74 random bits."""
    milliseconds = max(0, wall_ns // 1_000_000) & ((1 << 48) - 1)
    high, low = bits >> 62, bits & ((1 << 62) - 1)
    number = milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low
    return str(UUID(int=number))
