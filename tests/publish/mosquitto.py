"""A real mosquitto for one test: started on a free port, killed and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from camera_app.demo.broker import free_port

LIMIT_S = 15.0


def find_mosquitto() -> str:
    """Return the program; the test is skipped without it, but not where CI promises it."""
    found = shutil.which(
        "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    )
    if found is None:
        if os.environ.get("CI") == "true":
            raise pytest.UsageError("CI needs mosquitto")
        pytest.skip("mosquitto is not installed")
    return found


def users_only(folder: Path, **passwords: str) -> dict[str, str]:
    """Return options of a broker that lets these users in, by their passwords, and nobody else."""
    users = folder / "users"
    users.write_text("".join(f"{user}:{password}\n" for user, password in passwords.items()))
    subprocess.run(["mosquitto_passwd", "-U", str(users)], check=True)
    users.chmod(0o600)
    return {"allow_anonymous": "false", "password_file": str(users)}


class Mosquitto:
    """The broker, its port and its configuration."""

    def __init__(self, folder: Path, options: Mapping[str, str | Sequence[str]]) -> None:
        self.port = free_port()
        self._program = find_mosquitto()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.configure(options)

    def configure(self, options: Mapping[str, str | Sequence[str]]) -> None:
        """Write the configuration file; takes effect with the next `start`."""
        lines = [f"listener {self.port} 127.0.0.1"]
        everything = {"allow_anonymous": "true", "user": "root", **options}
        for name, values in everything.items():
            each = [values] if isinstance(values, str) else values
            lines += [f"{name} {value}" for value in each]
        (self._folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = (self._folder / "mosquitto.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._folder / "mosquitto.conf"), "-v"],
                stdout=log,
                stderr=log,
            )
        self._await_listening(self._process)

    def _await_listening(self, process: subprocess.Popen[bytes]) -> None:
        pause, ends_s = threading.Event(), time.monotonic() + LIMIT_S
        while time.monotonic() < ends_s:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1.0):
                    return
            except OSError:
                assert process.poll() is None, self.log()
                pause.wait(0.02)
        raise AssertionError(f"mosquitto does not listen: {self.log()}")

    def log(self) -> str:
        return (self._folder / "mosquitto.log").read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(number)
            process.wait(LIMIT_S)
