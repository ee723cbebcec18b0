"""What a fault did to the camera: figures from what its log has told. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

# A stick is back when it gives this share of the answers that it gave before, over so long.
BACK_SHARE = 0.8
BACK_OVER_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one fault did.

    Attributes:
        fault: Its name.
        blind_s: Time in which frames came and nobody looked.
        longest_gap_s: Longest time between two looks.
        shed: Frames that were shed meanwhile, by reason.
        back_s: From the end of the fault to the stick being used again; None: it was not.
        exits: How often the camera's process ended.
        findings: What it said of the stick.
    """

    fault: str
    blind_s: float
    longest_gap_s: float
    shed: dict[str, int] = field(default_factory=dict)
    back_s: float | None = None
    exits: int = 0
    findings: tuple[str, ...] = ()

    def is_good(self, *, blind_limit_s: float = 1.0, back_limit_s: float = 5.0) -> bool:
        """Tell whether it keeps what is promised."""
        is_back = self.back_s is not None and self.back_s <= back_limit_s
        return self.blind_s < blind_limit_s and is_back and not self.exits


def gaps(seen_s: Sequence[float], begin_s: float, end_s: float) -> list[float]:
    """Return the times between looks in a span, its two ends taken for looks if none is near."""
    inside = [at_s for at_s in seen_s if begin_s < at_s < end_s]
    before = [at_s for at_s in seen_s if at_s <= begin_s][-1:]
    moments = [*(before or [begin_s]), *inside, end_s]
    return [after - first for first, after in itertools.pairwise(moments)]


def blind_s(seen_s: Sequence[float], begin_s: float, end_s: float, interval_s: float) -> float:
    """Return the time in which frames came and nobody looked.

    A gap of two intervals is one frame left out; of a longer one all but an interval counts.
    """
    return sum(gap - interval_s for gap in gaps(seen_s, begin_s, end_s) if gap > 2 * interval_s)


def back_at_s(counts: Sequence[tuple[float, int]], since_s: float, per_s: float) -> float | None:
    """Return when a stick began to give its answers again, or None.

    Args:
        counts: Answers that it had given at moments, in order.
        since_s: Not before this.
        per_s: Answers a second that it gave when all was well.
    """
    needed = BACK_SHARE * per_s * BACK_OVER_S
    ends = iter(counts)
    end = next(ends, None)
    for at_s, count in counts:
        if at_s < since_s:
            continue
        while end is not None and end[0] < at_s + BACK_OVER_S:
            end = next(ends, None)
        if end is None:
            return None
        if end[1] - count >= needed:
            return at_s
    return None


def believed_s(
    counts: Sequence[tuple[float, int]], lost_s: Sequence[float], begin_s: float, over_s: float
) -> float:
    """Return how long nonsense was believed: from the first such answer until its stick went.

    Args:
        counts: Answers that the stick had given at moments, in order.
        lost_s: When it was put away.
        begin_s: From when on it answered nonsense.
        over_s: Until when it did.
    """
    before = max((count for at_s, count in counts if at_s <= begin_s), default=0)
    first_s = next((at_s for at_s, count in counts if count > before), over_s)
    put_away_s = next((at_s for at_s in lost_s if at_s > begin_s), over_s)
    return max(0.0, put_away_s - first_s)
