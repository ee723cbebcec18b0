"""Runs a command that finds simulated sticks and nothing else of the kind."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.sticks import SimulatedSticks

LOCK = "lock"


def default_folder() -> Path:
    """Return where the sticks stand that no folder was named for: one place for each user."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime:
        return Path(runtime) / "camera_app-edgetpu-sim"
    return Path(tempfile.gettempdir()) / f"camera_app-edgetpu-sim-{os.getuid()}"


def run(
    command: Sequence[str], folder: Path, *, usb: int, pci: int, latency_ms: float, is_plugged: bool
) -> int:
    """Run a command with sticks and return its exit code; the sticks go with it.

    Raises:
        SimulationError: The command cannot be started, the folder is in use, or there is no
            C compiler.
    """
    with (
        _own(folder),
        SimulatedSticks(
            folder, usb=usb, pci=pci, latency_ms=latency_ms, is_plugged=is_plugged
        ) as sticks,
    ):
        print(
            f"simulated sticks: {', '.join(sticks)}; levers: {_lever_command(folder)}", flush=True
        )
        return _run(command, {**os.environ, **sticks.environment()})


def _lever_command(folder: Path) -> str:
    where = "" if folder == default_folder() else f"--folder {folder} "
    return f"python -m tools.edgetpu_sim lever {where}STICK LEVER"


@contextmanager
def _own(folder: Path) -> Iterator[None]:
    """Have a folder alone: another run's sticks must not vanish under it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise SimulationError("is another user's", where=str(folder), remedy="Give --folder")
    with (folder / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SimulationError(
                "sticks are simulated here already", where=str(folder), remedy="Give --folder"
            ) from error
        yield
        for kind in ("control", "root"):
            shutil.rmtree(folder / kind, ignore_errors=True)


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    with _handing_on() as started:
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            text = f"cannot be started: {error.strerror}"
            raise SimulationError(text, where=command[0]) from error
        started(process)
        status = process.wait()
    return status if status >= 0 else 128 - status


@contextmanager
def _handing_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Hand SIGTERM on; Ctrl-C reaches the command by itself, and its end is ours.

    Yields what to call with the process: one that is being started cannot be told of a signal yet.
    """
    running: list[subprocess.Popen[bytes]] = []
    is_over = False

    def terminate(_signal: int, _frame: FrameType | None) -> None:
        nonlocal is_over
        is_over = True
        for process in running:
            process.terminate()

    def started(process: subprocess.Popen[bytes]) -> None:
        running.append(process)
        if is_over:
            process.terminate()

    def wait_on(_signal: int, _frame: FrameType | None) -> None:
        pass

    before = signal.signal(signal.SIGTERM, terminate), signal.signal(signal.SIGINT, wait_on)
    try:
        yield started
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGINT, before[1])
