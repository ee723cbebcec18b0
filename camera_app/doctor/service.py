"""Which camera_app runs on this machine: found without touching it.

The kernel tells who holds the lock of a data folder; and how processes were called. What a service
says of itself stands in its readiness file.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import SystemClock
from camera_app.doctor.machine import Machine
from camera_app.errors import CameraAppError
from camera_app.health import ReadinessReport, read_readiness, runtime_folder
from camera_app.readiness import given_folder
from camera_app.store import DATABASE_NAME
from camera_app.store.known_good import STATE_VARIABLE

DEFAULT_UNIT = "camera-app"
RUNTIME_FOLDERS = "run"
_PROGRAMS = frozenset({"camera-app", "camera_app"})


@dataclass(frozen=True, slots=True)
class Who:
    """A user as the kernel knows a process's.

    Attributes:
        uid: Number of the user.
        gids: Numbers of all its groups.
    """

    uid: int
    gids: frozenset[int]


@dataclass(frozen=True, slots=True)
class Service:
    """What runs.

    Attributes:
        pid: Its process; None: none was found.
        who: As whom it runs; None: nothing runs, or it is not told.
        config_path: The file that it was started with, as far as that is told.
        readiness: What it says of itself; None: nothing.
        unit: Name of its unit of systemd, or of the one that it would have.
        state_folder: Where it keeps its state, as far as that is told; None: in its data folder.
    """

    pid: int | None = None
    who: Who | None = None
    config_path: Path | None = None
    readiness: ReadinessReport | None = None
    unit: str = DEFAULT_UNIT
    state_folder: Path | None = None

    @property
    def is_running(self) -> bool:
        return self.pid is not None


def running_config(machine: Machine) -> Path | None:
    """Return the configuration of a service that runs here, if there is just one."""
    found = {path for pid in _services(machine) if (path := _config_of(machine, pid)) is not None}
    return found.pop() if len(found) == 1 else None


def find_service(machine: Machine, data_folder: Path | None, config_path: Path | None) -> Service:
    """Return the service that uses this data folder, or was started with this file.

    Args:
        machine: Where to look.
        data_folder: Of the configuration; None: not known.
        config_path: The configuration; None: any service is meant.
    """
    pid = _holder(machine, data_folder) if data_folder is not None else None
    if pid is None:
        pid = next(
            (
                candidate
                for candidate in _services(machine)
                if config_path is None or _is_same(_config_of(machine, candidate), config_path)
            ),
            None,
        )
    if pid is None:
        return Service()
    unit = unit_of(machine, pid)
    readiness = _readiness(machine, pid, unit)
    given = given_folder(STATE_VARIABLE, _environment_of(machine, pid))
    state = _option_of(machine, pid, "--state") or given
    return Service(pid, who_runs(machine, pid), _config_of(machine, pid), readiness, unit, state)


def began_at_s(machine: Machine, pid: int) -> float | None:
    """Return when a process began, seconds since 1970; None: it is not told."""
    # The name in brackets may hold anything; after it come the fields from the third on.
    fields = machine.text(f"proc/{pid}/stat").rpartition(")")[2].split()
    started = [line for line in machine.text("proc/stat").splitlines() if line.startswith("btime ")]
    try:
        ticks, machine_began_s = int(fields[22 - 3]), int(started[0].split()[1])
    except (IndexError, ValueError):
        return None
    return machine_began_s + ticks / os.sysconf("SC_CLK_TCK")


def unit_of(machine: Machine, pid: int) -> str:
    """Return the unit of systemd that a process belongs to, such as `camera-app@porch`."""
    for line in machine.text(f"proc/{pid}/cgroup").splitlines():
        name = line.rpartition("/")[2].removesuffix(".service")
        if name.startswith(DEFAULT_UNIT) and line.endswith(".service"):
            return name
    return DEFAULT_UNIT


def user_name(uid: int) -> str:
    """Return the name of a user, or its number where it has none, as within a container."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def ourselves() -> Who:
    """Return as whom this process runs."""
    return Who(os.geteuid(), frozenset({os.getegid(), *os.getgroups()}))


def who_runs(machine: Machine, pid: int) -> Who | None:
    """Return as whom a process runs."""
    lines = dict(
        line.split(":", 1)
        for line in machine.text(f"proc/{pid}/status").splitlines()
        if ":" in line
    )
    try:
        uid, gid = int(lines["Uid"].split()[1]), int(lines["Gid"].split()[1])
        return Who(uid, frozenset({gid, *map(int, lines.get("Groups", "").split())}))
    except (KeyError, IndexError, ValueError):
        return None


def _holder(machine: Machine, data_folder: Path) -> int | None:
    """Return who holds the lock of a data folder.

    Read in /proc/locks: to try the lock would take it for a moment from a service that starts.
    """
    try:
        inode = (data_folder / f"{DATABASE_NAME}.lock").stat().st_ino
    except OSError:
        return None
    for line in machine.text("proc/locks").splitlines():
        words = line.split()  # 1: FLOCK ADVISORY WRITE 4711 08:02:1234 0 EOF
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return int(words[4])
    return None


def _services(machine: Machine) -> Iterator[int]:
    for name in machine.entries("proc"):
        if name.isdecimal() and _is_service(_words(machine, int(name))):
            yield int(name)


def _is_service(words: Sequence[str]) -> bool:
    names = [Path(word).name for word in words[:4]]
    return "run" in words[1:5] and "--config" in " ".join(words) and bool(_PROGRAMS & set(names))


def _words(machine: Machine, pid: int) -> list[str]:
    return machine.text(f"proc/{pid}/cmdline").split("\0")


def _config_of(machine: Machine, pid: int) -> Path | None:
    return _option_of(machine, pid, "--config")


def _option_of(machine: Machine, pid: int, option: str) -> Path | None:
    """Return the path that a process was given with an option."""
    words = _words(machine, pid)
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == option and following:
            return _absolute(machine, pid, following)
        if word.startswith(f"{option}="):
            return _absolute(machine, pid, word.partition("=")[2])
    return None


def _environment_of(machine: Machine, pid: int) -> dict[str, str]:
    """Return the environment of a process; empty where only its own user and root may look."""
    told = machine.text(f"proc/{pid}/environ")
    return dict(pair.partition("=")[::2] for pair in told.split("\0"))


def _absolute(machine: Machine, pid: int, path: str) -> Path:
    # Of another user's process it is not told.
    folder = Path(machine.link(f"proc/{pid}/cwd") or "/")
    return folder / path


def _is_same(one: Path | None, other: Path) -> bool:
    return one is not None and os.path.realpath(one) == os.path.realpath(other)


def _readiness(machine: Machine, pid: int, unit: str) -> ReadinessReport | None:
    for folder in _runtime_folders(machine, pid, unit):
        try:
            return read_readiness(folder, SystemClock().monotonic_ns())
        except CameraAppError:  # it tells nothing there
            continue
    return None


def _runtime_folders(machine: Machine, pid: int, unit: str) -> Iterator[Path]:
    given = runtime_folder(_environment_of(machine, pid))
    if given is not None:
        yield given
    yield machine.place(f"{RUNTIME_FOLDERS}/{unit.replace('@', '-')}")
