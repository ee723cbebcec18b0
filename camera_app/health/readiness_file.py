"""The file that tells others on this machine whether the running service is ready.

Written by the heartbeat about once a second into the runtime folder, which lies in memory; read by
`camera-app health`. A service that hangs or was killed leaves a file that grows old, so its age is
a part of what it says. The decision itself is in `readiness.py`.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import Clock, seconds
from camera_app.durable import replace_text
from camera_app.errors import HealthUnknown
from camera_app.health.readiness import Ability, Readiness, Shortfall, readiness_of
from camera_app.health.status import DeviceFigures

_log = logging.getLogger(__name__)

RUNTIME_VARIABLE = "RUNTIME_DIRECTORY"  # as systemd sets it
FILE_NAME = "readiness.json"
SCHEMA = 1
# The heartbeat writes every second; a machine under load or heat may keep it waiting for some.
STALE_AFTER_S = 10.0


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """What the file says.

    Attributes:
        readiness: As the service last saw it.
        age_s: How long ago that was.
    """

    readiness: Readiness
    age_s: float

    @property
    def is_stale(self) -> bool:
        """Whether the service has stopped telling: it hangs, has died, or ran before a reboot."""
        return not 0.0 <= self.age_s <= STALE_AFTER_S

    @property
    def is_ready(self) -> bool:
        return self.readiness.is_ready and not self.is_stale


class ReadinessFile:
    """Keeps the file true while the service runs. Belongs to the heartbeat's thread.

    Args:
        folder: The runtime folder.
        clock: Time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / FILE_NAME
        self._clock = clock
        self._told = ""  # the shortfalls in the log's words
        self._trouble = ""

    def tell(self, figures: DeviceFigures) -> None:
        """Write how things stand; log it when that has changed."""
        now_ns = self._clock.monotonic_ns()
        readiness = readiness_of(figures, now_ns)
        self._log_change(readiness)
        try:
            replace_text(self._path, _text(readiness, now_ns))
            self._trouble = ""
        except OSError as error:
            # A health check takes the old file for a hang, which is as near as it can get.
            if str(error) != self._trouble:
                _log.warning("readiness cannot be told: %s", error)
            self._trouble = str(error)

    def remove(self) -> None:
        """Take the file away: nobody sees or delivers any more."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("readiness cannot be taken back: %s", error)

    def _log_change(self, readiness: Readiness) -> None:
        told = "; ".join(map(str, readiness.shortfalls)) or "ready"
        if told != self._told:
            _log.info("%s", f"not ready: {told}" if readiness.shortfalls else told)
        self._told = told


def runtime_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the runtime folder that we were given; None: none, and no readiness is told."""
    first = environment.get(RUNTIME_VARIABLE, "").partition(":")[0]  # systemd may list several
    return Path(first) if first else None


def read_readiness(folder: Path, now_ns: int) -> ReadinessReport:
    """Return what the service in this runtime folder last said.

    Args:
        folder: The runtime folder.
        now_ns: Monotonic time, which all processes of a machine share.

    Raises:
        HealthUnknown: There is no such file, or it cannot be understood.
    """
    path = folder / FILE_NAME
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        shortfalls = tuple(
            Shortfall(Ability(one["ability"]), one["where"], one["problem"])
            for one in plain["shortfalls"]
        )
        age_ns = now_ns - int(plain["told_ns"])
    except FileNotFoundError as error:
        raise HealthUnknown(
            "no service tells its readiness here",
            where=str(path),
            remedy=f"Start it, with {RUNTIME_VARIABLE} naming a folder that it may write to",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HealthUnknown(
            f"the readiness cannot be read ({error})",
            where=str(path),
            remedy="Restart the service",
        ) from error
    return ReadinessReport(Readiness(shortfalls), seconds(age_ns))


def _text(readiness: Readiness, now_ns: int) -> str:
    plain = {
        "schema": SCHEMA,
        "ready": readiness.is_ready,
        "shortfalls": [
            {"ability": one.ability, "where": one.where, "problem": one.problem}
            for one in readiness.shortfalls
        ],
        "told_ns": now_ns,
    }
    return json.dumps(plain, indent=2) + "\n"
