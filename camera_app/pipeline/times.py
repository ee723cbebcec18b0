"""Where the time of a frame goes, from its capture to what was made of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from camera_app.clock import seconds
from camera_app.histogram import Distribution, Histogram


class Step(StrEnum):
    """What happens to a frame, in this order; together they are its latency."""

    HAND_OVER = "hand_over"  # from capture until the camera's thread has it; motion is looked for
    GATE = "gate"  # whether and where to look
    LOOK = "look"  # the networks, with waiting for them
    TRACK = "track"  # tracks and events
    TELL = "tell"  # changes handed to the store, stills, counts


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """How long the frames of one camera took.

    Attributes:
        steps: By step; frames that were shed have the first two of them at most.
        latency: All steps together, of frames that were looked at.
    """

    steps: Mapping[Step, Distribution] = field(default_factory=dict)
    latency: Distribution = field(default_factory=Distribution)


class Stopwatch:
    """Takes the times of one camera's frames. Belongs to one thread; any may read `times`."""

    def __init__(self) -> None:
        self._steps = {step: Histogram() for step in Step}
        self._latency = Histogram()
        self._captured_ns = self._since_ns = 0
        self._ends_ns = dict.fromkeys(Step, 0)

    def begin(self, captured_ns: int, now_ns: int) -> None:
        """Take note of a frame that was taken up."""
        self._captured_ns = self._since_ns = captured_ns
        self.end(Step.HAND_OVER, now_ns)

    def end(self, step: Step, now_ns: int) -> None:
        """Take note that a step is done, and the next begins."""
        self._steps[step].observe(seconds(now_ns - self._since_ns))
        self._since_ns = self._ends_ns[step] = now_ns

    def conclude(self, now_ns: int) -> None:
        """Take note that the frame was looked at, and that everybody knows."""
        self.end(Step.TELL, now_ns)
        self._latency.observe(seconds(now_ns - self._captured_ns))

    def ends_ns(self) -> tuple[int, ...]:
        """Return when each step of the last frame that was concluded ended; on its thread."""
        return tuple(self._ends_ns.values())

    def times(self) -> FrameTimes:
        """Return how long the frames took so far."""
        steps = {step: histogram.distribution() for step, histogram in self._steps.items()}
        return FrameTimes(steps, self._latency.distribution())
