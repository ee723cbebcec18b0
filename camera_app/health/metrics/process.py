"""What our processes take of the machine, as the kernel counts it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from camera_app.kernel import PROC, memory_bytes, numbers_of, tree

SERVICE = "service"


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process. What the kernel does not tell is None.

    Attributes:
        name: `service`, or what the child is called.
        memory_bytes: Memory in use; what several share counts for each in part (PSS).
        cpu_s: Processor time since it started.
        threads: Its threads.
        open_files: Its open file descriptors.
        started_s: When it started, seconds since 1970.
        storage_bytes: What it has caused to be sent to a disk or card; what never got there
            because the file went before is among it.
        written_bytes: What it has handed to the kernel to write: files, pipes, sockets.
    """

    name: str
    memory_bytes: int | None = None
    cpu_s: float | None = None
    threads: int | None = None
    open_files: int | None = None
    started_s: float | None = None
    storage_bytes: int | None = None
    written_bytes: int | None = None


def our_processes(proc: Path = PROC, pid: int | None = None) -> tuple[ProcessFigures, ...]:
    """Return this process and all below it; one that ends meanwhile is left out.

    Args:
        proc: Where the kernel tells.
        pid: The process at the top; None: this one.
    """
    top = os.getpid() if pid is None else pid
    booted_s = _booted_s(proc)
    found = []
    for number in tree(top, proc):
        with suppress(OSError, ValueError, IndexError):
            found.append(_figures(number, proc, booted_s, is_service=number == top))
    return tuple(found)


def _figures(pid: int, proc: Path, booted_s: float, *, is_service: bool) -> ProcessFigures:
    process = proc / str(pid)
    # The name stands in brackets and may hold anything; what follows it does not.
    head, _, rest = (process / "stat").read_text("utf-8", "replace").rpartition(")")
    fields = rest.split()
    ticks = os.sysconf("SC_CLK_TCK")
    counters = numbers_of(process / "io")
    return ProcessFigures(
        name=SERVICE if is_service else head.partition("(")[2],
        memory_bytes=memory_bytes(pid, proc),
        cpu_s=(int(fields[11]) + int(fields[12])) / ticks,
        threads=int(fields[17]),
        open_files=_open_files(process),
        started_s=booted_s + int(fields[19]) / ticks,
        storage_bytes=counters.get("write_bytes"),
        written_bytes=counters.get("wchar"),
    )


def _open_files(process: Path) -> int | None:
    try:
        return sum(1 for _ in (process / "fd").iterdir())
    except OSError:
        return None


def _booted_s(proc: Path) -> float:
    """Return when the machine started; the file is long where there are many interrupts."""
    with suppress(OSError, ValueError):
        for line in (proc / "stat").read_text(encoding="ascii").splitlines():
            if line.startswith("btime "):
                return float(line[6:])
    return 0.0
