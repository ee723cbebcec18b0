"""The thread that keeps the retained state true: can this camera see, how does the device do.

It reads each part's frozen figures and writes to the state board; no part imports upward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import Clock, nanoseconds
from camera_app.config import SnapshotSettings
from camera_app.health.status import DeviceFigures, Standing, status_of
from camera_app.media import tidy
from camera_app.publish import (
    FallbackStatus,
    StateBoard,
    Topics,
    availability_message,
    fallback_message,
    status_message,
)
from camera_app.threads import Worker

PULSE_S = 1.0
TIDY_S = 600.0
TIDY_LIMIT_S = 120.0  # thousands of stills on a slow card


@dataclass(frozen=True, slots=True)
class SnapshotFolder:
    """One camera's stills and their limits."""

    folder: Path
    settings: SnapshotSettings


class Heartbeat(Worker):
    """Tells availability and fallbacks within a second, status at its interval; tidies the stills.

    Args:
        figures: Reads every part's figures; called on this thread.
        board: Where the state is told.
        topics: Names of the topics.
        clock: Time.
        status_interval_s: Seconds between two status messages.
        snapshots: Returns the folders to tidy.
        pulse: What else is to be done at each pulse, before the figures are read.
        readers: Who else is handed the figures at each pulse; must not block.
    """

    def __init__(
        self,
        figures: Callable[[], DeviceFigures],
        board: StateBoard,
        topics: Topics,
        clock: Clock,
        *,
        status_interval_s: float,
        snapshots: Callable[[], Sequence[SnapshotFolder]] = tuple,
        pulse: Callable[[], None] = lambda: None,
        readers: Sequence[Callable[[DeviceFigures], None]] = (),
    ) -> None:
        super().__init__("camera-app heartbeat")
        self._figures = figures
        self._board = board
        self._topics = topics
        self._clock = clock
        self._status_interval_ns = nanoseconds(status_interval_s)
        self._snapshots = snapshots
        self._pulse = pulse
        self._readers = tuple(readers)
        # Owned by this thread.
        self._standing = Standing()
        self._told_fallback: FallbackStatus | None = None
        self._told_ns: int | None = None
        # Level of the disk, state of the store, trouble of the metrics.
        self._told_alarm: tuple[str, str, str] | None = None
        self._tidied_ns: int | None = None

    def tell_status_every(self, interval_s: float) -> None:
        """Tell the status at another interval from now on; any thread."""
        self._status_interval_ns = nanoseconds(interval_s)

    def run_once(self) -> None:
        """Look once at every part, then wait for the next pulse."""
        now_ns = self._clock.monotonic_ns()
        self._pulse()
        figures = self._figures()
        self._tell_availability(figures)
        self._tell_fallback(figures)
        for read in self._readers:
            read(figures)
        alarm = (figures.space.level, figures.store.state, figures.metrics_trouble)
        is_due = self._told_ns is None or now_ns - self._told_ns >= self._status_interval_ns
        if is_due or alarm != self._told_alarm:  # a full disk cannot wait for its turn
            self._told_ns, self._told_alarm = now_ns, alarm
            self._board.put(self._topics.status, status_message(status_of(figures)))
        if self._tidied_ns is None or now_ns - self._tidied_ns >= nanoseconds(TIDY_S):
            self._tidied_ns = now_ns
            self._tidy()
        self.rest(PULSE_S)

    def closed(self) -> None:
        """Say that no camera sees any more."""
        for name in self._figures().cameras:
            self._board.put(self._topics.camera_availability(name), availability_message(False))

    def _tell_availability(self, figures: DeviceFigures) -> None:
        for name, camera in figures.cameras.items():
            payload = availability_message(camera.source.is_delivering)
            self._board.put(self._topics.camera_availability(name), payload)

    def _tell_fallback(self, figures: DeviceFigures) -> None:
        status = self._standing.fallback(figures.executor, self._clock.wall_ns())
        if status is not self._told_fallback:
            self._told_fallback = status
            self._board.put(self._topics.fallback, fallback_message(status))

    def _tidy(self) -> None:
        self.promise(TIDY_LIMIT_S)
        for one in self._snapshots():
            tidy(one.folder, one.settings, self._clock.wall_ns() / 1e9)
