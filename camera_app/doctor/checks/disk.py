"""The disk that events are kept on: space, whether it takes and keeps writes, and its wear."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from camera_app.config import Config, DataSettings
from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.media import SpaceLevel, level_of, nearest, used_bytes

MB = 1e6
# Each event and each picture is a file or grows one; below this a busy day may use them up.
LEAST_INODES = 10_000
MOST_FILES_COUNTED = 200_000  # of the data folder; enough for every limit by default

_PASSING_KINDS = frozenset({"tmpfs", "ramfs", "overlay"})
_NETWORK_KINDS = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"})
_PLAIN_KINDS = frozenset({"vfat", "exfat", "msdos"})

# Of an eMMC, from JESD84-B51: spare blocks, and tenths of its life that are over.
_SPARE_WARNING, _SPARE_URGENT = 2, 3
_LIFE_OLD, _LIFE_OVER = 9, 11

_kinds = Kinds("disk")
_ROOM = "Delete what is not needed, lower the limits in [retention] and snapshots, or use a larger"
READ_ONLY = _kinds.error(
    "read_only",
    "the file system is mounted read-only, as the kernel does when it finds damage: no event is "
    "kept",
    "See what the kernel says of the cause; a card that does this again is to be replaced",
    "journalctl -k --grep 'EXT4-fs|I/O error|mmc'",
)
UNWRITABLE = _kinds.error(
    "unwritable",
    "a file cannot be written and read back in the data folder",
    "See what the text says of the cause",
    "ls -ld <folder>; df -h <folder>",
)
FULL = _kinds.error(
    "full",
    "less space is free than half of what the configuration reserves: no snapshots are kept",
    f"{_ROOM} disk",
    "sudo du -xh --max-depth=2 <mount> | sort -h | tail -n 20",
)
LOW = _kinds.warning(
    "low",
    "less space is free than the configuration reserves: no films are kept",
    f"{_ROOM} disk",
    "sudo du -xh --max-depth=2 <mount> | sort -h | tail -n 20",
)
OVERBOOKED = _kinds.warning(
    "overbooked",
    "the limits of the configuration allow more than the disk has",
    "Lower max_megabytes in [retention] and of films and snapshots, or use a larger disk",
    "df -h <folder>",
)
FEW_INODES = _kinds.warning(
    "few_inodes",
    "few more files can be made, whatever space is free",
    "Delete what consists of many small files",
    "df -i <folder>",
)
VOLATILE = _kinds.error(
    "volatile",
    "the data folder lies in memory, or in the layer of a container: all events are gone after a "
    "restart of the machine, or with the container",
    "Put it on a disk: [data] folder; give a container a volume there; on a Raspberry Pi with an "
    "overlay switch that off",
    "findmnt -T <folder>",
)
ON_NETWORK = _kinds.error(
    "on_network",
    "the data folder lies on another machine: the database's write-ahead log does not work there",
    "Put it on a disk of this machine: [data] folder",
    "findmnt -T <folder>",
)
NO_JOURNAL = _kinds.warning(
    "no_journal",
    "the file system of the data folder has no journal and no rights: a power cut may damage it",
    "Put the data folder on ext4",
    "findmnt -T <folder>",
)
COSTLY_MOUNT = _kinds.warning(
    "costly_mount",
    "the file system is mounted so that it wears the card: each read, or each write, is written "
    "at once",
    "Take strictatime or sync out of its line in /etc/fstab",
    "sudo mount -o remount,relatime,async <mount>",
)
DAMAGED = _kinds.error(
    "damaged",
    "the kernel has noted errors of this file system",
    "Back up the data folder, and have the file system checked at each start",
    "sudo tune2fs -c 1 /dev/<device> && sudo reboot",
)
WORN = _kinds.warning(
    "worn",
    "the memory chip has used up most of its life",
    "Keep a copy of the configuration, and a card to replace it",
    "cat /sys/block/<device>/device/life_time /sys/block/<device>/device/pre_eol_info",
)
WORN_OUT = _kinds.error(
    "worn_out",
    "the memory chip is at the end of its life",
    "Replace it before it stops taking writes",
    "cat /sys/block/<device>/device/life_time /sys/block/<device>/device/pre_eol_info",
)


@dataclass(frozen=True, slots=True)
class Mount:
    """A mounted file system.

    Attributes:
        place: Where.
        kind: Such as `ext4`.
        device: Name of its block device, such as `mmcblk0p2`; empty: none.
        options: Its options, those of the mount and those of the file system.
    """

    place: str
    kind: str
    device: str
    options: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wear:
    """What a memory chip tells of its age.

    Attributes:
        disk: Such as `mmcblk0`.
        spare: 1: enough spare blocks; 2: most are used; 3: nearly all are.
        life: Tenths of its expected life that are over, rounded up; 11: all of it.
    """

    disk: str
    spare: int
    life: int


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """What is known of the disk of the data folder.

    Attributes:
        folder: The data folder.
        mount: What it lies on; None: not told.
        free_bytes: Space that we may use.
        total_bytes: Of the whole file system.
        used_bytes: By the data folder.
        reserve_bytes: What the owner wants kept free.
        limit_bytes: What the limits let the data folder grow to; None: no configuration.
        free_inodes: Files that may be made; None: this file system does not count them.
        is_read_only: It takes no writes.
        write_error: Why a file could not be written; empty: it could, or was not tried.
        errors: Errors that the kernel noted of the file system.
        wear: Of memory chips that tell it.
    """

    folder: Path
    mount: Mount | None
    free_bytes: int
    total_bytes: int
    used_bytes: int
    reserve_bytes: int
    limit_bytes: int | None
    free_inodes: int | None
    is_read_only: bool
    write_error: str
    errors: int
    wear: tuple[Wear, ...]


def examine(subject: Subject) -> Examined:
    """Look at the disk of the data folder."""
    facts = read(subject)
    mount = f" on {facts.mount.kind} at {facts.mount.place}" if facts.mount is not None else ""
    told = [
        f"{facts.free_bytes / MB:.0f} of {facts.total_bytes / MB:.0f} MB free{mount}",
        f"{facts.folder} has {facts.used_bytes / MB:.0f} MB",
        *(f"{one.disk}: {_aged(one)}" for one in facts.wear),
    ]
    return Examined(tuple(told), tuple(judge(facts)))


def read(subject: Subject) -> DiskFacts:
    """Look at the data folder, or at what it will be made in."""
    machine, config = subject.machine, subject.config
    data = config.data if config is not None else DataSettings()
    place = nearest(data.folder)
    told = os.statvfs(place)
    mount = _mount(machine, place.resolve())
    is_read_only = bool(told.f_flag & os.ST_RDONLY)
    may_try = place == data.folder and not is_read_only
    return DiskFacts(
        folder=data.folder,
        mount=mount,
        free_bytes=told.f_bavail * told.f_frsize,
        total_bytes=told.f_blocks * told.f_frsize,
        used_bytes=used_bytes(data.folder, MOST_FILES_COUNTED),
        reserve_bytes=round(data.reserve_megabytes * MB),
        limit_bytes=_limit(config) if config is not None else None,
        free_inodes=told.f_favail if told.f_files else None,
        is_read_only=is_read_only,
        write_error=_write_error(place) if may_try else "",
        errors=machine.number(f"sys/fs/ext4/{mount.device}/errors_count") or 0 if mount else 0,
        wear=tuple(_wear(machine)),
    )


def judge(facts: DiskFacts) -> Iterator[Finding]:
    """Say what is wrong with a disk."""
    where, mount = str(facts.folder), facts.mount.place if facts.mount is not None else "/"
    if facts.is_read_only:
        yield READ_ONLY.found(f"the file system at {mount} is read-only", where=where)
    elif facts.write_error:
        yield UNWRITABLE.found(
            f"a file cannot be written: {facts.write_error}", where=where, folder=facts.folder
        )
    yield from _judge_space(facts, where, mount)
    yield from _judge_mount(facts, where)
    if facts.errors:
        what = f"the kernel has noted {facts.errors} errors of {mount}"
        yield DAMAGED.found(what, where=where, device=facts.mount.device if facts.mount else "")
    for wear in facts.wear:
        yield from _judge_wear(wear)


def _judge_space(facts: DiskFacts, where: str, mount: str) -> Iterator[Finding]:
    free = f"{facts.free_bytes / MB:.0f} MB are free"
    level = level_of(facts.free_bytes, facts.reserve_bytes, SpaceLevel.AMPLE)
    if level is not SpaceLevel.AMPLE:
        kind = LOW if level is SpaceLevel.NO_MEDIA else FULL
        what = f"{free}, and {facts.reserve_bytes / MB:.0f} MB are reserved"
        yield kind.found(what, where=where, mount=mount)
    elif facts.limit_bytes is not None:
        growth = facts.limit_bytes - facts.used_bytes
        if growth + facts.reserve_bytes > facts.free_bytes:
            yield OVERBOOKED.found(
                f"{free}, and the limits let this folder grow by {growth / MB:.0f} MB "
                f"with {facts.reserve_bytes / MB:.0f} MB reserved",
                where=where,
                folder=facts.folder,
            )
    if facts.free_inodes is not None and facts.free_inodes < LEAST_INODES:
        what = f"only {facts.free_inodes} more files can be made"
        yield FEW_INODES.found(what, where=where, folder=facts.folder)


def _judge_mount(facts: DiskFacts, where: str) -> Iterator[Finding]:
    mount = facts.mount
    if mount is None:
        return
    told = f"it lies on {mount.kind} at {mount.place}"
    if mount.kind in _PASSING_KINDS:
        yield VOLATILE.found(f"{told}, which does not last", where=where, folder=facts.folder)
    elif mount.kind in _NETWORK_KINDS:
        yield ON_NETWORK.found(told, where=where, folder=facts.folder)
    elif mount.kind in _PLAIN_KINDS:
        yield NO_JOURNAL.found(told, where=where, folder=facts.folder)
    costly = sorted(mount.options & {"strictatime", "sync"})
    if costly:
        what = f"{mount.place} is mounted with {', '.join(costly)}"
        yield COSTLY_MOUNT.found(what, where=where, mount=mount.place)


def _judge_wear(wear: Wear) -> Iterator[Finding]:
    if wear.spare >= _SPARE_URGENT or wear.life >= _LIFE_OVER:
        yield WORN_OUT.found(_aged(wear), where=wear.disk, device=wear.disk)
    elif wear.spare >= _SPARE_WARNING or wear.life >= _LIFE_OLD:
        yield WORN.found(_aged(wear), where=wear.disk, device=wear.disk)


def _aged(wear: Wear) -> str:
    spare = {2: ", most spare blocks are used", 3: ", nearly all spare blocks are used"}
    life = "more than all" if wear.life >= _LIFE_OVER else f"{wear.life * 10} %"
    return f"at most {life} of its life is over{spare.get(wear.spare, '')}"


def mount_of(mountinfo: str, path: Path) -> Mount | None:
    """Return what a path lies on, from the text of /proc/self/mountinfo; its device by numbers."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        place = _unescaped(before.split()[4]) if len(before.split()) > 5 else ""
        if not place or not path.is_relative_to(place):
            continue
        # A later line at the same place lies on top of the earlier.
        if found is None or len(place) >= len(found.place):
            kind, _, options = (*after.split(" ", 2), "", "", "")[:3]
            every = {*before.split()[5].split(","), *options.split(",")}
            found = Mount(place, kind, before.split()[2], frozenset(every))
    return found


def _mount(machine: Machine, path: Path) -> Mount | None:
    """Return what a path lies on, its device by name."""
    found = mount_of(machine.text("proc/self/mountinfo"), path)
    if found is None:
        return None
    link = machine.link(f"sys/dev/block/{found.device}")
    return replace(found, device=Path(link).name)


def _unescaped(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)


def _write_error(folder: Path) -> str:
    """Write a file, have it put on the disk, read it back; say what went wrong."""
    content = os.urandom(4096)
    try:
        with tempfile.TemporaryFile(dir=folder, prefix=".doctor") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            return "" if file.read() == content else "what was written is not what is read"
    except OSError as error:
        return error.strerror or str(error)


def _limit(config: Config) -> int:
    megabytes = config.retention.max_megabytes
    for camera in config.camera.values():
        megabytes += camera.snapshots.max_megabytes if camera.snapshots.enabled else 0
        megabytes += camera.recording.max_megabytes if camera.recording.enabled else 0
    return round(megabytes * MB)


def _wear(machine: Machine) -> Iterator[Wear]:
    for disk in machine.entries("sys/block", "mmcblk"):
        if "boot" in disk or "rpmb" in disk:  # parts of the same chip
            continue
        spare = machine.number(f"sys/block/{disk}/device/pre_eol_info") or 0
        lives = _numbers(machine.text(f"sys/block/{disk}/device/life_time"))
        if spare or any(lives):
            yield Wear(disk, spare, max(lives, default=0))


def _numbers(text: str) -> list[int]:
    return [int(word, 16) for word in text.split() if re.fullmatch(r"0x[0-9a-fA-F]+", word)]


CHECK = Check(
    "disk", "space, inodes, mount, errors and wear of the data folder's disk", examine, _kinds.made
)
