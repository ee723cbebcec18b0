"""Reads the small files and clocks of the kernel, and there what it tells of processes. No rule.

A process that has ended, and what a kernel was made without, tells nothing.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
_KIB = 1024
_SCHEDULED = 2
# The kernel gives as much of a small file as is asked for; what follows is of no interest here.
_LONGEST_BYTES = 16 * 1024


def text_of(path: Path | str) -> str:
    """Return what stands in a small file of the kernel; empty where there is none."""
    # Several are read every second: without Python's file objects that costs a third.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # not there
        return ""
    try:
        return os.read(descriptor, _LONGEST_BYTES).decode("utf-8", "replace").strip()
    except OSError:  # it has ended since, or is a sensor that does not answer just now
        return ""
    finally:
        os.close(descriptor)


def numbers_of(path: Path | str) -> Mapping[str, int]:
    """Return the first number of each line of a file under the line's first word."""
    words = (line.replace(":", " ").split() for line in text_of(path).splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}


def processor_name(proc: Path = PROC) -> str:
    """Return what the board calls itself, as a Raspberry Pi does; else what the processor does."""
    board = text_of(proc / "device-tree/model").strip("\0\n ")
    if board:
        return board
    lines = (line.partition(":") for line in text_of(proc / "cpuinfo").splitlines())
    names = (value.strip() for key, _, value in lines if key.strip() == "model name")
    return next(names, platform.machine())


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """Return a process and all below it, each before its own."""
    return [pid, *_below(pid, proc)]


def _below(pid: int, proc: Path) -> Iterator[int]:
    with suppress(OSError):  # it has ended since
        for task in (proc / str(pid) / "task").iterdir():
            for child in text_of(task / "children").split():
                yield from tree(int(child), proc)


def cpu_ns(pid: int) -> int:
    """Return the processor time that a process has used so far; 0 of one that has ended."""
    # The clock of another process, as the kernel numbers it (`clock_getcpuclockid` in C): to the
    # nanosecond, where its file in /proc counts hundredths of a second.
    with suppress(OSError):
        return time.clock_gettime_ns((~pid << 3) | _SCHEDULED)
    return 0


def memory_bytes(pid: int, proc: Path = PROC) -> int | None:
    """Return the memory of a process; what several share counts for each in part (PSS)."""
    kibibytes = numbers_of(proc / str(pid) / "smaps_rollup").get("Pss")
    return None if kibibytes is None else kibibytes * _KIB
