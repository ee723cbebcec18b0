"""A room for one command of another processor: mounts, a root of its own, qemu, a user.

Runs as a program, in namespaces that `emulation.py` has made: all that it mounts and registers is
gone with its last process, and nobody else sees it. It is told what to do as JSON, in its one
word, and becomes the command. Only the standard library: it is no part of what is tried.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

QEMU = Path("/usr/bin/qemu-aarch64-static")
# The twenty bytes by which the kernel knows a program for 64-bit ARM, and which of them count.
_MAGIC = rb"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = rb"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Room:
    """Where and how a command is run.

    Attributes:
        root: Its root folder.
        command: The program and its words.
        environment: All its variables.
        folder: Where it is run, in the root.
        uid: Its user.
        gid: Its group.
        is_read_only: Nothing in the root can be written, mounts aside.
        mounts: Folders and files of this machine, each with its place in the root; one that is
            absent in the root is made there, so it must not be missing in a read-only root.
        memory: Folders in memory, each with the user and group that own it.
        registers: Whether qemu has to be made known in a namespace of our own.
    """

    root: str
    command: tuple[str, ...]
    environment: dict[str, str]
    folder: str = "/"
    uid: int = 0
    gid: int = 0
    is_read_only: bool = False
    mounts: tuple[tuple[str, str], ...] = ()
    memory: tuple[tuple[str, int, int], ...] = ()
    registers: bool = True

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def enter(room: Room) -> None:
    """Make the room and become its command; does not return."""
    root = Path(room.root)
    for place in ("proc", "dev"):  # as an engine does
        (root / place).mkdir(exist_ok=True)
    _mount("--bind", room.root, room.root)
    if room.registers:
        _register_qemu(root / "proc")  # is covered by the next mount, and holds all the same
    _mount("-t", "proc", "proc", str(root / "proc"))
    _make_devices(root)
    for here, there in room.mounts:
        _bind(Path(here), root / there.lstrip("/"))
    if room.is_read_only:
        _mount("-o", "remount,bind,ro", room.root)
    for there, uid, gid in room.memory:
        _mount("-t", "tmpfs", "-o", f"uid={uid},gid={gid},mode=0755", "tmpfs", room.root + there)
    os.chroot(room.root)
    os.chdir(room.folder)
    _become(room.uid, room.gid)
    os.execve(_found(room), room.command, room.environment)  # nosec B606 # what the room is for


def _register_qemu(place: Path) -> None:
    """Have the kernel give programs for 64-bit ARM to qemu, in this user namespace alone."""
    _mount("-t", "binfmt_misc", "binfmt_misc", str(place))
    # F: qemu is opened now, so that it is found from inside the root.
    entry = b":camera-app-arm64:M::%s:%s:%s:F" % (_MAGIC, _MASK, str(QEMU).encode())
    (place / "register").write_bytes(entry)


def _make_devices(root: Path) -> None:
    devices = root / "dev"
    _mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", str(devices))
    for name in DEVICES:
        _bind(Path("/dev") / name, devices / name)
    (devices / "shm").mkdir()
    (devices / "shm").chmod(0o1777)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        (devices / name).symlink_to(f"/proc/self/fd/{number}")
    (devices / "fd").symlink_to("/proc/self/fd")


def _bind(here: Path, there: Path) -> None:
    if not there.exists():
        if here.is_dir():
            there.mkdir(parents=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.touch()
    _mount("--bind", str(here), str(there))


def _mount(*words: str) -> None:
    subprocess.run(["/usr/bin/mount", *words], check=True)


def _become(uid: int, gid: int) -> None:
    """Give up being root, and every way back; as `--security-opt no-new-privileges` does."""
    if uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _found(room: Room) -> str:
    """Return the program's path, looked up in the root as a shell would."""
    name = room.command[0]
    if "/" in name:
        return name
    for folder in room.environment.get("PATH", "").split(":"):
        if (candidate := Path(folder) / name).exists():
            return str(candidate)
    raise FileNotFoundError(f"no program {name} in {room.environment.get('PATH')}")


def main() -> None:
    """Enter the room that the one word describes."""
    plain = json.loads(sys.argv[1])
    plain["command"] = tuple(plain["command"])
    enter(Room(**plain))


if __name__ == "__main__":
    main()
