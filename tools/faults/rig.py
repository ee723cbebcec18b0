"""The real camera in a process of its own, with a simulated stick and a made scene before it.

The camera does not know that anything is simulated: it is started as an owner starts it, with a
pack whose Edge TPU file was made for the simulator. What it does is read from its log.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from camera_app.bench.running import RunningService
from camera_app.models import TRUSTED_VARIABLE, PrivateKey, find_pack
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import SimulatedStick, SimulatedSticks

CAMERA = "front"
FPS = 10.0
PACK = "person_large"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
SAMPLE_S = 0.02

CONFIG = """
device_id = "faults"
[data]
folder = "{folder}/data"
[mqtt]
enabled = false
[inference]
model = "{pack}"
cpu_seats = 1
[log]
level = "debug"
[camera.{camera}]
source = "{source}"
fps = {fps}
[camera.{camera}.motion]
enabled = false
[camera.{camera}.snapshots]
enabled = false
"""

_SEEN = re.compile(r"frame of (\d+) seen at (\d+)")
_SHED = re.compile(r"(\d+) frames shed: (\w+)")


@dataclass(slots=True)
class Heard:
    """What the log has told so far; times are seconds of the monotonic clock.

    Attributes:
        seen_s: When looks were concluded.
        shed: When frames were shed, how many, and why.
        in_use_s: When the stick was taken into use.
        lost_s: When it was taken out of use.
        lines: Warnings and errors.
    """

    seen_s: list[float] = field(default_factory=list)
    shed: list[tuple[float, int, str]] = field(default_factory=list)
    in_use_s: list[float] = field(default_factory=list)
    lost_s: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def take(self, line: str, now_s: float) -> None:
        """Take in one line of the log."""
        if seen := _SEEN.search(line):
            self.seen_s.append(int(seen[2]) / 1e9)
        elif shed := _SHED.search(line):
            self.shed.append((now_s, int(shed[1]), shed[2]))
        elif " DEBUG " not in line:
            self.lines.append(line)
            if "is in use" in line:
                self.in_use_s.append(now_s)
            elif "is not used any more" in line:
                self.lost_s.append(now_s)

    def shed_since(self, since_s: float) -> dict[str, int]:
        """Return how many frames were shed since then, by reason."""
        counts: Counter[str] = Counter()
        for at_s, frames, reason in self.shed:
            if at_s >= since_s:
                counts[reason] += frames
        return dict(counts)


def make_pack(folder: Path, like: str = PACK) -> tuple[Path, str]:
    """Copy a shipped pack and give it a file for the simulated stick.

    Returns:
        Its folder, and the public key that signed it.
    """
    target, key = folder / f"{like}_with_twin", PrivateKey(os.urandom(32))
    make_twin_pack(find_pack(like), target, key)
    return target, key.public


class Rig:
    """A camera under test. Used as a context manager.

    Args:
        folder: For everything that it writes.
        source: What the camera looks at; each frame is looked at, whatever is on it.
        is_plugged: Whether the stick is there when the camera starts.
        latency_ms: What the stick takes for an answer.
    """

    def __init__(
        self,
        folder: Path,
        *,
        source: str = "synthetic:",
        is_plugged: bool = True,
        latency_ms: float = 7.0,
    ) -> None:
        self._folder = folder
        self._source = source
        self._sticks = SimulatedSticks(folder / "sticks", latency_ms=latency_ms)
        self._is_plugged = is_plugged
        self._service: RunningService | None = None
        self._stack = ExitStack()
        self._heard = threading.Condition()  # guards the field below
        self.heard = Heard()
        self.invokes: list[tuple[float, int]] = []  # of the sampler's thread; only grows
        self._is_over = threading.Event()

    @property
    def stick(self) -> SimulatedStick:
        return self._sticks["usb0"]

    @property
    def is_running(self) -> bool:
        """Whether the camera's process is there."""
        return self._service is not None and self._service.is_running

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(self._sticks)
            self._service = stack.enter_context(self._made_service())
            stack.enter_context(self._sampled())
            self.wait_until(lambda heard: bool(heard.seen_s), START_LIMIT_S, "the first look")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _made_service(self) -> RunningService:
        if not self._is_plugged:
            self.stick.unplug()
        pack, key = make_pack(self._folder)
        config = self._folder / "camera.toml"
        config.write_text(
            CONFIG.format(
                folder=self._folder, pack=pack, camera=CAMERA, source=self._source, fps=FPS
            )
        )
        environment = {**self._sticks.environment(), TRUSTED_VARIABLE: key}
        return RunningService(config, self._hear, environment)

    def end(self, number: signal.Signals) -> int:
        """End the camera, and return its exit code; one that does not end is killed."""
        assert self._service is not None, "for after the start"
        return self._service.end(number)

    def wait_until(self, holds: Callable[[Heard], bool], limit_s: float, what: str) -> float:
        """Wait for something in the log; return when it was there.

        Raises:
            TimeoutError: It did not come.
        """
        with self._heard:
            if not self._heard.wait_for(lambda: holds(self.heard), limit_s):
                tail = "\n".join(self.heard.lines[-20:])
                raise TimeoutError(f"{what} did not come within {limit_s:.0f} s\n{tail}")
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Let the camera run on."""
        self._is_over.wait(seconds)

    def mark(self) -> int:
        """Return how often the stick was taken into use so far."""
        with self._heard:
            return len(self.heard.in_use_s)

    def wait_in_use(self, limit_s: float, *, after: int = 0) -> float:
        """Wait until the stick was taken into use more often than that; return when it was."""
        self.wait_until(lambda heard: len(heard.in_use_s) > after, limit_s, "the stick")
        return self.heard.in_use_s[after]

    def wait_lost(self, limit_s: float, *, after: int) -> None:
        """Wait until the stick was taken out of use more often than that."""
        self.wait_until(lambda heard: len(heard.lost_s) > after, limit_s, "the stick's end")

    def invokes_between(self, begin_s: float, end_s: float) -> int:
        """Return how many answers the stick has given in a span of time."""
        counts = [count for at_s, count in self.invokes if begin_s <= at_s <= end_s]
        return counts[-1] - counts[0] if counts else 0

    def _hear(self, line: str) -> None:
        with self._heard:
            self.heard.take(line.rstrip(), time.monotonic())
            self._heard.notify_all()

    @contextmanager
    def _sampled(self) -> Iterator[None]:
        """Count the answers of the stick meanwhile."""
        sampler = threading.Thread(target=self._sample, daemon=True)
        sampler.start()
        try:
            yield
        finally:
            self._is_over.set()
            sampler.join(STOP_LIMIT_S)

    def _sample(self) -> None:
        while not self._is_over.wait(SAMPLE_S):
            self.invokes.append((time.monotonic(), self.stick.invokes))
