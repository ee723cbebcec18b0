"""Whether the service may use what it needs, and nobody else what is secret.

Judged for the user as whom the service runs, if it does; else for whoever asks.
"""

from __future__ import annotations

import grp
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.capture.address import Kind as SourceKind
from camera_app.capture.address import parse_address
from camera_app.config import Config
from camera_app.doctor.credentials import is_handed
from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.service import Service, Who, ourselves, user_name
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.errors import SourceError
from camera_app.inference.edgetpu import find_places
from camera_app.media import nearest

READ, WRITE = 4, 2

_kinds = Kinds("permissions")
SECRET_ABSENT = _kinds.error(
    "secret_absent",
    "a file with a password or key is not there, or is empty",
    "Write it",
    "sudo install -m 0600 -o <user> /dev/stdin <file>",
)
SECRET_UNREADABLE = _kinds.error(
    "secret_unreadable",
    "the service's user may not read a file with a password or key",
    "Give it to that user",
    "sudo chown <user> <file> && sudo chmod 0600 <file>",
)
SECRET_OPEN = _kinds.warning(
    "secret_open",
    "others may read a file with a password or key",
    "Keep it to its owner",
    "sudo chmod 0600 <file>",
)
CONFIG_OPEN = _kinds.error(
    "config_open",
    "everybody may change the configuration",
    "Keep it to its owner",
    "sudo chmod o-w <file>",
)
CONFIG_UNREADABLE = _kinds.error(
    "config_unreadable",
    "the service's user may not read the configuration",
    "Let that user read it",
    "sudo chgrp <group> <file> && sudo chmod 0640 <file>",
)
DATA_UNWRITABLE = _kinds.error(
    "data_unwritable",
    "the service's user may not write to the data folder, or may not make it",
    "Make it, and give it to that user",
    "sudo install -d -o <user> <folder>",
)
DEVICE_FORBIDDEN = _kinds.error(
    "device_forbidden",
    "the service's user may not open the device of a camera or an Edge TPU",
    "Add the user to the device's group, then restart the service; a container needs the device "
    "passed in",
    "sudo usermod -aG <group> <user>",
)
AS_ROOT = _kinds.warning(
    "as_root",
    "the service runs as root: whoever breaks into it has the machine",
    "Run it as a user of its own, as the shipped unit does",
    "systemctl cat <unit>",
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder as the kernel describes it.

    Attributes:
        path: Where it is.
        mode: Its kind and rights; None: it is not there, or hidden.
        uid: Its owner.
        gid: Its group.
        size: Its length, bytes.
        is_hidden: It lies where whoever asks may not look.
    """

    path: Path
    mode: int | None
    uid: int = 0
    gid: int = 0
    size: int = 0
    is_hidden: bool = False


def examine(subject: Subject) -> Examined:
    """Judge every file and device that the service needs."""
    who = subject.service.who or ourselves()
    config = subject.config
    facts = [f"for the user {user_name(who.uid)}"]
    findings = [*judge_running(subject.service)]
    if subject.config_path is not None:
        findings += judge_config(entry_of(subject.config_path), who)
    if config is not None:
        for secret in map(entry_of, secret_files(config)):
            if secret.is_hidden:
                facts.append(f"{secret.path}: not to be seen by {user_name(ourselves().uid)}")
            else:
                findings += judge_secret(secret, who, is_handed=is_handed(secret.path))
        findings += judge_folder(entry_of(nearest(config.data.folder)), config.data.folder, who)
    for device in _devices(subject.machine, config):
        findings += judge_device(device, who)
    return Examined(tuple(facts), tuple(findings))


def may(entry: Entry, who: Who, wanted: int) -> bool:
    """Say whether a user may read or write an entry, as its mode says.

    Lists of rights beyond the mode are not looked at.
    """
    if entry.mode is None:
        return False
    if who.uid == 0:
        return True
    if who.uid == entry.uid:
        return entry.mode >> 6 & wanted == wanted
    if entry.gid in who.gids:
        return entry.mode >> 3 & wanted == wanted
    return entry.mode & wanted == wanted


def judge_running(service: Service) -> Iterator[Finding]:
    """Say whether the service runs as it should."""
    if service.who is not None and service.who.uid == 0:
        yield AS_ROOT.found("the service runs as root", unit=service.unit)


def judge_config(entry: Entry, who: Who) -> Iterator[Finding]:
    """Judge the rights of the configuration."""
    where = str(entry.path)
    if entry.mode is None:
        return  # the check of the configuration says so
    if entry.mode & stat.S_IWOTH:
        yield CONFIG_OPEN.found("everybody may change it", where=where, file=entry.path)
    if not may(entry, who, READ):
        what = f"{user_name(who.uid)} may not read it"
        yield CONFIG_UNREADABLE.found(
            what, where=where, file=entry.path, group=_group_of_user(who.uid)
        )


def judge_secret(entry: Entry, who: Who, *, is_handed: bool = False) -> Iterator[Finding]:
    """Judge the rights of a file with a secret.

    Args:
        entry: The file.
        who: As whom the service runs.
        is_handed: systemd hands it to the service, and to nobody else.
    """
    where, user = str(entry.path), user_name(who.uid)
    if is_handed:
        return
    if entry.mode is None or not entry.size:
        what = "is not there" if entry.mode is None else "is empty"
        yield SECRET_ABSENT.found(what, where=where, file=entry.path, user=user)
        return
    if not may(entry, who, READ):
        what = f"{user} may not read it"
        yield SECRET_UNREADABLE.found(what, where=where, file=entry.path, user=user)
    if entry.mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
        what = f"its mode is {stat.S_IMODE(entry.mode):04o}"
        yield SECRET_OPEN.found(what, where=where, file=entry.path)


def judge_folder(entry: Entry, folder: Path, who: Who) -> Iterator[Finding]:
    """Judge the data folder, or the nearest above it that exists."""
    if not may(entry, who, READ | WRITE):
        user = user_name(who.uid)
        verb = "may not write to it" if entry.path == folder else f"may not make it in {entry.path}"
        what = f"{user} {verb}"
        yield DATA_UNWRITABLE.found(what, where=str(folder), folder=folder, user=user)


def judge_device(entry: Entry, who: Who) -> Iterator[Finding]:
    """Judge the device of a camera or a stick; one that is not there is another check's."""
    if entry.mode is not None and not may(entry, who, READ | WRITE):
        user, group = user_name(who.uid), _group_name(entry.gid)
        what = f"{user} may not open it: its group is {group}, its mode {entry.mode & 0o777:04o}"
        yield DEVICE_FORBIDDEN.found(what, where=str(entry.path), user=user, group=group)


def secret_files(config: Config) -> tuple[Path, ...]:
    """Return every file of a configuration that holds a password or a private key."""
    named = [config.mqtt.password_file, config.mqtt.client_key_file]
    named += [camera.password_file for camera in config.camera.values()]
    return tuple(dict.fromkeys(path for path in named if path is not None))


def entry_of(path: Path) -> Entry:
    """Look at a file or folder."""
    try:
        told = path.stat()
    except OSError as error:
        return Entry(path, None, is_hidden=isinstance(error, PermissionError))
    return Entry(path, told.st_mode, told.st_uid, told.st_gid, told.st_size)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _group_of_user(uid: int) -> str:
    try:
        return _group_name(pwd.getpwuid(uid).pw_gid)
    except KeyError:
        return str(uid)


def _devices(machine: Machine, config: Config | None) -> Iterator[Entry]:
    for camera in config.camera.values() if config is not None else ():
        try:
            address = parse_address(camera.source)
        except SourceError:  # told by the check of the cameras
            continue
        if address.kind is SourceKind.V4L2:
            yield entry_of(machine.place(address.target))
        elif address.kind is SourceKind.PICAMERA:
            yield from (
                entry_of(machine.place(f"dev/{name}")) for name in machine.entries("dev", "media")
            )
    for place in find_places(machine.root):
        yield entry_of(machine.place(place.device_file))


CHECK = Check(
    "permissions",
    "files, folders and devices that the service needs; modes of secrets",
    examine,
    _kinds.made,
)
