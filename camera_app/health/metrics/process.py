"""What our processes take of the machine, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

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


def our_processes(proc: Path = Path("/proc"), pid: int | None = None) -> tuple[ProcessFigures, ...]:
    """Return this process and all below it; one that ends meanwhile is left out.

    Args:
        proc: Where the kernel tells.
        pid: The process at the top; None: this one.
    """
    top = os.getpid() if pid is None else pid
    booted_s = _booted_s(proc)
    found = []
    for number in _tree(proc, top):
        with suppress(OSError, ValueError, IndexError):
            found.append(_figures(proc / str(number), booted_s, is_service=number == top))
    return tuple(found)


def _tree(proc: Path, pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for task in (proc / str(pid) / "task").iterdir():
            for child in _text(task / "children").split():
                yield from _tree(proc, int(child))


def _figures(process: Path, booted_s: float, *, is_service: bool) -> ProcessFigures:
    # The name stands in brackets and may hold anything; what follows it does not.
    head, _, rest = (process / "stat").read_text("utf-8", "replace").rpartition(")")
    fields = rest.split()
    ticks = os.sysconf("SC_CLK_TCK")
    counters = _pairs(_text(process / "io"))
    return ProcessFigures(
        name=SERVICE if is_service else head.partition("(")[2],
        memory_bytes=_memory_bytes(process),
        cpu_s=(int(fields[11]) + int(fields[12])) / ticks,
        threads=int(fields[17]),
        open_files=_open_files(process),
        started_s=booted_s + int(fields[19]) / ticks,
        storage_bytes=counters.get("write_bytes"),
        written_bytes=counters.get("wchar"),
    )


def _memory_bytes(process: Path) -> int | None:
    kibibytes = _pairs(_text(process / "smaps_rollup")).get("Pss")
    return None if kibibytes is None else kibibytes * 1024


def _open_files(process: Path) -> int | None:
    try:
        return sum(1 for _ in (process / "fd").iterdir())
    except OSError:
        return None


def _booted_s(proc: Path) -> float:
    return float(_pairs(_text(proc / "stat")).get("btime", 0))


def _pairs(text: str) -> dict[str, int]:
    """Return the first number of each line under the line's first word."""
    words = (line.replace(":", " ").split() for line in text.splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
