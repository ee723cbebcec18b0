"""What processes have taken, from the kernel's files and clocks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress

import numpy as np

from camera_app.clock import seconds
from camera_app.kernel import PROC, cpu_ns, memory_bytes, numbers_of, text_of, tree

# From the kernel's Documentation/admin-guide/mm/pagemap.rst: what everybody is told of a page.
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ENTRY_BYTES = 8
_IN_MEMORY, _OF_FILE = np.uint64(1 << 63), np.uint64(1 << 61)

_Page = tuple[str, str, int]  # the device and the inode of a file, and which of its pages


def pss_mb(pid: int) -> float:
    """Return the memory of a tree in millions of bytes; what several share is counted once."""
    return pss_bytes(tree(pid)) / 1e6


def pss_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes; what several share is counted once."""
    return sum(memory_bytes(pid) or 0 for pid in pids)


def alone_bytes(pids: Iterable[int]) -> int:
    """Return the memory of processes, each page once, as if nobody else had their libraries open.

    A page that other programs use too counts in part for `pss_bytes`, and here in full: as on a
    machine that does nothing else. Other users' processes count as nothing.
    """
    own, of_files = 0, set[_Page]()
    for pid in pids:
        with suppress(OSError):  # it has ended, or is another user's
            for line in (PROC / str(pid) / "maps").read_text().splitlines():
                mine, from_file = _pages(pid, line)
                own += mine
                of_files |= from_file
    return (own + len(of_files)) * _PAGE_BYTES


def _pages(pid: int, mapping: str) -> tuple[int, set[_Page]]:
    """Return what is in memory of a line of `maps`: how many pages of its own, and which of a file.

    Memory that processes share without a name is a file to the kernel, too.
    """
    span, _, offset, device, inode, *_ = mapping.split(maxsplit=5)
    first, end = (int(edge, 16) // _PAGE_BYTES for edge in span.split("-"))
    with (PROC / str(pid) / "pagemap").open("rb", buffering=0) as pagemap:
        pagemap.seek(first * _ENTRY_BYTES)
        entries = np.frombuffer(pagemap.read((end - first) * _ENTRY_BYTES), np.uint64)
    here, is_of_file = entries & _IN_MEMORY != 0, entries & _OF_FILE != 0
    numbers = np.flatnonzero(here & is_of_file) + int(offset, 16) // _PAGE_BYTES
    mine = int(np.count_nonzero(here & ~is_of_file))
    return mine, {(device, inode, number) for number in numbers.tolist()}


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
