"""How fast `camera-app subscribe` fetches what it missed, and how fast it follows.

The command runs as an owner runs it, in a process of its own, and writes to a file that survives a
power cut. Before it are the product's store and publisher and a mosquitto without limits that would
bind. Both files are checked: each change once, in order.

Catch-up: a ledger that the broker has heard long ago; the command begins at its start, asks the
camera for all of it and ends by itself (`--from start --once`). Its start and end are in the time.

Live: it goes on from there while changes are committed as fast as the store takes them; the time is
from the first commit to the last line in the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, RetentionSettings
from camera_app.publish import Publisher, StateBoard, Topics, availability_message
from camera_app.store import EventStore
from tools.bench.drain import DEVICE, change, fill, start_broker
from tools.fleet.limits import process_memory_mb

CAMERA = "front"
LIMIT_S = 300.0
_LOOK_EVERY_S = 0.01


@dataclass(frozen=True, slots=True)
class Fetched:
    """One run of the command.

    Attributes:
        took_s: As the module says.
        memory_mb: Most that it held.
    """

    took_s: float
    memory_mb: float


class Rig:
    """A camera without eyes: a store that is full, and a publisher that has told all of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.store = EventStore(folder / "events.db", SystemClock(), RetentionSettings())
        self._board = StateBoard()
        settings = MqttSettings(host="127.0.0.1", port=port)
        self._publisher = Publisher(settings, DEVICE, self.store, self._board, SystemClock())

    def start(self) -> None:
        """Tell what there is, so that nothing but what is asked for is on the wire."""
        topic = Topics(MqttSettings().base_topic, DEVICE).camera_availability(CAMERA)
        self._board.put(topic, availability_message(True))
        self.store.start()
        self._publisher.start()
        if not self._publisher.wait_drained(LIMIT_S):
            raise SystemExit(f"never drained: {self._publisher.stats()}")

    def stop(self) -> None:
        self._publisher.stop()
        self.store.stop()

    @property
    def out(self) -> Path:
        return self.folder / "out.jsonl"

    def command(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the command; it goes on where it stopped."""
        call = [sys.executable, "-m", "camera_app", "subscribe", *words]
        call += ["--host", "127.0.0.1", "--port", str(self.port)]
        call += ["--state", str(self.folder / "place.json"), "--out", str(self.out)]
        return subprocess.Popen(call, stderr=subprocess.DEVNULL)


def catch_up(rig: Rig) -> Fetched:
    """Have the command fetch everything."""
    began_s, memory_mb = time.perf_counter(), 0.0
    process = rig.command("--from", "start", "--once")
    while process.poll() is None:
        memory_mb = max(memory_mb, _memory_mb(process))
        time.sleep(_LOOK_EVERY_S)
    if process.returncode:
        raise SystemExit(f"camera-app subscribe ended with {process.returncode}")
    return Fetched(time.perf_counter() - began_s, memory_mb)


def follow(rig: Rig, before: int, count: int) -> Fetched:
    """Have the command follow while so many changes happen; `before` are in its file already."""
    process = rig.command()
    try:
        rig.store.commit([change(before + 1, time.time_ns())])
        lines = _Lines(rig.out)
        _await(lambda: lines.count() > before)  # it listens
        began_s = time.perf_counter()
        for number in range(before + 2, before + 2 + count):
            rig.store.commit([change(number, time.time_ns())])
        _await(lambda: lines.count() > before + count)
        return Fetched(time.perf_counter() - began_s, _memory_mb(process))
    finally:
        process.terminate()
        process.wait()


class _Lines:
    """Counts the lines of a file that grows, and reads each only once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = self._position = 0

    def count(self) -> int:
        with self._path.open("rb") as file:
            file.seek(self._position)
            grown = file.read()
        self._position += len(grown)
        self._count += grown.count(b"\n")
        return self._count


def _await(condition: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > ends_s:
            raise SystemExit(f"not done within {LIMIT_S:.0f} s")
        time.sleep(_LOOK_EVERY_S)


def _memory_mb(process: subprocess.Popen[bytes]) -> float:
    try:
        return process_memory_mb(process.pid, "VmHWM")
    except (OSError, KeyError):
        return 0.0  # it has just ended


def check(lines: Sequence[str], count: int) -> None:
    """Hold the file to what was committed.

    Raises:
        SystemExit: A change is missing, there twice, or out of order.
    """
    numbers = [json.loads(line)["seq"] for line in lines]
    if numbers != list(range(1, count + 1)):
        raise SystemExit(f"{len(numbers)} lines are not the {count} changes, each once, in order")


def measure(folder: Path, count: int) -> dict[str, float]:
    """Return the figures of one run."""
    fill(folder, count)
    broker = start_broker(folder / "broker")
    rig = Rig(folder, broker.port)
    try:
        rig.start()
        missed = catch_up(rig)
        live = follow(rig, count, count)
    finally:
        rig.stop()
        broker.stop()
    check(rig.out.read_text(encoding="utf-8").splitlines(), 2 * count + 1)
    return {
        "changes": count,
        "catch_up_per_s": round(count / missed.took_s),
        "catch_up_memory_mb": round(missed.memory_mb, 1),
        "live_per_s": round(count / live.took_s),
        "live_memory_mb": round(live.memory_mb, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--changes", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to be used")
    arguments = parser.parse_args()
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            print(json.dumps(measure(Path(folder), arguments.changes)), flush=True)


if __name__ == "__main__":
    main()
