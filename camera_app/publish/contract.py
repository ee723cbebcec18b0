"""Which message stands on which topic, in which form: what others may rely on. Pure.

The reference in `docs/` is generated from here, and the tests hold every message that they see on
the wire against it. A topic is described under the name of its member in `Topics`; what a field
means is said once, in the docstring of the class that describes the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from camera_app.events.record import SCHEMA as EVENT_SCHEMA
from camera_app.inference.edgetpu import PLACE_PATTERN
from camera_app.publish.commands import RESULT_SCHEMA, Result
from camera_app.publish.frigate import FrigateEvent
from camera_app.publish.payloads import (
    CONFIGURATION_SCHEMA,
    FALLBACK_SCHEMA,
    STATUS_SCHEMA,
    ConfigurationStatus,
    DeviceStatus,
    FallbackStatus,
)
from camera_app.publish.requests import PAGE_SCHEMA, RequestMessage

Stamp = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[tuple[float, ...], Field(min_length=4, max_length=4)]
SizeInPixels = Annotated[tuple[int, ...], Field(min_length=2, max_length=2)]


@dataclass(frozen=True, slots=True)
class BestView:
    """The moment at which an object was seen best.

    Attributes:
        at: Capture of that frame, UTC.
        box: Where the object was: left, top, width and height in pixels of the frame.
        score: How sure the network was, 0 to 1.
    """

    at: Stamp
    box: Pixels
    score: Share


@dataclass(frozen=True, slots=True)
class LineCrossing:
    """One crossing of one line.

    Attributes:
        line: Name of the line.
        direction: `in`: from its left to its right, as one goes from its first point to its last.
        at: When the object's path met the line, UTC.
    """

    line: str
    direction: Literal["in", "out"]
    at: Stamp


@dataclass(frozen=True, slots=True)
class LineCount:
    """How often an object has crossed a line one way.

    Attributes:
        line: Name of the line.
        direction: Which way, as in a crossing.
        count: How often, at least once.
    """

    line: str
    direction: Literal["in", "out"]
    count: Annotated[int, Field(ge=1)]


@dataclass(frozen=True, slots=True)
class LoiteringStay:
    """An object stays where it should pass.

    Attributes:
        zone: Name of the zone.
        since: When it was first seen there in this stay, UTC.
        duration_s: Seconds since then.
        repeat: 0: told for the first time in this stay; else how often it was due before.
    """

    zone: str
    since: Stamp
    duration_s: Annotated[float, Field(ge=0)]
    repeat: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class EventMessage:
    """One change of one event, as told on `event` and `now`.

    Attributes:
        device_id: The device, unique at its broker.
        seq: Number of this change in the camera's stream, from 1, without gaps.
        delayed: It is told late; an automation should not take it for now.
        event_id: The event, a time-ordered UUID; the same in every copy of this message.
        type: Where in the event's life the change stands.
        reason: Why there is a change, in a word: `line_crossed` and `loitering` come with more.
        camera: Name of the camera.
        label: What the object is.
        at: Capture of the frame that brought the change about, UTC.
        started_at: First sight of the object, UTC.
        last_seen_at: Last sight so far, UTC.
        ended_at: Last sight of all, UTC; null while the event goes on.
        duration_s: Seconds from the first sight to the last so far.
        score: Median of the object's recent scores, 0 to 1.
        top_score: Highest such median so far, 0 to 1.
        box: Where the object is: left, top, width and height in pixels of the frame.
        frame_size: Width and height of the frame, pixels.
        zones: Zones that it stands in now.
        entered_zones: Zones that it has entered so far, in order.
        is_stationary: It has not moved for the configured time.
        best: When it was seen best.
        crossing: The crossing that this change tells; null where it tells none.
        crossings: How often the object has crossed which line so far.
        loitering: The stay that this change tells; null where it tells none.
        loitered_zones: Zones that it has loitered in so far, in order.
        boot_id: The run of the machine in which it happened: times of one run can be compared.
        monotonic_s: Capture of the frame that brought the change about, in seconds of that run.
        uncertainty_s: How far off the stamps in UTC may be, in seconds; null: nobody knows.
        film: The newest film on the device that shows it, a path below the folder of the films; not
            there as long as there is none.
    """

    device_id: str
    seq: Annotated[int, Field(ge=1)]
    delayed: bool
    event_id: Uuid
    type: Literal["started", "updated", "ended"]
    reason: str
    camera: str
    label: str
    at: Stamp
    started_at: Stamp
    last_seen_at: Stamp
    ended_at: Stamp | None
    duration_s: Annotated[float, Field(ge=0)]
    score: Share
    top_score: Share
    box: Pixels
    frame_size: SizeInPixels
    zones: tuple[str, ...]
    entered_zones: tuple[str, ...]
    is_stationary: bool
    best: BestView
    crossing: LineCrossing | None
    crossings: tuple[LineCount, ...]
    loitering: LoiteringStay | None
    loitered_zones: tuple[str, ...]
    boot_id: Uuid
    monotonic_s: float
    uncertainty_s: Annotated[float, Field(ge=0)] | None
    film: str


@dataclass(frozen=True, slots=True)
class GapMessage:
    """What stands in the ledger where changes had to go.

    Attributes:
        device_id: The device, unique at its broker.
        seq: The last number that is missing: the stream goes on with the next one.
        delayed: It is told late.
        event_id: The gap's own, the same in every copy of this message.
        type: Always `gap`.
        camera: Name of the camera.
        from_seq: First number that is missing.
        to_seq: Last number that is missing.
        why: What made them go: the owner's limits, a full disk, a broker that refuses; `several`
            where there is more than one cause.
        at: When they went, UTC.
    """

    device_id: str
    seq: Annotated[int, Field(ge=1)]
    delayed: bool
    event_id: Uuid
    type: Literal["gap"]
    camera: str
    from_seq: Annotated[int, Field(ge=1)]
    to_seq: Annotated[int, Field(ge=1)]
    why: Literal["age", "number", "size", "disk_full", "refused", "unknown", "several"]
    at: Stamp


@dataclass(frozen=True, slots=True)
class PageMessage:
    """A page of what a subscriber asked for on `events/request`.

    Attributes:
        device_id: The device, unique at its broker.
        camera: The stream that was asked for; empty where there is an `error`.
        after_seq: The page begins after this number.
        through_seq: Last number of the page; `after_seq` where it is empty.
        newest_seq: Last number that was given out in the stream; 0: there is no such stream.
        is_last: No other page of this answer follows. If `through_seq` is below `newest_seq`, there
            is more to ask for.
        correlation: As it stood in the request, for MQTT 3.1.1; else empty.
        error: Why there is no answer; empty: there is one.
        changes: The changes and gaps, as on `event`, in order and without a hole.
    """

    device_id: str
    camera: str
    after_seq: Annotated[int, Field(ge=0)]
    through_seq: Annotated[int, Field(ge=0)]
    newest_seq: Annotated[int, Field(ge=0)]
    is_last: bool
    correlation: str
    error: str
    changes: tuple[EventMessage | GapMessage, ...]


@dataclass(frozen=True, slots=True)
class SelfTestMessage:
    """What the last self-test found.

    Attributes:
        passed: Nothing is wrong.
        findings: What is, a sentence each.
        at: When, UTC.
    """

    passed: bool
    findings: tuple[str, ...]
    at: Stamp


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object with the fields of a class, and `schema` beside them.

    Attributes:
        model: Describes the fields, each of which is always there.
        schema: Version of the form; None: the object carries none.
        optional: Names of fields that are left out where they say nothing.
    """

    model: type
    schema: int | None = None
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few bare words."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A bare word of a form.

    Attributes:
        expression: That it matches, whole.
        meaning: What it is, such as `place of an Edge TPU`.
    """

    expression: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Number:
    """A bare number in decimal digits."""

    least: float = 0
    most: float | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Bytes:
    """Something that is no text.

    Attributes:
        content_type: What it is, such as `image/jpeg`.
        starts_with: First bytes of every such message.
    """

    content_type: str
    starts_with: bytes


@dataclass(frozen=True, slots=True)
class AnyJson:
    """JSON whose form another project lays down.

    Attributes:
        defined_by: Where it is described.
    """

    defined_by: str


Payload = JsonObject | Word | Pattern | Number | Bytes | AnyJson


@dataclass(frozen=True, slots=True)
class Channel:
    """What stands on one topic.

    Attributes:
        payloads: What a message on it may be.
        is_retained: The broker keeps the last one.
        qos: 0: at most once; 1: at least once.
        is_received: Others write it and the camera listens, rather than the other way round.
        address: The topic, where it is no member of `Topics`; names in braces stand for levels.
        summary: One sentence, where it is no member of `Topics`.
        levels: What a level in braces may be, where there are few such words.
    """

    payloads: tuple[Payload, ...]
    is_retained: bool = True
    qos: int = 1
    is_received: bool = False
    address: str = ""
    summary: str = ""
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


_AVAILABILITY = Word(("online", "offline"))
_EVENT = JsonObject(
    EventMessage,
    EVENT_SCHEMA,
    # Records of earlier versions are without them; `film` is there once there is one.
    optional=frozenset(
        {
            *("boot_id", "monotonic_s", "uncertainty_s"),
            *("crossing", "crossings", "loitering", "loitered_zones", "film"),
        }
    ),
)
_GAP = JsonObject(GapMessage, EVENT_SCHEMA)

_REQUEST = JsonObject(
    RequestMessage,
    optional=frozenset({"after_seq", "limit", "response_topic", "correlation"}),
)

_JPEG = Bytes("image/jpeg", b"\xff\xd8\xff")
_SWITCH = Word(("ON", "OFF"))
_PRESS = Word(("PRESS",))
_SHARE = Number(most=1, is_whole=False)
SELF_TEST_SCHEMA = 1  # `control/self_test.py` makes it, a room above
SETTINGS = ("detection", "privacy", "recording", "snapshots", "threshold", "faces", "variant")
_PACK = Pattern("[0-9]*[A-Za-z][A-Za-z0-9._-]*", "the name of a model pack, for `variant`")
_PROFILE = Pattern("[a-z0-9][a-z0-9_-]{0,31}", "the name of a profile, `configured` or `custom`")

_DISCOVERY = AnyJson("The discovery of Home Assistant's MQTT integration, see its documentation.")
_FRIGATE_STATS = AnyJson("A part of Frigate's own statistics, see its documentation.")


def _beside(payload: Payload, address: str, what: str) -> Channel:
    """Return a topic of Frigate's that its broker keeps."""
    summary = f"In the mode `frigate`: {what}."
    return Channel((payload,), address=f"{{compat_prefix}}/{address}", summary=summary)


def _passing(payload: Payload, address: str, what: str, qos: int = 0) -> Channel:
    """Return one that it does not keep."""
    return replace(_beside(payload, address, what), is_retained=False, qos=qos)


# By the name of the member of `Topics`, or any other name where `address` is given.
CHANNELS: Mapping[str, Channel] = {
    "availability": Channel((_AVAILABILITY,)),
    "status": Channel((JsonObject(DeviceStatus, STATUS_SCHEMA),)),
    "configuration": Channel((JsonObject(ConfigurationStatus, CONFIGURATION_SCHEMA),)),
    "fallback": Channel((JsonObject(FallbackStatus, FALLBACK_SCHEMA),)),
    "camera_availability": Channel((_AVAILABILITY,)),
    "event": Channel((_EVENT, _GAP), is_retained=False),
    "now": Channel((_EVENT,), is_retained=False, qos=0),
    "request": Channel((_REQUEST,), is_retained=False, is_received=True),
    "answer": Channel((JsonObject(PageMessage, PAGE_SCHEMA),), is_retained=False),
    "motion": Channel((_SWITCH,)),
    "count": Channel((Number(),)),
    "zone_count": Channel((Number(),)),
    "snapshot": Channel((_JPEG,)),
    "label_snapshot": Channel((_JPEG,)),
    "live": Channel((_JPEG,), is_retained=False, qos=0),
    "setting": Channel((_SWITCH, _SHARE, _PACK), levels={"setting": SETTINGS}),
    "profile": Channel((_PROFILE,)),
    "camera_command": Channel(
        (_SWITCH, _SHARE, _PACK, _PRESS),
        is_retained=False,
        is_received=True,
        levels={"command": (*SETTINGS, "snapshot_now")},
    ),
    "device_command": Channel(
        (_PRESS, Pattern(PLACE_PATTERN, "the place of an Edge TPU, for `try_edgetpu`"), _PROFILE),
        is_retained=False,
        is_received=True,
        levels={"command": ("restart", "self_test", "reload", "try_edgetpu", "profile")},
    ),
    "probe": Channel(
        (Pattern("[0-9a-f]{16}", "a random word"),), is_retained=False, is_received=False
    ),
    "result": Channel((JsonObject(Result, RESULT_SCHEMA),), is_retained=False),
    "self_test": Channel((JsonObject(SelfTestMessage, SELF_TEST_SCHEMA),)),
    "discovery": Channel(
        (_DISCOVERY,),
        address="{discovery_prefix}/device/{device_id}/config",
        summary="The whole device, for Home Assistant, in the style `device`.",
    ),
    "discovery_of_entity": Channel(
        (_DISCOVERY,),
        address="{discovery_prefix}/{component}/{entity}/config",
        summary="One entity, for Home Assistant, in the style `entity`.",
    ),
    "frigate_available": _beside(_AVAILABILITY, "available", "whether the service runs"),
    "frigate_status": _beside(_AVAILABILITY, "{camera}/status/detect", "whether a camera sees"),
    "frigate_motion": replace(
        _beside(_SWITCH, "{camera}/motion", "whether anything moves"), is_retained=False
    ),
    "frigate_snapshot": _beside(_JPEG, "{camera}/{label}/snapshot", "the newest best moment"),
    "frigate_events": _passing(JsonObject(FrigateEvent), "events", "fresh changes"),
    "frigate_stats": _passing(_FRIGATE_STATS, "stats", "how the device does"),
    "frigate_count": _passing(
        Number(), "{place}/{label}", "how many a camera or zone holds; the label `all`: of all", 1
    ),
}
