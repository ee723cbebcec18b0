"""Keeps the file true that tells others on this machine whether the running service is ready."""

from __future__ import annotations

import logging
from pathlib import Path

from camera_app.clock import Clock
from camera_app.health.readiness import readiness_of
from camera_app.health.status import DeviceFigures
from camera_app.readiness import FILE_NAME, Readiness, write_readiness

_log = logging.getLogger(__name__)


class ReadinessFile:
    """The file of this service. Belongs to the heartbeat's thread.

    Args:
        folder: The runtime folder.
        clock: Time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._told = ""  # the shortfalls in the log's words
        self._trouble = ""

    def tell(self, figures: DeviceFigures) -> None:
        """Write how things stand; log it when that has changed."""
        now_ns = self._clock.monotonic_ns()
        readiness = readiness_of(figures, now_ns)
        self._log_change(readiness)
        try:
            write_readiness(self._folder, readiness, now_ns)
            self._trouble = ""
        except OSError as error:
            # A health check takes the old file for a hang, which is as near as it can get.
            if str(error) != self._trouble:
                _log.warning("readiness cannot be told: %s", error)
            self._trouble = str(error)

    def remove(self) -> None:
        """Take the file away: nobody sees or delivers any more."""
        try:
            (self._folder / FILE_NAME).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("readiness cannot be taken back: %s", error)

    def _log_change(self, readiness: Readiness) -> None:
        told = "; ".join(map(str, readiness.shortfalls)) or "ready"
        if told != self._told:
            _log.info("%s", f"not ready: {told}" if readiness.shortfalls else told)
        self._told = told
