"""Programs that a trial starts, ends and kills: a broker, the camera, and what they write."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from camera_app.demo.broker import free_port

REPOSITORY = Path(__file__).resolve().parents[2]
LIMIT_S = 60.0
LOOK_S = 0.02


# A zone in which whoever comes is for longer than two seconds, and a line that some of them cross.
RULES = """
[[camera.front.zones]]
name = "mat"
polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]
loitering_s = 2.0
[[camera.front.lines]]
name = "middle"
points = [[0.5, 1.0], [0.5, 0.0]]
labels = ["person"]
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
    """A real mosquitto; it keeps what is retained over a restart."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which(
            "mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
        )
        if program is None:
            raise TrialFailed("mosquitto is not installed")
        folder.mkdir(parents=True)
        self.port = free_port()
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\nautosave_interval 1\n"
        )
        super().__init__([program, "-c", str(settings)], folder / "mosquitto.log")

    def start(self) -> None:
        super().start()
        wait_for("mosquitto", lambda: is_listening(self.port))


class Camera(Program):
    """`camera-app run` with one camera."""

    def __init__(self, folder: Path, port: int, source: str) -> None:
        folder.mkdir(parents=True)
        self._folder, self._port, self._source = folder, port, source
        self._settings = folder / "camera.toml"
        self.configure()
        command = [sys.executable, "-m", "camera_app", "run", "--config", str(self._settings)]
        super().__init__(command, folder / "camera.log")

    def configure(self, *, discovery: str = "device", has_rules: bool = True) -> None:
        """Write its configuration; takes effect with the next start."""
        self._settings.write_text(
            f"""device_id = "trial"
[data]
folder = "{self._folder / "data"}"
[mqtt]
host = "127.0.0.1"
port = {self._port}
snapshots = true
live_interval_s = 2.0
status_interval_s = 2.0
[home_assistant]
discovery = "{discovery}"
birth_delay_s = 1.0
[profile.away]
threshold = 0.45
[inference]
model = ["person_large", "face"]
cpu_seats = 1
edgetpu = "off"
[camera.front]
source = "{self._source}"
fps = 5
motion.hold_s = 1.0
{RULES if has_rules else ""}"""
        )
