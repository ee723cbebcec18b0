"""The cameras: each configured one is really opened, in a child, and looked at for a moment.

One that the running service holds is not opened but asked for: a camera at the ribbon or a V4L2
device serves one program.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from camera_app.capture.address import Kind as SourceKind
from camera_app.capture.address import parse_address
from camera_app.capture.film_source import film_stream_of
from camera_app.capture.live import errand_of
from camera_app.capture.pieces import COPYABLE
from camera_app.capture.trial import CameraTrial, Obstacle, try_camera
from camera_app.config import CameraSettings
from camera_app.doctor.credentials import WITHHELD_LINE, WITHHELD_REMEDY, is_withheld
from camera_app.doctor.findings import AsTyped, Finding, Kind
from camera_app.doctor.machine import Machine
from camera_app.doctor.service import Service
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.doctor.together import Undone, done_together
from camera_app.errors import SourceError, SourceUnsupported

MARGIN_S = 1.0  # of the check's time, for telling

SLOW_SHARE = 0.8  # of the rate that was asked for
LARGE_PIXELS = 1920 * 1080
OLD_S = 1.0
FLAT = 1.0  # standard deviation of brightness; noise alone makes more

PICAMERA_PLACES = (
    "usr/lib/python3/dist-packages/picamera2",
    "usr/lib/python3/dist-packages/libcamera",
)

_kinds = Kinds("cameras")
_RIBBON = "rpicam-hello --list-cameras"
LOCKED = _kinds.error(
    "locked",
    "the camera answers, and wants another user or password",
    "Write the right password into password_file, and the user into the source",
    "sudo install -m 0600 -o <user> /dev/stdin <file>",
)
REFUSED = _kinds.error(
    "refused",
    "something answers at the address and says no: a closed port, a wrong path",
    "Check port and path; the camera's own page tells them",
    "ffprobe -hide_banner <source>",
)
UNREACHABLE = _kinds.error(
    "unreachable",
    "nothing answers at the camera's address, or its name is not known",
    "Check the address, and whether the camera is on and in this network",
    "ping -c 3 <host>",
)
NO_DEVICE = _kinds.error(
    "no_device",
    "the device of the camera is not there",
    "Plug the camera in; take a name from /dev/v4l/by-id, which stays the same",
    "v4l2-ctl --list-devices; ls -l /dev/v4l/by-id",
)
NOT_A_CAMERA = _kinds.error(
    "not_a_camera",
    "the device is there and brings no pictures: many cameras have several, and only one is it",
    "Name the one that brings pictures",
    "v4l2-ctl --list-devices",
)
FORBIDDEN = _kinds.error(
    "forbidden",
    "the device of the camera may not be opened by this user",
    "Add the user to the group video, and log in anew",
    "sudo usermod -aG video <user>",
)
BUSY = _kinds.error(
    "busy",
    "another program has the camera",
    "End that program",
    "fuser -v <device>",
)
RIBBON_BUSY = _kinds.error(
    "ribbon_busy",
    "another program has the camera at the ribbon",
    "End that program",
    "sudo fuser -v /dev/media*",
)
NOT_FOUND = _kinds.error(
    "not_found",
    "no camera is at the ribbon, or not as many as the number says, or it cannot be started",
    "Switch the machine off, and press both ends of the ribbon cable in, contacts the right way",
    _RIBBON,
)
PICAMERA_ABSENT = _kinds.error(
    "picamera_absent",
    "picamera2, which reads cameras at the ribbon, is not installed",
    "Install it",
    "sudo apt-get install -y python3-picamera2",
)
PICAMERA_HIDDEN = _kinds.error(
    "picamera_hidden",
    "picamera2 is installed, and this environment of Python does not look at the system's packages",
    "Let it",
    "sed -i 's/^include-system-site-packages.*/include-system-site-packages = true/' <cfg>",
)
PICAMERA_OTHER_PYTHON = _kinds.error(
    "picamera_other_python",
    "picamera2 is installed for the system's Python, and this is another version",
    "Make the environment anew with the system's",
    "rm -rf <venv> && make setup PYTHON=/usr/bin/python3",
)
PICAMERA_BROKEN = _kinds.error(
    "picamera_broken",
    "picamera2 is there and cannot be imported, mostly for a library built for another NumPy",
    "Put a simplejpeg before it that fits",
    "<pip> install --ignore-installed simplejpeg",
)
SILENT = _kinds.error(
    "silent",
    "the camera was opened, or answers, and no picture came in time",
    "Switch it off and on; for one at the ribbon check the cable",
    "camera-app doctor --only cameras --deadline 30 --config <config>",
)
NOTHING_TO_READ = _kinds.error(
    "unsupported",
    "what comes is nothing that can be read as video, or the source is written wrongly",
    "Check the source: docs/configuration.md has its forms",
    "ffprobe -hide_banner <source>",
)
CRASHED = _kinds.error(
    "crashed",
    "the process that read the camera ended: its stream or its driver crashes the decoder",
    "Try another stream or format of the camera, and update its firmware",
    "camera-app doctor --only cameras --config <config>",
)
LOST = _kinds.error(
    "lost",
    "the camera was read and broke off",
    "Check cable, supply and network",
    "camera-app doctor --only cameras --config <config>",
)
NO_FILE = _kinds.error(
    "no_file",
    "the clip that stands for a camera is not there, or may not be read",
    "Check the path, and who may read it",
    "ls -l <file>",
)
SERVICE_SEES_NOTHING = _kinds.error(
    "service_sees_nothing",
    "the running service has this camera, and says that it does not see",
    "See in its log what it tries",
    "journalctl -u <unit> -n 50 --grep <camera>",
)
WITHHELD = _kinds.note(
    "withheld",
    "systemd hands the password to the service alone: whoever asks cannot try the camera with it",
    WITHHELD_REMEDY,
    WITHHELD_LINE,
)
STUCK = _kinds.warning(
    "stuck",
    "one picture came, and no other",
    "Switch the camera off and on; for one at the ribbon check the cable",
    "camera-app doctor --only cameras --deadline 30 --config <config>",
)
SLOW = _kinds.warning(
    "slow",
    "the camera brings fewer pictures than fps asks for",
    "Set the camera to a higher rate, or fps to what it has; many slow down in the dark",
    "${EDITOR:-nano} <config>",
)
LARGE = _kinds.warning(
    "large",
    "the pictures are larger than full HD: decoding them costs more than all else",
    "Take the camera's low-resolution stream",
    "${EDITOR:-nano} <config>",
)
OLD = _kinds.warning(
    "old",
    "pictures are older than a second when they come",
    "Lower the camera's buffer; take a wired network",
    "ping -c 20 <host>",
)
FILM_NOT_COPYABLE = _kinds.error(
    "film_stream_format",
    "the stream that films are to be made of can be kept only as it comes, and is not in H.264 or "
    "H.265",
    "Set that stream of the camera to H.264 or H.265, or take recording.source out",
    "ffprobe -hide_banner <source>",
)
FLAT_PICTURE = _kinds.warning(
    "flat",
    "the picture is one plain colour: a cap, a shutter, or a camera that is not ready",
    "Look at the lens",
    "ffplay <source>",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One camera and what may stand in a line about it.

    Attributes:
        name: Its name.
        settings: Its section.
        kind: What reads it; None: the source is none that is known.
        label: Its source, without secrets.
        target: Device or path; empty for an address, which may hold a password.
        config: The configuration file.
        user: Who asks.
        pip: How pip is called.
        is_for_films: It is the camera's stream for films, at which nobody looks.
    """

    name: str
    settings: CameraSettings
    kind: SourceKind | None
    label: str
    target: str
    config: str
    user: str
    pip: str
    is_for_films: bool = False

    def found(self, kind: Kind, what: str, remedy: str = "", **more: object) -> Finding:
        """Return a finding about this camera."""
        facts: dict[str, object] = {
            "source": self.label,
            "host": urlsplit(self.label).hostname or self.label,
            "device": self.target or self.label,
            "file": self.settings.password_file or f"/etc/camera-app/{self.name}-password",
            "camera": self.name,
            "config": self.config,
            "user": self.user,
            "pip": AsTyped(self.pip),
        }
        where = f"{self.name} ({self.label})" if self.label else self.name
        return kind.found(what, where=where, remedy=remedy, **{**facts, **more})


@dataclass(frozen=True, slots=True)
class PicameraFacts:
    """What is known of picamera2 where it cannot be imported.

    Attributes:
        is_installed: It is among the system's packages.
        system_python: Version of the system's Python, such as `3.11`; empty: not known.
        our_python: Ours.
        sees_system: Our environment looks at the system's packages.
        venv: Our environment; empty: none, this is a Python of the system.
    """

    is_installed: bool
    system_python: str
    our_python: str
    sees_system: bool
    venv: str


def examine(subject: Subject) -> Examined:
    """Open every configured camera that is switched on, all at a time: it is mostly waiting."""
    config = subject.config
    if config is None:
        return Examined(_devices_here(subject.machine), skipped=subject.lacks_config)
    cases = [
        case
        for name, camera in config.camera.items()
        if camera.enabled
        for case in cases_of(subject, name, camera)
    ]
    if not cases:
        return Examined(skipped="no camera is switched on")
    outcomes = done_together(
        {case.name: partial(_outcome, subject, case) for case in cases}, subject.limit_s
    )
    facts, findings = list[str](), list[Finding]()
    for case in cases:
        outcome = outcomes[case.name]
        if isinstance(outcome, Undone):
            findings.append(case.found(SILENT, f"trying it {outcome}"))
        else:
            facts += outcome[0]
            findings += outcome[1]
    return Examined(tuple(facts), tuple(findings))


def cases_of(subject: Subject, name: str, settings: CameraSettings) -> Iterator[Case]:
    """Return what is to be opened of a camera: what is looked at, and its stream for films."""
    yield case_of(subject, name, settings)
    if settings.recording.source:
        films = case_of(subject, f"{name}, films", film_stream_of(settings))
        yield replace(films, is_for_films=True)


def case_of(subject: Subject, name: str, settings: CameraSettings) -> Case:
    """Return a camera with what may be told of it."""
    kind, label, target = None, "", ""
    try:
        address = parse_address(settings.source)
    except SourceError:
        pass  # trying it says so
    else:
        kind, label = address.kind, address.label
        target = "" if kind is SourceKind.NETWORK else address.target
    machine = subject.machine
    user = subject.user
    return Case(name, settings, kind, label, target, subject.config_argument, user, machine.pip)


def _outcome(subject: Subject, case: Case) -> tuple[list[str], list[Finding]]:
    """Return what was seen of one camera, and what is wrong."""
    if is_held(case, subject.service):
        findings = list(judge_held(case, subject.service))
        sees = "does not see" if findings else "sees"
        return [f"{case.name}: not opened, the service has it and {sees}"], findings
    secret = case.settings.password_file
    if secret is not None and is_withheld(secret):
        what = f"{secret.name} is handed to the service alone, so that it was not tried"
        return [], [case.found(WITHHELD, what, name=secret.name)]
    trial = _tried(case, max(1.0, subject.limit_s - MARGIN_S))
    if trial.obstacle is None:
        return [f"{case.name}: {_described(trial)}"], list(judge_pictures(case, trial))
    return [], [judge_obstacle(case, trial, subject.machine)]


def is_held(case: Case, service: Service) -> bool:
    """Say whether opening this camera would take it from the service, or fail because of it."""
    return service.is_running and case.kind in (SourceKind.V4L2, SourceKind.PICAMERA)


def judge_held(case: Case, service: Service) -> Iterator[Finding]:
    """Say what the running service says of a camera."""
    report = service.readiness
    for shortfall in report.readiness.shortfalls if report is not None else ():
        if shortfall.where == f"camera {case.name}":
            yield case.found(SERVICE_SEES_NOTHING, shortfall.problem, unit=service.unit)


def _tried(case: Case, limit_s: float) -> CameraTrial:
    try:
        errand = errand_of(case.settings)
    except SourceUnsupported as error:
        return CameraTrial(Obstacle.UNSUPPORTED, error.what, error.remedy)
    except SourceError as error:  # the password file
        return CameraTrial(Obstacle.LOCKED, f"{error.what}: {error.where}", error.remedy)
    return try_camera(errand, limit_s)


def _described(trial: CameraTrial) -> str:
    rate = f", {trial.fps:.1f} fps" if trial.fps is not None else ""
    age = f", {trial.age_s * 1000:.0f} ms old" if trial.age_s is not None else ""
    first = f", first picture after {trial.first_s:.1f} s"
    return f"{trial.width}x{trial.height} {trial.codec}{rate}{age}{first}"


def judge_pictures(case: Case, trial: CameraTrial) -> Iterator[Finding]:
    """Say what is wrong with the pictures that came."""
    if case.is_for_films:
        yield from _judge_film_stream(case, trial)
        return
    asked = case.settings.fps
    if trial.fps is None and not trial.is_recorded:
        yield case.found(STUCK, "one picture came, and no other")
    elif trial.fps is not None and trial.fps < SLOW_SHARE * asked:
        yield case.found(SLOW, f"brings {trial.fps:.1f} pictures a second, {asked:g} are asked for")
    if trial.width * trial.height > LARGE_PIXELS:
        yield case.found(LARGE, f"its pictures have {trial.width}x{trial.height} pixels")
    if trial.age_s is not None and trial.age_s > OLD_S:
        yield case.found(OLD, f"its pictures are {trial.age_s:.1f} s old when they come")
    if trial.contrast < FLAT and not trial.is_recorded:
        yield case.found(FLAT_PICTURE, "its picture is one plain colour")


def _judge_film_stream(case: Case, trial: CameraTrial) -> Iterator[Finding]:
    if trial.codec not in COPYABLE:
        yield case.found(FILM_NOT_COPYABLE, f"it comes as {trial.codec}")
    if trial.fps is None and not trial.is_recorded:
        yield case.found(STUCK, "one picture came, and no other")


def judge_obstacle(case: Case, trial: CameraTrial, machine: Machine) -> Finding:
    """Say why a camera brought no picture."""
    if case.kind is SourceKind.PICAMERA and trial.obstacle is Obstacle.UNSUPPORTED:
        return judge_picamera(case, trial, read_picamera(machine))
    return case.found(_kind_of(case, trial), trial.what, trial.remedy, **_file_facts(case))


_NOES = (Obstacle.REFUSED, Obstacle.FORBIDDEN)


def _kind_of(case: Case, trial: CameraTrial) -> Kind:
    plain = {
        Obstacle.LOCKED: LOCKED,
        Obstacle.BUSY: RIBBON_BUSY if case.kind is SourceKind.PICAMERA else BUSY,
        Obstacle.CRASHED: CRASHED,
        Obstacle.ENDED: LOST,
    }
    if trial.obstacle in plain:
        return plain[trial.obstacle]
    if case.kind is SourceKind.NETWORK:
        return _network_kind(case, trial)
    if case.kind is SourceKind.FILE and trial.obstacle in _NOES:
        return NO_FILE
    if case.kind is SourceKind.V4L2:
        return _v4l2_kind(case, trial)
    if case.kind is SourceKind.PICAMERA and trial.obstacle in (Obstacle.REFUSED, Obstacle.LOST):
        return NOT_FOUND
    return {Obstacle.SILENT: SILENT, Obstacle.UNSUPPORTED: NOTHING_TO_READ}.get(
        trial.obstacle or Obstacle.LOST, LOST
    )


def _network_kind(case: Case, trial: CameraTrial) -> Kind:
    if trial.obstacle is Obstacle.UNSUPPORTED:
        return NOTHING_TO_READ
    answers = _answers(case.label)
    if trial.obstacle in _NOES:
        return REFUSED if answers is not None else UNREACHABLE
    return SILENT if answers else UNREACHABLE


def _v4l2_kind(case: Case, trial: CameraTrial) -> Kind:
    path = Path(case.target)
    if not path.exists():
        return NO_DEVICE
    if trial.obstacle is Obstacle.FORBIDDEN:
        return FORBIDDEN
    return SILENT if trial.obstacle is Obstacle.SILENT else NOT_A_CAMERA


def _answers(label: str) -> bool | None:
    """Say whether a port is open: None: nothing answers at all, not even with no."""
    parts = urlsplit(label)
    port = parts.port or {"rtsp": 554, "rtsps": 322, "https": 443}.get(parts.scheme, 80)
    try:
        with socket.create_connection((parts.hostname or "", port), 1.0):
            return True
    except ConnectionRefusedError:
        return False
    except OSError:  # no such name, no route, no answer in time
        return None


def _file_facts(case: Case) -> dict[str, object]:
    return {"file": case.target} if case.kind is SourceKind.FILE else {}


def read_picamera(machine: Machine) -> PicameraFacts:
    """Look at what is known of picamera2 on this machine, without importing it."""
    is_venv = sys.prefix != sys.base_prefix
    cfg = Path(sys.prefix, "pyvenv.cfg")
    text = cfg.read_text(encoding="utf-8") if is_venv and cfg.is_file() else ""
    sees = re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE)
    return PicameraFacts(
        is_installed=any(map(machine.has, PICAMERA_PLACES)),
        system_python=_system_python(machine),
        our_python=f"{sys.version_info.major}.{sys.version_info.minor}",
        sees_system=not is_venv or sees is not None,
        venv=sys.prefix if is_venv else "",
    )


def _system_python(machine: Machine) -> str:
    name = Path(machine.link("usr/bin/python3")).name
    found = re.fullmatch(r"python(3\.\d+)", name)
    return found[1] if found else ""


def judge_picamera(case: Case, trial: CameraTrial, facts: PicameraFacts) -> Finding:
    """Say why picamera2 cannot be imported."""
    told = {"cfg": f"{facts.venv}/pyvenv.cfg", "venv": facts.venv or ".venv"}
    if not facts.is_installed:
        return case.found(PICAMERA_ABSENT, "picamera2 is not installed")
    if facts.system_python and facts.system_python != facts.our_python:
        what = f"picamera2 is for Python {facts.system_python}, and this is {facts.our_python}"
        return case.found(PICAMERA_OTHER_PYTHON, what, **told)
    if not facts.sees_system:
        what = f"{facts.venv} does not look at the system's packages"
        return case.found(PICAMERA_HIDDEN, what, **told)
    return case.found(PICAMERA_BROKEN, trial.what)


def _devices_here(machine: Machine) -> tuple[str, ...]:
    """Return the cameras that the kernel shows, for somebody who has yet to name one."""
    return tuple(
        f"/dev/{name}: {machine.text(f'sys/class/video4linux/{name}/name') or 'a video device'}"
        for name in machine.entries("sys/class/video4linux", "video")
        if machine.text(f"sys/class/video4linux/{name}/index") in ("", "0")
    )


CHECK = Check(
    "cameras", "each one opened, or asked for if the service has it", examine, _kinds.made
)
