"""The values that the scheduling policy takes and gives: requests, devices, pressure, decisions.

No rule stands here. What decides over them is `policy.py`; who owns threads and devices, and
carries decisions out, is the executor.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Worth(IntEnum):
    """What a region is worth; under overload the least goes first."""

    STANDING = 1  # another look at what stands there, and will stand there in a second too
    MOTION = 2  # something moves, nobody knows what; the whole frame looked at now and then
    TRACK = 3  # something is followed there, and moves or is in doubt
    RULE = 4  # something is followed there that a rule of the owner's waits for, as a person


class DeviceKind(StrEnum):
    """What networks run on."""

    CPU = "cpu"
    EDGETPU = "edgetpu"


class Condition(StrEnum):
    """How far a device is trusted."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"  # in use, and watched: it was late or failed, or is lately back
    BROKEN = "broken"  # not in use
    PROBATION = "probation"  # back: one request at a time, each given to another device as well


@dataclass(frozen=True, slots=True)
class Request:
    """One region of one frame that one model is wanted for.

    The requests of a camera with the same `captured_ns` are those of one frame; with the same
    `region` besides, they are answered together or not at all.

    Attributes:
        number: Its name; later requests have higher numbers.
        camera: Name of the camera.
        region: Which region of the frame, from 0.
        model: Name of the model that the owner asked for: that of a ladder.
        worth: What the region is worth.
        captured_ns: When the frame was captured, monotonic.
        deadline_ns: When an answer is of no use any more, monotonic.
        avoid: Names of devices that have failed it already.
    """

    number: int
    camera: str
    region: int
    model: str
    worth: Worth
    captured_ns: int
    deadline_ns: int
    avoid: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class DeviceState:
    """A device as it is now.

    Attributes:
        name: Its stable name, such as `cpu` or `usb:1-1.4`.
        kind: What it is.
        condition: How far it is trusted.
        places: Requests that it can have under way. Those of a CPU run side by side; those of a
            stick one after the other, a second waiting so that the stick is never idle.
        free_places: Requests that it could be given now.
        resident: The pack whose weights a stick holds; None if it holds none, or on a CPU.
    """

    name: str
    kind: DeviceKind
    condition: Condition
    places: int
    free_places: int
    resident: str | None = None

    @property
    def is_usable(self) -> bool:
        return self.condition is not Condition.BROKEN


@dataclass(frozen=True, slots=True)
class Variant:
    """One pack of a ladder.

    Attributes:
        pack: Its name.
        kinds: What it can run on: a pack without an Edge TPU file runs on the CPU alone.
    """

    pack: str
    kinds: frozenset[DeviceKind]


@dataclass(frozen=True, slots=True)
class Ladder:
    """The packs that can stand in for a model, by falling cost and accuracy.

    Attributes:
        variants: The model itself first. One at least, and the first runs on the CPU.
    """

    variants: tuple[Variant, ...]

    def pack_for(self, kind: DeviceKind, rung: int) -> str | None:
        """Return the pack for a kind of device so far down, or the last above it that fits."""
        for variant in reversed(self.variants[: rung + 1]):
            if kind in variant.kinds:
                return variant.pack
        return None


@dataclass(frozen=True, slots=True)
class CameraShare:
    """What one camera may take of the devices.

    Attributes:
        weight: Its share in proportion to those of other cameras that ask at the same time.
        min_fps: Frames a second that it is promised before anybody gets more; above 0.
    """

    weight: float = 1.0
    min_fps: float = 1.0


@dataclass(frozen=True, slots=True)
class Pressure:
    """What the machine suffers from.

    Attributes:
        temperature_c: Of the processor; None where it cannot be read.
        throttled: Its clock is held down because of heat.
        under_voltage: The supply does not give enough.
        cpu_busy_share: Processor time that other programs take, of all cores, 0..1.
    """

    temperature_c: float | None = None
    throttled: bool = False
    under_voltage: bool = False
    cpu_busy_share: float = 0.0


class ShedCause(StrEnum):
    """Why a request is not answered."""

    LATE = "late"  # its deadline passed, or will before anybody could answer
    REPLACED = "replaced"  # a newer frame of its camera waits, and nothing of this one has begun
    OVERLOAD = "overload"  # more is waiting than can be answered soon, and this is worth least
    NO_DEVICE = "no_device"  # no device is left that could run it


class Reason(StrEnum):
    """Why less is done than the owner asked for."""

    OVERLOAD = "overload"
    HEAT = "heat"
    UNDER_VOLTAGE = "under_voltage"
    STICK_LOST = "stick_lost"


@dataclass(frozen=True, slots=True)
class Assignment:
    """A request given to a device.

    Attributes:
        request: What is to be answered.
        device: Name of the device.
        pack: The pack to run.
        limit_ns: How long it may take from now on, waiting on the device included; a stick that
            takes longer is hung.
        is_hedge: Another device has it already; the first answer counts.
    """

    request: Request
    device: str
    pack: str
    limit_ns: int
    is_hedge: bool = False


@dataclass(frozen=True, slots=True)
class Shed:
    """A request that will not be answered."""

    request: Request
    cause: ShedCause


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done now.

    Attributes:
        assignments: Requests to be started; they wait no longer. A hedge is for one under way.
        sheds: Requests to be given up; they wait no longer.
        rung: How far down the ladders, from 0.
        reasons: Why less is done than was asked for; empty: nothing is amiss.
        overdue: Devices that have just missed the time expected of them.
        wake_ns: When to ask again even if nothing happens, monotonic; None: no need.
        is_at_rest: Time alone changes nothing any more: no need to ask now and then besides.
    """

    assignments: tuple[Assignment, ...] = ()
    sheds: tuple[Shed, ...] = ()
    rung: int = 0
    reasons: tuple[Reason, ...] = ()
    overdue: tuple[str, ...] = ()
    wake_ns: int | None = None
    is_at_rest: bool = True
