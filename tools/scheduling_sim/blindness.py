"""Measures blindness: time in which frames came and nothing was looked at."""

from __future__ import annotations

from tools.scheduling_sim.devices import seconds_ns

INCIDENT_NS = seconds_ns(0.5)  # shorter times are the ordinary wait for an answer
STILL_AFTER_NS = seconds_ns(1.0)  # so long after the last frame there was nothing to be blind to


class Blindness:
    """Follows frames and answers of all cameras together.

    Attributes:
        longest_ns: The longest time.
        total_ns: All times that were incidents.
    """

    def __init__(self) -> None:
        self.longest_ns = 0
        self.total_ns = 0
        self._since_ns: int | None = None  # the first frame that came since the last answer
        self._frame_ns = 0  # the last frame

    def note_frame(self, now_ns: int) -> None:
        """Take note that a camera wants a look."""
        if self._since_ns is not None and now_ns - self._frame_ns >= STILL_AFTER_NS:
            self._end(self._frame_ns)
        if self._since_ns is None:
            self._since_ns = now_ns
        self._frame_ns = now_ns

    def note_answer(self, now_ns: int, *, is_more_waiting: bool) -> None:
        """Take note of an answer.

        Args:
            now_ns: Now.
            is_more_waiting: Other frames are still without one.
        """
        self._end(now_ns)
        if is_more_waiting:
            self._since_ns = now_ns

    def _end(self, end_ns: int) -> None:
        if self._since_ns is None:
            return
        blind_ns = end_ns - self._since_ns
        self._since_ns = None
        self.longest_ns = max(self.longest_ns, blind_ns)
        if blind_ns >= INCIDENT_NS:
            self.total_ns += blind_ns
