"""What processes have taken, from the kernel's files and clocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_KIB = 1024
_SCHEDULED = 2


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
    return pss_bytes(tree(pid)) / 1e6


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes; what several share is counted once."""
    return sum(map(_pss_bytes, pids))


def _pss_bytes(pid: int) -> int:
    with suppress(OSError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * _KIB
    return 0


def cpu_s(pid: int) -> float:
    """Return the processor time that the living processes of a tree have used so far."""
    return cpu_s_of(tree(pid))


def cpu_s_of(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used so far; nothing of one that has ended."""
    return sum(map(_cpu_s, pids))


def _cpu_s(pid: int) -> float:
    # The clock of another process, as the kernel numbers it (`clock_getcpuclockid` in C): to the
    # nanosecond, where its file in /proc counts hundredths of a second.
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | _SCHEDULED)
    return 0.0


def written_bytes(pid: int) -> int:
    """Return what a process has had written to disks so far."""
    with suppress(OSError):
        for line in (PROC / str(pid) / "io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    return 0


def available_memory_bytes() -> int:
    """Return what processes may use together: of the machine, or of our control group if less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError):
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        return min(total, int(text)) if text.isdecimal() else total
    return total
