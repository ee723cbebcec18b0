"""Keeps the file true that tells others on this machine whether the running service is ready."""

from __future__ import annotations

import logging
from pathlib import Path

from camera_app.clock import Clock, nanoseconds
from camera_app.health.readiness import readiness_of
from camera_app.health.status import DeviceFigures
from camera_app.readiness import FILE_NAME, Ability, Readiness, write_readiness

_log = logging.getLogger(__name__)

# What has not changed is told anew so often that it stays far from being stale.
EVERY_S = 2.0


class ReadinessFile:
    """The file of this service. Belongs to the heartbeat's thread.

    Args:
        folder: The runtime folder.
        clock: Time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._told: Readiness | None = None  # what stands in the file
        self._told_ns = 0
        self._logged: frozenset[tuple[Ability, str]] | None = None  # what failed, and where
        self._has_been_ready = False
        self._trouble = ""

    def tell(self, figures: DeviceFigures) -> None:
        """Write how things stand; log it when that has changed."""
        now_ns = self._clock.monotonic_ns()
        readiness = readiness_of(figures, now_ns)
        self._log_change(readiness)
        if readiness != self._told or now_ns - self._told_ns >= nanoseconds(EVERY_S):
            self._write(readiness, now_ns)

    def _write(self, readiness: Readiness, now_ns: int) -> None:
        try:
            write_readiness(self._folder, readiness, now_ns)
        except OSError as error:
            # A health check takes the old file for a hang, which is as near as it can get.
            if str(error) != self._trouble:
                _log.warning("readiness cannot be told: %s", error)
            self._trouble = str(error)
        else:
            self._told, self._told_ns, self._trouble = readiness, now_ns, ""

    def remove(self) -> None:
        """Take the file away: nobody sees or delivers any more."""
        try:
            (self._folder / FILE_NAME).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("readiness cannot be taken back: %s", error)

    def _log_change(self, readiness: Readiness) -> None:
        """Log what fails now, once: in what words it does may change with every attempt."""
        failing = frozenset((one.ability, one.where) for one in readiness.shortfalls)
        if failing == self._logged:
            return
        self._logged = failing
        if readiness.is_ready:
            self._has_been_ready = True
            _log.info("ready")
        else:
            # At a start nothing is amiss yet: whatever does not come by itself is told elsewhere.
            level = logging.WARNING if self._has_been_ready else logging.INFO
            _log.log(level, "not ready: %s", "; ".join(map(str, readiness.shortfalls)))
