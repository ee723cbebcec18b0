"""What is examined, as it is handed to every check, and what a check gives back. Only values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from camera_app.config import Config
from camera_app.doctor.findings import Finding, Kind, Severity
from camera_app.doctor.machine import Machine
from camera_app.doctor.service import Service, ourselves, user_name
from camera_app.errors import ConfigError
from camera_app.store.known_good import Standing

LIMIT_S = 12.0  # a check has, if nobody says otherwise


@dataclass(frozen=True, slots=True)
class Subject:
    """One camera_app on one machine.

    Attributes:
        machine: Where facts come from.
        service: What runs of it.
        config_path: Its configuration file; None: none was given and none found.
        config: What is examined: what stands in it, or if it is wrong the last good one; None:
            there is neither.
        config_error: Why the file is refused; None: it is not.
        standing: What the service wrote down when it last read the file; None: nothing.
        limit_s: How long a check may take.
    """

    machine: Machine
    service: Service
    config_path: Path | None = None
    config: Config | None = None
    config_error: ConfigError | None = None
    limit_s: float = LIMIT_S
    standing: Standing | None = None

    @property
    def user(self) -> str:
        """As whom the service runs; as long as it does not, who asks."""
        return user_name((self.service.who or ourselves()).uid)

    @property
    def lacks_config(self) -> str:
        """Why there is nothing configured to examine."""
        if self.config_error is not None:
            return "the configuration is refused"
        return "there is no configuration"

    @property
    def config_argument(self) -> str:
        """The configuration, for a line to type."""
        return str(self.config_path) if self.config_path is not None else "camera.toml"


@dataclass(frozen=True, slots=True)
class Examined:
    """What a check brought.

    Attributes:
        facts: What was seen, for people.
        findings: What is wrong.
        skipped: Why nothing was looked at; empty: it was.
    """

    facts: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One area that is examined.

    Attributes:
        name: As `--only` takes it.
        about: What it looks at.
        examine: Looks, and judges.
        kinds: All that it can find.
    """

    name: str
    about: str
    examine: Callable[[Subject], Examined]
    kinds: tuple[Kind, ...]


class Kinds:
    """Makes the kinds of one check, and keeps them in order for the guide.

    Args:
        check: Name of the check.
    """

    def __init__(self, check: str) -> None:
        self._check = check
        self._made: list[Kind] = []

    @property
    def made(self) -> tuple[Kind, ...]:
        return tuple(self._made)

    def error(self, name: str, meaning: str, remedy: str, line: str) -> Kind:
        return self._make(name, Severity.ERROR, meaning, remedy, line)

    def warning(self, name: str, meaning: str, remedy: str, line: str) -> Kind:
        return self._make(name, Severity.WARNING, meaning, remedy, line)

    def note(self, name: str, meaning: str, remedy: str, line: str) -> Kind:
        return self._make(name, Severity.NOTE, meaning, remedy, line)

    def _make(self, name: str, severity: Severity, meaning: str, remedy: str, line: str) -> Kind:
        kind = Kind(f"{self._check}.{name}", severity, meaning, remedy, line)
        self._made.append(kind)
        return kind
