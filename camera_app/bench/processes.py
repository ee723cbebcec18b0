"""What a process and all below it have taken, from the kernel's files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_KIB = 1024


def tree(pid: int) -> list[int]:
    """Return a process and all below it, those that have ended meanwhile left out."""
    return [pid, *_below(pid)]


def _below(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it has ended since
        for task in (PROC / str(pid) / "task").iterdir():
            for word in (task / "children").read_text().split():
                yield from tree(int(word))


def pss_mb(pid: int) -> float:
    """Return the memory of a tree in millions of bytes; what several share is counted once."""
    return sum(map(_pss_bytes, tree(pid))) / 1e6


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return 0


def cpu_s(pid: int) -> float:
    """Return the processor time that the living processes of a tree have used so far."""
    return sum(map(_cpu_ticks, tree(pid))) / os.sysconf("SC_CLK_TCK")


def _cpu_ticks(pid: int) -> int:
    with suppress(OSError):
        # The name stands in brackets and may hold anything, brackets too.
        words = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return int(words[11]) + int(words[12])
    return 0
