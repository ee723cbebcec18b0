"""Runs commands of 64-bit ARM in a root folder, on this machine, through qemu.

Each command has namespaces of its own: of processes, so that nothing outlives it; of mounts; and
of users, because there the kernel lets us register qemu without changing the machine. Where the
machine has qemu registered already, that is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from tools.arm64.errors import ProofFailed
from tools.arm64.room import QEMU, Room

_REGISTERED = Path("/proc/sys/fs/binfmt_misc/qemu-aarch64")
DEBOOTSTRAP = "/usr/sbin/debootstrap"
_PACKAGES = {
    DEBOOTSTRAP: "debootstrap",
    "mosquitto": "mosquitto",  # for the trial; better missed now than after the build
    str(QEMU): "qemu-user-static",
}
_SBIN = ":/usr/sbin:/usr/local/sbin"
_NAMESPACES = ("--mount", "--pid", "--fork", "--kill-child")
# A program that starts before its namespace has users starts without any rights in it, so the
# shell waits for a line, which comes when it has.
_WAIT_FOR_USERS = 'read -r room; exec "$0" "$1" "$room"'
PROCESSOR = "cortex-a72"
# What a Cortex-A72 says of itself. Without it the kernels of LiteRT take the processor of this
# machine for one without any of the instructions that they were built for, and crash.
CPUINFO = "".join(
    f"""processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""
    for core in range(4)
)


@dataclass(frozen=True, slots=True)
class Emulator:
    """A way to run commands of another processor.

    Attributes:
        folder: For the few files that a room needs.
        is_registered: The machine knows qemu already.
    """

    folder: Path
    is_registered: bool

    def start(
        self, room: Room, output: IO[bytes] | int | None = None, *, loud: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a command in a room of its own; whoever calls waits for it or kills it."""
        own_users = [] if self.is_registered else ["--user"]
        program = [sys.executable, str(Path(__file__).with_name("room.py"))]
        process = subprocess.Popen(
            ["/usr/bin/unshare", *own_users, *_NAMESPACES, "sh", "-c", _WAIT_FOR_USERS, *program],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=None if loud else subprocess.STDOUT,
        )
        assert process.stdin is not None
        if own_users:
            _map_all_users(process)
        process.stdin.write(self._completed(room).as_json().encode() + b"\n")
        process.stdin.close()
        process.stdin = None  # or `communicate` would flush it
        return process

    def _completed(self, room: Room) -> Room:
        cpuinfo = self.folder / "cpuinfo"
        cpuinfo.write_text(CPUINFO)
        return replace(
            room,
            environment={**room.environment, "QEMU_CPU": PROCESSOR},
            mounts=((str(cpuinfo), "/proc/cpuinfo"), *room.mounts),
            registers=not self.is_registered,
        )


def find_emulator(folder: Path) -> Emulator:
    """Return a way to emulate on this machine.

    Raises:
        ProofFailed: There is none, and what to do about it.
    """
    path = os.environ.get("PATH", "") + _SBIN
    missing = [package for name, package in _PACKAGES.items() if not shutil.which(name, path=path)]
    if missing:
        raise ProofFailed(f"first: apt-get install {' '.join(missing)}")
    if os.geteuid() != 0:
        raise ProofFailed("only root can make an arm64 root folder: sudo make arm64")
    folder.mkdir(parents=True, exist_ok=True)
    return Emulator(folder, _is_registered())


def run(emulator: Emulator, room: Room, log: IO[bytes]) -> int:
    """Run a command to its end; return its exit code."""
    process = emulator.start(room, log)
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()


def output_of(emulator: Emulator, room: Room) -> str:
    """Return what a command prints.

    Raises:
        ProofFailed: It failed.
    """
    process = emulator.start(room, subprocess.PIPE)
    said, _ = process.communicate()
    text = said.decode(errors="replace")
    if process.returncode:
        words = " ".join(room.command)
        raise ProofFailed(f"{words}: ended with {process.returncode}\n{text[-3000:]}")
    return text


def works_in_any_root(entry: str) -> bool:
    """Say whether a registration is on, and its qemu was opened when it was made (flag F).

    Args:
        entry: What the kernel tells of it.
    """
    lines = entry.splitlines()
    flags = next((line for line in lines if line.startswith("flags:")), "")
    return lines[:1] == ["enabled"] and "F" in flags.removeprefix("flags:")


def _is_registered() -> bool:
    """Say whether the machine gives arm64 programs to a qemu that is found from any root."""
    try:
        return works_in_any_root(_REGISTERED.read_text())
    except OSError:
        return False


def _map_all_users(process: subprocess.Popen[bytes]) -> None:
    """Give the new namespace the users of this one, each as itself: files keep their owners."""
    for name in ("uid_map", "gid_map"):
        file = Path(f"/proc/{process.pid}/{name}")
        while not _mapped(file):
            if process.poll() is not None:
                raise ProofFailed("this kernel makes no namespace of users for root")


def _mapped(file: Path) -> bool:
    """Write the map; False while the namespace is not there yet, and the map is our own."""
    try:
        file.write_text("0 0 4294967295\n")
    except PermissionError:
        return False
    return True
