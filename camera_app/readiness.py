"""Whether the running service can see and deliver, as it is told to others on this machine.

The service writes it every two seconds, and at once when it changes, into its runtime folder, which
lies in memory; `camera-app health` reads it. One that hangs or was killed leaves a file that grows
old, so its age is a part of what it says. The rule by which it is decided is in
`health/readiness.py`. Nothing here needs more than the standard library: a health check is started
every half minute, for a year.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from camera_app.clock import seconds
from camera_app.durable import replace_text
from camera_app.errors import HealthUnknown

RUNTIME_VARIABLE = "RUNTIME_DIRECTORY"  # as systemd sets it
FILE_NAME = "readiness.json"
SCHEMA = 1
# The service writes every two seconds; a machine under load or heat may keep it waiting for some.
STALE_AFTER_S = 10.0


class Ability(StrEnum):
    """What a camera is there for."""

    SEE = "see"
    DELIVER = "deliver"


@dataclass(frozen=True, slots=True)
class Shortfall:
    """One thing that keeps the camera from seeing or from delivering.

    Attributes:
        ability: What it cannot do.
        where: What it is that fails: `camera front`, `store`, `disk`, `broker`.
        problem: What is wrong, without a full stop.
    """

    ability: Ability
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the camera can see and deliver.

    Attributes:
        shortfalls: Why not; empty: it can.
    """

    shortfalls: tuple[Shortfall, ...] = ()

    @property
    def is_ready(self) -> bool:
        return not self.shortfalls


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


def runtime_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Return the runtime folder that we were given; None: none, and no readiness is told."""
    return given_folder(RUNTIME_VARIABLE, environment)


def given_folder(variable: str, environment: Mapping[str, str]) -> Path | None:
    """Return the folder that systemd gives a service in a variable; None: it gives none."""
    first = environment.get(variable, "").partition(":")[0]  # systemd may list several
    return Path(first) if first else None


def write_readiness(folder: Path, readiness: Readiness, now_ns: int) -> None:
    """Tell it, in place of what was told before.

    Args:
        folder: The runtime folder.
        readiness: How things stand.
        now_ns: Monotonic time, which all processes of a machine share.

    Raises:
        OSError: It cannot be written.
    """
    plain = {
        "schema": SCHEMA,
        "ready": readiness.is_ready,
        "shortfalls": [asdict(one) for one in readiness.shortfalls],
        "told_ns": now_ns,
    }
    # It need not last, and should the folder lie on a card after all, that must not wear out.
    replace_text(folder / FILE_NAME, json.dumps(plain) + "\n", is_to_last=False)


def read_readiness(folder: Path, now_ns: int) -> ReadinessReport:
    """Return what the service with this runtime folder last said.

    Args:
        folder: The runtime folder.
        now_ns: Monotonic time.

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
