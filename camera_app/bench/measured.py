"""A real service in a process of its own, that is asked what it has done.

Run as a program (`python -m camera_app.bench.measured FILE STATE`), this module is that process: it
answers each line on its standard input with a line of figures, and stops when that is closed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from camera_app.bench.processes import alone_bytes, cpu_s_of, machine_busy_s, written_bytes
from camera_app.clock import NS_PER_S
from camera_app.errors import CommandRefused, UsageError
from camera_app.kernel import tree

MEASURED = "measured"  # what the names of cameras begin with
CPU = "cpu"  # name of the device that is no stick
POLL_S = 0.1
# Models are warm by then, and so is the tracker.
SETTLE_S = 2.0
# Time of a stick is told by the clock: whoever waits for a core meanwhile is not the stick's doing.
# It is looked at in pieces so long, and a quarter of them is undisturbed on any machine that works.
PIECE_S = 0.25
UNDISTURBED_SHARE = 0.25
END_LIMIT_S = 30.0
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True)
class StickPiece:
    """What sticks did in a short while.

    Attributes:
        busy_ms: Time that they were busy.
        invokes: Networks that ran.
        changes: How often it was another one than before.
    """

    busy_ms: float
    invokes: int
    changes: int


@dataclass(frozen=True, slots=True)
class Use:
    """What a service used for a while.

    Attributes:
        service_cores: Processor time a second of the service itself.
        children_cores: Of its children.
        memory_bytes: Of all.
        frames_per_s: That it took, of all cameras.
        looks_per_s: That it looked at.
        regions_per_s: Of those.
        changes_per_s: Event changes that came of them.
        stick_answers_per_s: Regions that Edge TPUs have answered.
        duty: Share of its time in which an Edge TPU was busy, of all of them together.
        stick_invokes_per_s: Networks that ran on them: answers, and known answers besides.
        stick_changes_per_s: How often it was another network than the one before.
        written_bytes_per_s: What the kernel took from it for disks.
        others_cores: Processor time a second of everything else on the machine.
        pieces: What sticks did in each piece of the time; none where that was not asked for.
    """

    service_cores: float
    children_cores: float
    memory_bytes: float
    frames_per_s: float
    looks_per_s: float
    regions_per_s: float
    changes_per_s: float
    stick_answers_per_s: float = 0.0
    duty: float = 0.0
    stick_invokes_per_s: float = 0.0
    stick_changes_per_s: float = 0.0
    written_bytes_per_s: float = 0.0
    others_cores: float = 0.0
    pieces: tuple[StickPiece, ...] = ()

    @property
    def cores(self) -> float:
        """Processor time a second of all its processes."""
        return self.service_cores + self.children_cores

    @property
    def is_of_sticks(self) -> bool:
        """Whether Edge TPUs have answered, and more than half of what was asked."""
        return self.stick_answers_per_s > self.regions_per_s / 2


@dataclass(frozen=True, slots=True)
class _Used:
    """What was used up to a moment, or between two.

    Attributes:
        at_s: The moment, monotonic; or how long it is between them.
        service_s: Processor time of the service.
        children_s: Of its children.
        machine_s: Of everything.
        written_bytes: What the kernel took from the service for disks.
    """

    at_s: float
    service_s: float
    children_s: float
    machine_s: float
    written_bytes: int

    @classmethod
    def by(cls, pid: int, children: Sequence[int]) -> Self:
        return cls(
            time.monotonic(),
            cpu_s_of([pid]),
            cpu_s_of(children),
            machine_busy_s(),
            written_bytes(pid),
        )

    def since(self, before: _Used) -> _Used:
        return _Used(
            self.at_s - before.at_s,
            self.service_s - before.service_s,
            self.children_s - before.children_s,
            self.machine_s - before.machine_s,
            self.written_bytes - before.written_bytes,
        )


def _waited(span_s: float) -> tuple[StickPiece, ...]:
    threading.Event().wait(span_s)
    return ()


class MeasuredService:
    """A service that runs while this context lasts.

    Args:
        config: Its configuration file.
        state: Folder of its state.
    """

    def __init__(self, config: Path, state: Path) -> None:
        self._words = [sys.executable, "-m", __name__, str(config), str(state)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            self._read()
        except UsageError:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        process = self._running
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended by itself
            process.stdin.close()
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def figures(self) -> dict[str, float]:
        """Return what it has done so far, by the names of `_figures`."""
        process = self._running
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: then it answers nothing
            process.stdin.write("\n")
            process.stdin.flush()
        return self._read()

    def wait_for_frames(self, limit_s: float) -> None:
        """Wait until it has taken a few frames, and has settled.

        Raises:
            UsageError: None came.
        """
        pause, ends_s = threading.Event(), time.monotonic() + limit_s
        while self.figures()["frames"] < 1:
            if time.monotonic() > ends_s:
                raise UsageError("no picture came that could be measured")
            pause.wait(POLL_S)

    def watch(
        self, span_s: float, *, settle_s: float | None = None, in_pieces: bool = False
    ) -> Use:
        """Return what it uses, from a while after now on.

        Args:
            span_s: For so long.
            settle_s: From then on; None: when models are warm.
            in_pieces: Tell in pieces what sticks do; to be asked for that costs it something.
        """
        threading.Event().wait(SETTLE_S if settle_s is None else settle_s)
        pid = self._running.pid
        children = tree(pid)[1:]
        before, used_before = self.figures(), _Used.by(pid, children)
        pieces = self._pieces(span_s) if in_pieces else _waited(span_s)
        used, after = _Used.by(pid, children).since(used_before), self.figures()
        done = {name: (after[name] - before[name]) / used.at_s for name in after}
        return Use(
            service_cores=used.service_s / used.at_s,
            children_cores=used.children_s / used.at_s,
            memory_bytes=float(alone_bytes([pid, *children])),
            frames_per_s=done["frames"],
            looks_per_s=done["looks"],
            regions_per_s=done["regions"],
            changes_per_s=done["changes"],
            stick_answers_per_s=done["stick_answers"],
            duty=done["stick_busy_ns"] / NS_PER_S,
            stick_invokes_per_s=done["stick_invokes"],
            stick_changes_per_s=done["stick_changes"],
            written_bytes_per_s=used.written_bytes / used.at_s,
            others_cores=max(0.0, used.machine_s - used.service_s - used.children_s) / used.at_s,
            pieces=tuple(pieces),
        )

    def _pieces(self, span_s: float) -> list[StickPiece]:
        pause, ends_s = threading.Event(), time.monotonic() + span_s
        pieces, before = [], self.figures()
        while time.monotonic() < ends_s:
            pause.wait(PIECE_S)
            now = self.figures()
            pieces.append(
                StickPiece(
                    busy_ms=(now["stick_busy_ns"] - before["stick_busy_ns"]) / NS_PER_MS,
                    invokes=round(now["stick_invokes"] - before["stick_invokes"]),
                    changes=round(now["stick_changes"] - before["stick_changes"]),
                )
            )
            before = now
        return pieces

    @property
    def pid(self) -> int:
        """Its process."""
        return self._running.pid

    @property
    def _running(self) -> subprocess.Popen[str]:
        assert self._process is not None, "used outside its context"
        return self._process

    def _read(self) -> dict[str, float]:
        process = self._running
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise UsageError("the service that is to be measured has ended")
        figures: dict[str, float] = json.loads(line)
        return figures


def main(words: list[str]) -> int:
    """Be the service."""
    from camera_app.service import Service

    def refuse() -> None:
        raise CommandRefused("it is being measured")

    config, state = map(Path, words)
    service = Service(config, state, refuse, refuse)
    service.choose()
    service.start()
    try:
        print(json.dumps(_figures(service)), flush=True)
        for _ in sys.stdin:
            print(json.dumps(_figures(service)), flush=True)
    finally:
        service.stop()
    return 0


def _figures(service: Any) -> dict[str, float]:
    figures = service.running.figures()
    watches = [camera.watch for camera in figures.cameras.values()]
    sticks = [one for one in figures.executor.devices if one.name != CPU]
    return {
        "frames": sum(watch.counts.captured for watch in watches),
        "looks": sum(watch.counts.looked_at for watch in watches),
        "regions": sum(watch.regions for watch in watches),
        "changes": sum(watch.changes for watch in watches),
        "stick_answers": sum(stick.answers for stick in sticks),
        "stick_busy_ns": sum(stick.busy_ns for stick in sticks),
        "stick_invokes": sum(stick.invokes for stick in sticks),
        "stick_changes": sum(stick.changes for stick in sticks),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
