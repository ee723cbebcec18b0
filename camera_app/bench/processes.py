"""What processes have taken, from the kernel's files and clocks."""

from __future__ import annotations

import os
from collections.abc import Iterable

from camera_app.clock import seconds
from camera_app.kernel import PROC, cpu_ns, memory_bytes, numbers_of, text_of, tree


def pss_mb(pid: int) -> float:
    """Return the memory of a tree in millions of bytes; what several share is counted once."""
    return pss_bytes(tree(pid)) / 1e6


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes; what several share is counted once."""
    return sum(memory_bytes(pid) or 0 for pid in pids)


def cpu_s(pid: int) -> float:
    """Return the processor time that the living processes of a tree have used so far."""
    return cpu_s_of(tree(pid))


def cpu_s_of(pids: Iterable[int]) -> float:
    """Return the processor time that processes have used so far; nothing of one that has ended."""
    return seconds(sum(map(cpu_ns, pids)))


def written_bytes(pid: int) -> int:
    """Return what a process has had written to disks so far."""
    return numbers_of(PROC / str(pid) / "io").get("write_bytes", 0)


def available_memory_bytes() -> int:
    """Return what processes may use together: of the machine, or of our control group if less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = text_of("/sys/fs/cgroup/memory.max")
    return min(total, int(limit)) if limit.isdecimal() else total


def machine_busy_s() -> float:
    """Return the processor time that everything on this machine has used since it started."""
    words = text_of(PROC / "stat").split("\n", 1)[0].split()
    user, nice, system, _idle, _waiting, *interrupts = map(int, words[1:8])
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")
