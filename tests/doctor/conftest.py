"""A made-up machine below a folder, and what a check says of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from camera_app.config import parse_config
from camera_app.doctor import Examined, Finding, Machine, Subject
from camera_app.doctor.service import Service
from camera_app.store.timekeeping import KernelClock
from tests.capture.conftest import (
    _gstreamer_server,
    locked_rtsp_server,
    make_clip,
    rtsp_server,
)
from tests.made_files import MadeFiles, write_script
from tests.publish.conftest import broker

__all__ = ["_gstreamer_server", "broker", "locked_rtsp_server", "make_clip", "rtsp_server"]

NOW_S = 1_800_000_000.0  # January 2027


def kinds(found: Examined | Iterable[Finding]) -> list[str]:
    """Return the names of what was found."""
    findings = found.findings if isinstance(found, Examined) else found
    return [finding.kind for finding in findings]


class MadeMachine(MadeFiles):
    """A machine whose files and commands a test writes.

    Attributes:
        kernel_clock: What its kernel says of the clock.
        now_s: Its wall time.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder / "machine")
        self.root.mkdir()
        self.kernel_clock: KernelClock | None = KernelClock(is_kept=True, max_error_s=0.01)
        self.now_s = NOW_S
        self._commands = folder / "commands"
        self._commands.mkdir()
        monkeypatch.setenv("PATH", f"{self._commands}:{os.environ['PATH']}")

    def command(self, name: str, script: str) -> None:
        """Put a program into PATH, before any real one of that name."""
        write_script(self._commands / name, script)

    @property
    def machine(self) -> Machine:
        return Machine(self.root, kernel_clock=lambda: self.kernel_clock, wall_s=lambda: self.now_s)

    def subject(
        self, config: str = "", *, service: Service | None = None, limit_s: float = 30.0
    ) -> Subject:
        """Return what is examined: this machine, with a configuration if one is given."""
        given = parse_config(config) if config else None
        path = self.write("camera.toml", config) if config else None
        return Subject(self.machine, service or Service(), path, given, None, limit_s)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeMachine:
    return MadeMachine(tmp_path, monkeypatch)


UNSYNCHRONISED = KernelClock(is_kept=False, max_error_s=16.0)
