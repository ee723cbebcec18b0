"""How values spread: exactly, or counted in buckets, cheap enough for every frame. Pure.

One thread observes, or those that hold one lock; any thread may read. A reader may see a sum that
is one value behind its counts, never counts that do not add up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

# From half a millisecond, a small network, to five seconds, after which a frame is given up.
STEP_BOUNDS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
# From a broker beside us to an outage of days.
DELIVERY_BOUNDS_S = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0),
    *(300.0, 1800.0, 7200.0, 43_200.0, 172_800.0),
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """How values were spread at one moment.

    Attributes:
        bounds: Upper ends of the buckets, included in them, rising.
        counts: Values in each bucket, and last those above all bounds.
        total: Sum of all values.
    """

    bounds: tuple[float, ...] = ()
    counts: tuple[int, ...] = (0,)
    total: float = 0.0

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


class Histogram:
    """Counts values in buckets.

    Args:
        bounds: Upper ends of the buckets, rising.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float] = STEP_BOUNDS_S) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def distribution(self) -> Distribution:
        """Return how the values are spread now."""
        return Distribution(self._bounds, tuple(self._counts), self._total)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value that a share of the others is below; None of nothing.

    Args:
        ordered: The values, the smallest first.
        share: 0.0 to 1.0.
    """
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
