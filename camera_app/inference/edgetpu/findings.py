"""What can be wrong with a stick: each with a name, a sentence, and what to do.

Only texts and what follows from them; who finds a thing out is told in the other modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from camera_app.errors import DeviceError
from camera_app.inference.edgetpu.places import ROOT_VARIABLE, Place

LIBRARY = "libedgetpu.so.1"

_POWER = (
    "Use another cable, and a port or hub with a power supply of its own: a stick takes up to 0.9 A"
)
_FITTING = (
    "Install a libedgetpu that was built for this runtime (TensorFlow 2.16 or newer); the package "
    "libedgetpu1-std 16.0 of 2021 does not fit"
)


class FindingKind(StrEnum):
    """What is wrong, as it is counted and told to programs."""

    ABSENT = "absent"
    BUSY = "busy"
    LIBRARY_MISSING = "library_missing"
    LIBRARY_MISMATCH = "library_mismatch"
    NEWER_RUNTIME_NEEDED = "newer_runtime_needed"
    WRONG_CABLE = "wrong_cable"
    NO_PERMISSION = "no_permission"
    HUNG_AT_LOAD = "hung_at_load"
    HUNG = "hung"
    DIED = "died"
    FAILED = "failed"
    REFUSED = "refused"
    PACK_REFUSED = "pack_refused"
    TWINS_DISAGREE = "twins_disagree"
    WRONG_ANSWERS = "wrong_answers"
    CLOSED = "closed"


# What only a person can change: trying again soon is of no use.
_FOR_THE_OWNER = frozenset(
    {
        FindingKind.LIBRARY_MISSING,
        FindingKind.LIBRARY_MISMATCH,
        FindingKind.NEWER_RUNTIME_NEEDED,
        FindingKind.WRONG_CABLE,
        FindingKind.NO_PERMISSION,
        FindingKind.PACK_REFUSED,
        FindingKind.TWINS_DISAGREE,
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with a stick, or with a pack on it.

    Attributes:
        kind: Its name.
        where: The place, and the pack if it is about one.
        what: A sentence without a full stop.
        remedy: What to do; may be empty.
    """

    kind: FindingKind
    where: str
    what: str
    remedy: str = ""

    @property
    def is_for_the_owner(self) -> bool:
        """Whether it stays until a person does something other than plugging the stick in."""
        return self.kind in _FOR_THE_OWNER

    def as_json(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_json(cls, said: Mapping[str, str]) -> Finding:
        """Read it back.

        Raises:
            ValueError: There is no such kind.
            KeyError: Something is missing.
        """
        return cls(FindingKind(said["kind"]), said["where"], said["what"], said["remedy"])

    def __str__(self) -> str:
        return str(StickFailed(self))


class StickFailed(DeviceError):
    """A stick cannot be used; it is closed, and may be opened again later.

    Attributes:
        finding: Why.
    """

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.what, where=finding.where, remedy=finding.remedy)
        self.finding = finding


def absent(place: str) -> Finding:
    return Finding(
        FindingKind.ABSENT,
        place,
        "no Edge TPU is in this place",
        "Plug it in. `camera-app devices` shows where there are some",
    )


def busy(place: str, holder: int | None) -> Finding:
    who = f"process {holder}" if holder else "another process"
    return Finding(
        FindingKind.BUSY,
        place,
        f"{who} has this stick",
        "A stick serves one program: end the other one, or give each a stick of its own",
    )


def library_missing(place: str, text: str) -> Finding:
    return Finding(
        FindingKind.LIBRARY_MISSING,
        place,
        f"the library of the Edge TPU cannot be loaded: {text}",
        f"Install libedgetpu, so that {LIBRARY} is found; where to get one that fits is in "
        "docs/guide/edge-tpu.md",
    )


def library_mismatch(place: str, ending: str) -> Finding:
    return Finding(
        FindingKind.LIBRARY_MISMATCH,
        place,
        f"{LIBRARY} does not match the runtime: it crashed when a network was loaded ({ending})",
        _FITTING,
    )


def lacks_entry_points(place: str, text: str) -> Finding:
    return Finding(
        FindingKind.LIBRARY_MISMATCH, place, f"{LIBRARY} is not what it should be: {text}", _FITTING
    )


def newer_runtime_needed(place: str, pack: str, text: str) -> Finding:
    return Finding(
        FindingKind.NEWER_RUNTIME_NEEDED,
        f"{place}, model pack {pack}",
        f"the model was compiled for a newer runtime: {text}",
        "Install a newer libedgetpu, or compile the model for an older one: "
        "edgetpu_compiler --min_runtime_version",
    )


def wrong_cable(place: Place) -> Finding:
    return Finding(
        FindingKind.WRONG_CABLE,
        place.name,
        f"the stick is connected at {place.speed_mbit:g} Mbit/s, which is too slow to be of use",
        "Use the cable that came with it, in a USB 3 port, without an old hub between",
    )


def no_permission(place: Place) -> Finding:
    return Finding(
        FindingKind.NO_PERMISSION,
        place.name,
        f"this user may not use {place.device_file}",
        "Install the udev rule that comes with libedgetpu, add the user to the group plugdev "
        "(apex for PCIe), and plug the stick in again; a container needs the device passed in",
    )


def hung_at_load(place: str, doing: str, limit_s: float) -> Finding:
    return Finding(
        FindingKind.HUNG_AT_LOAD,
        place,
        f"the stick was not ready within {limit_s:.1f} s, while {doing}",
        f"Plug the stick out and in again. {_POWER}",
    )


def hung(place: str, pack: str, limit_s: float) -> Finding:
    return Finding(
        FindingKind.HUNG,
        place,
        f"no answer from {pack} within {limit_s * 1000:.0f} ms",
        f"If it comes again and again, plug the stick out and in. {_POWER}",
    )


def cannot_be_killed(place: str) -> Finding:
    return Finding(
        FindingKind.HUNG,
        place,
        "the process of this stick hangs in the driver and cannot be ended",
        "Plug the stick out; if that does not help, restart the machine",
    )


def died(place: str, ending: str, doing: str) -> Finding:
    return Finding(
        FindingKind.DIED,
        place,
        f"the process of this stick ended ({ending}) while {doing}",
        f"The connection broke, or the stick was short of power. {_POWER}",
    )


def failed(place: str, pack: str, text: str) -> Finding:
    return Finding(
        FindingKind.FAILED,
        place,
        f"{pack} failed to run: {text}",
        f"If it comes again and again, plug the stick out and in. {_POWER}",
    )


def unintelligible(place: str, text: str) -> Finding:
    return Finding(
        FindingKind.FAILED, place, f"the process of this stick is not to be understood: {text}"
    )


def refused(place: str) -> Finding:
    return Finding(
        FindingKind.REFUSED,
        place,
        f"{LIBRARY} refuses to open this stick and does not say why",
        "Another program may have it (end that), or it is stuck (plug it out and in again)",
    )


def not_seen_by_library(place: str) -> Finding:
    return Finding(
        FindingKind.REFUSED,
        place,
        f"the kernel shows this stick, {LIBRARY} does not",
        f"Plug it out and in again; is {ROOT_VARIABLE} set by mistake?",
    )


def runtime_refused(place: str, text: str, remedy: str) -> Finding:
    return Finding(FindingKind.REFUSED, place, text, remedy)


def pack_refused(place: str, pack: str, text: str, remedy: str = "") -> Finding:
    return Finding(FindingKind.PACK_REFUSED, f"{place}, model pack {pack}", text, remedy)


def twins_disagree(place: str, pack: str, text: str) -> Finding:
    return Finding(
        FindingKind.TWINS_DISAGREE,
        f"{place}, model pack {pack}",
        f"the file for the Edge TPU is not the twin of the one for the CPU: {text}",
        "Compile the file of this very pack, and put both into it",
    )


def wrong_answers(place: str, text: str) -> Finding:
    return Finding(
        FindingKind.WRONG_ANSWERS,
        place,
        f"the stick does not give the known answers: {text}",
        f"Plug it out and in again; if it stays, the stick is broken. {_POWER}",
    )


def closed(place: str) -> Finding:
    return Finding(FindingKind.CLOSED, place, "the stick is not open")
