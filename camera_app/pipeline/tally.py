"""The conservation law of one camera: no frame is lost without a reason.

captured = looked at + shed for each reason + under way, at every moment and for every reader.
"""

from __future__ import annotations

import threading
from collections import Counter

from camera_app.pipeline.looking import ShedReason
from camera_app.values import FrameCounts


class FrameTally:
    """Counts frames by fate. Each step moves a frame from one place to the next, never half way.

    One thread moves them; any thread may read.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards every field below
        self._captured = 0
        self._under_way = 0
        self._looked_at = 0
        self._shed: Counter[str] = Counter()

    def begin(self) -> None:
        """Count a frame that was taken up; it is under way."""
        with self._guard:
            self._captured += 1
            self._under_way += 1

    def look(self) -> None:
        """Count a frame that was under way as looked at."""
        with self._guard:
            self._end_one()
            self._looked_at += 1

    def shed(self, reason: ShedReason) -> None:
        """Count a frame that was under way as shed."""
        with self._guard:
            self._end_one()
            self._shed[reason] += 1

    def pass_over(self, reason: ShedReason, frames: int = 1) -> None:
        """Count frames that were never taken up."""
        if not frames:
            return
        with self._guard:
            self._captured += frames
            self._shed[reason] += frames

    @property
    def counts(self) -> FrameCounts:
        """The counts of one moment."""
        with self._guard:
            shed = dict(self._shed)
            return FrameCounts(self._captured, self._looked_at, shed, self._under_way)

    @property
    def has_under_way(self) -> bool:
        """Whether a frame that was taken up has not ended."""
        return self._under_way > 0

    def _end_one(self) -> None:
        if not self._under_way:
            raise AssertionError("a frame was ended that nobody had taken up")
        self._under_way -= 1
