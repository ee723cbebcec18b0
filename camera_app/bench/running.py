"""`camera-app run` as an owner starts it: a process of its own, for as long as a context lasts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from camera_app.bench.processes import cpu_s
from camera_app.errors import UsageError

FIRST_OBJECT = "sees its first object"
LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What to measure the service with.

    Attributes:
        clip: A film that shows somebody from its first pictures.
        host: Of a broker.
        port: Of it.
        model: Name of a pack, or its folder.
        seconds: Length of each measurement.
        memory_after_s: How long the service has run when its memory is looked at.
        cameras: For the latency.
        load: For the latency: share of the machine's processor time that the service is to take.
    """

    clip: Path
    host: str
    port: int
    model: str
    seconds: float = 60.0
    memory_after_s: float = 60.0
    cameras: int = 4
    load: float = 0.7


def run_words(config: Path) -> list[str]:
    """Return how `camera-app run` is called: of this program, with this Python."""
    return [sys.executable, "-m", "camera_app", "run", "--config", str(config)]


class RunningService:
    """The service on this machine, and what it says.

    Args:
        config: Its configuration.
        heard: Is handed each line of its log, on a thread of its own; must not block.
        environment: What its environment has beside ours.
    """

    def __init__(
        self,
        config: Path,
        heard: Callable[[str], None] = lambda _line: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._config = config
        self._tell = heard
        self._environment = {**os.environ, **(environment or {})}
        self._heard = threading.Condition()  # guards the three below
        self._has_seen = False
        self._has_ended = False
        self._last_line = ""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            run_words(self._config),
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self._reader.join(LIMIT_S)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code; one that does not end is killed."""
        self._process.send_signal(number)  # does nothing to one that has ended
        try:
            return self._process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_seen(self) -> None:
        """Wait until it has seen its first object."""
        with self._heard:
            self._heard.wait_for(lambda: self._has_seen or self._has_ended, LIMIT_S)
            if not self._has_seen:
                raise UsageError(
                    f"nobody was seen within {LIMIT_S:.0f} s: {self._last_line}",
                    remedy="Give a film that shows somebody from its first pictures.",
                )

    def run_on(self, seconds: float) -> None:
        """Let it run for so long."""
        with self._heard:
            if self._heard.wait_for(lambda: self._has_ended, seconds):
                raise UsageError(f"the service ended: {self._last_line}")

    def used_s(self, seconds: float) -> tuple[float, float]:
        """Let it run; return the processor time that it took, and how long that was."""
        before_s, began_s = cpu_s(self.pid), time.monotonic()
        self.run_on(seconds)
        return cpu_s(self.pid) - before_s, time.monotonic() - began_s

    def _read(self) -> None:
        stream = self._process.stderr
        assert stream is not None, "it was asked for"
        with stream:
            for line in stream:
                self._tell(line)
                if FIRST_OBJECT in line or " DEBUG " not in line:
                    self._note(line)
        with self._heard:
            self._has_ended = True
            self._heard.notify_all()

    def _note(self, line: str) -> None:
        with self._heard:
            self._last_line = line.rstrip()
            self._has_seen |= FIRST_OBJECT in line
            self._heard.notify_all()
