"""The machine that is examined: its files, its commands, its clock. The edge of this room.

Everything is below a root, and what acts is handed in, so that a made-up machine can be examined
as well as this one. Nothing is judged here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from camera_app.inference.edgetpu.places import system_root
from camera_app.inference.installing import pip_call
from camera_app.store.timekeeping import KernelClock, kernel_clock

COMMAND_LIMIT_S = 3.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a command.

    Attributes:
        code: Its exit code; None: it is not there, or did not end in time.
        output: Its standard output.
    """

    code: int | None
    output: str = ""


def run_command(words: Sequence[str], limit_s: float = COMMAND_LIMIT_S) -> Ran:
    """Run a program that only tells something; never raises."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.SubprocessError):
        return Ran(None)
    return Ran(done.returncode, done.stdout.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Machine:
    """Where facts come from.

    Attributes:
        root: Below which /sys, /proc, /dev and the rest are looked for.
        run: Runs a command.
        kernel_clock: Returns what the kernel says of its clock.
        wall_s: Returns wall time, seconds since 1970.
        python: The interpreter.
        pip: How pip is called for it, as a line to type begins.
    """

    root: Path = field(default_factory=system_root)
    run: Callable[[Sequence[str]], Ran] = run_command
    kernel_clock: Callable[[], KernelClock | None] = kernel_clock
    wall_s: Callable[[], float] = time.time
    python: str = sys.executable
    pip: str = field(default_factory=pip_call)

    def place(self, path: str | Path) -> Path:
        """Return where a path of the machine is."""
        return self.root / str(path).lstrip("/")

    def text(self, path: str | Path) -> str:
        """Return what stands in a small file; empty where there is none to be read."""
        try:
            return self.place(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
        except OSError:
            return ""

    def number(self, path: str | Path) -> int | None:
        """Return the number that stands in a file; None where there is none."""
        try:
            return int(self.text(path), 0)
        except ValueError:
            return None

    def link(self, path: str | Path) -> str:
        """Return where a symbolic link leads, as it is written; empty where there is none."""
        try:
            return str(self.place(path).readlink())
        except OSError:
            return ""

    def has(self, path: str | Path) -> bool:
        """Say whether there is such a file or folder."""
        return os.path.exists(self.place(path))  # noqa: PTH110  it says no where it may not look

    def entries(self, folder: str | Path, prefix: str = "") -> Iterator[str]:
        """Yield the names in a folder that begin so, in order; none where there is no folder."""
        try:
            names = sorted(path.name for path in self.place(folder).iterdir())
        except OSError:
            return
        yield from (name for name in names if name.startswith(prefix))

    @property
    def board(self) -> str:
        """Name of the board, such as `Raspberry Pi 5 Model B Rev 1.0`; empty: it has none."""
        return self.text("proc/device-tree/model")

    @property
    def is_pi(self) -> bool:
        return "Raspberry Pi" in self.board
