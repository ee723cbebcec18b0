"""How many connections the machine allows, and what stands in the way of more."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Files that a process has open beside its connections.
OTHER_FILES = 200
# What a connection costs broker, client and kernel together, generously; it keeps the machine
# from being filled, and is no figure.
BYTES_PER_CONNECTION = 150_000
# Of the memory that is free, so much may be used.
MEMORY_SHARE = 0.8
_PORTS_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_MEMORY_FILE = Path("/proc/meminfo")
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GROUP_USED = Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True, slots=True)
class Room:
    """What the machine has for connections.

    Attributes:
        files: That one process may have open.
        ports: That one address may connect from.
        memory_bytes: Free.
    """

    files: int
    ports: int
    memory_bytes: int

    def connections(self, wanted: int) -> tuple[int, str]:
        """Return how many of the wanted connections there can be, and what forbids more."""
        bounds = {
            "": wanted,
            f"{self.files} open files": self.files - OTHER_FILES,
            f"{self.ports} ports": self.ports - OTHER_FILES,
            f"{self.memory_bytes // 10**6} MB of free memory": int(
                self.memory_bytes * MEMORY_SHARE / BYTES_PER_CONNECTION
            ),
        }
        reason = min(bounds, key=lambda name: bounds[name])
        return max(1, bounds[reason]), reason


def raise_limits(connections: int) -> list[str]:
    """Raise this process's limits for it and its children; return what was done, in words."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for ceiling in (max(hard, connections + OTHER_FILES), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (ceiling, ceiling))
        except (OSError, ValueError):
            continue  # only root may go above the hard limit, and not beyond the kernel's own
        break
    now, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = f"open files: {before} before, {now} now (hard limit was {hard})"
    return [files, *map(_raise_memory, ("RLIMIT_AS", "RLIMIT_DATA"))]


def _raise_memory(name: str) -> str:
    kind: int = getattr(resource, name)
    soft, hard = resource.getrlimit(kind)
    if soft == resource.RLIM_INFINITY:
        return f"{name}: none"
    resource.setrlimit(kind, (hard, hard))
    return f"{name}: {soft} before, {hard} now"


def room() -> Room:
    """Return what there is now."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    low, high = map(int, _PORTS_FILE.read_text(encoding="ascii").split())
    return Room(files, high - low + 1, _free_bytes())


def _free_bytes() -> int:
    lines = _MEMORY_FILE.read_text(encoding="ascii").splitlines()
    free = field_kib(lines, "MemAvailable") * 1024
    limit = _number(_GROUP_LIMIT, free)  # of a container; "max" where there is none
    return min(free, max(0, limit - _number(_GROUP_USED, 0)) if limit != free else free)


def field_kib(lines: Sequence[str], name: str) -> int:
    """Return the number behind a name in one of the kernel's files; in KiB.

    Raises:
        KeyError: It is not there.
    """
    for line in lines:
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0])
    raise KeyError(name)


def process_memory_mb(process: int | str, field: str) -> float:
    """Return what a process holds (`VmRSS`) or held at most (`VmHWM`)."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    return field_kib(lines, field) * 1024 / 1e6


def _number(path: Path, fallback: int) -> int:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return fallback
