"""Programs that a trial starts, ends and kills, a broker among them; waiting for what they do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from camera_app.demo.broker import find_mosquitto, free_port

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT_S = 60.0
LOOK_S = 0.02
# Everybody may come in, and what is retained is kept over a restart.
OPEN_AND_KEEPING = """allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
"""


class TrialFailed(Exception):
    """Something did not happen, or should not have."""


def wait_for(what: str, holds: Callable[[], object], limit_s: float = LIMIT_S) -> float:
    """Wait until something holds; return how long that took, in seconds.

    Raises:
        TrialFailed: It did not, in time.
    """
    began_s, pause = time.monotonic(), threading.Event()
    while not holds():
        if time.monotonic() - began_s > limit_s:
            raise TrialFailed(f"never came: {what}")
        pause.wait(LOOK_S)
    return time.monotonic() - began_s


def is_listening(port: int) -> bool:
    """Say whether somebody takes connections there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1.0):
            return True
    except OSError:
        return False


class Program:
    """One program, started again and again; its output goes to a file."""

    def __init__(
        self, command: Sequence[str], output: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.output = output
        self._command = list(command)
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._environment,
                cwd=REPOSITORY,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None, "it was not started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    def text(self) -> str:
        """Return what it has written."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TrialFailed(f"does not end: {self._command[0]}") from None


class Broker(Program):
    """A real mosquitto on a free port of the loopback.

    Args:
        folder: For its files; is made.
        settings: Lines of its configuration; `{folder}` in them is the folder.
    """

    def __init__(self, folder: Path, settings: str = OPEN_AND_KEEPING) -> None:
        program = find_mosquitto()
        if program is None:
            raise TrialFailed("first: apt-get install mosquitto")
        folder.mkdir(parents=True)
        self.port = free_port()
        file = folder / "mosquitto.conf"
        listens = f"listener {self.port} 127.0.0.1\nuser root\n"
        file.write_text(listens + settings.format(folder=folder))
        super().__init__([program, "-c", str(file)], folder / "mosquitto.log")

    def start(self) -> None:
        super().start()
        wait_for("mosquitto", lambda: is_listening(self.port))
