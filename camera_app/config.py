"""The configuration: its sections, their defaults, and how a file becomes a checked value.

A part is handed its own section, frozen and checked, and never the whole. A wrong file is
refused whole, with every problem named, the line it stands on and what was probably meant.
"""

from __future__ import annotations

import difflib
import ipaddress
import itertools
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from camera_app.errors import ConfigError, Problem
from camera_app.logs import CREDENTIALS_VARIABLE, keep_address_secret, keep_misplaced_secret

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
PublicKey = Annotated[str, Field(pattern=r"^ed25519:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$")]
PackName = Annotated[str, Field(min_length=1)]


def _listed(value: object) -> object:
    """Return a text as the list that it is short for; an empty one is an empty list."""
    return [value] * bool(value) if isinstance(value, str) else value


PackNames = Annotated[
    tuple[PackName, ...],
    BeforeValidator(_listed, json_schema_input_type=PackName | tuple[PackName, ...]),
]
ALL_STICKS = "auto"
NO_STICK = "off"
PASSWORD_PLACE = "{password}"  # noqa: S105 # nosec B105 # the place of one, not one
_STICK_PLACE = re.compile(r"usb:[0-9]+-[0-9]+(\.[0-9]+)*|pci:apex_[0-9]+")


def _stick_place(text: str) -> str:
    """Return a word of `inference.edgetpu`, or say what it should be."""
    if text in (ALL_STICKS, NO_STICK) or _STICK_PLACE.fullmatch(text):
        return text
    raise ValueError(
        f"names no Edge TPU: expected {ALL_STICKS!r}, {NO_STICK!r} or a place such as "
        "'usb:1-1.4' or 'pci:apex_0', as `camera-app devices` shows them"
    )


StickPlaces = Annotated[
    tuple[Annotated[str, AfterValidator(_stick_place)], ...],
    BeforeValidator(_listed, json_schema_input_type=str | tuple[str, ...]),
]
USUAL_FILE = Path("/etc/camera-app/camera.toml")  # as the installer puts it
CREDENTIALS_PLACE = f"${CREDENTIALS_VARIABLE}"


def _among_credentials(path: Path) -> Path:
    """Return where a file lies that systemd hands over as a credential; others lie where they do.

    Outside of the service there is no such folder: then the name stays, and whoever reads it fails.
    """
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    if folder and path.parts[:1] == (CREDENTIALS_PLACE,):
        return Path(folder, *path.parts[1:])
    return path


SecretFile = Annotated[Path, AfterValidator(_among_credentials)]
Vertex = tuple[Share, Share]
Polygon = Annotated[tuple[Vertex, ...], Field(min_length=3, max_length=64)]
Polyline = Annotated[tuple[Vertex, ...], Field(min_length=2, max_length=64)]

# What is told on the `profile` topic where no profile holds: as the file says, or anything else.
CONFIGURED, CUSTOM = "configured", "custom"
# MQTT topics have these as levels beside the names of cameras or labels; see publish/topics.py.
RESERVED_CAMERA_NAMES = frozenset(
    {
        "availability",
        "configuration",
        "events",
        "fallback",
        "profile",
        "reload",
        "restart",
        "result",
        "self_test",
        "status",
    }
)

# Kinds of source that hand over pictures, nothing that could be kept as it is.
SOURCES_OF_PICTURES = frozenset({"v4l2", "picamera", "synthetic"})


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataSettings(Section):
    """Where the camera keeps what it knows."""

    folder: Path = Path("/var/lib/camera-app")
    """Folder of the database, the films and the snapshots; made if it is absent."""
    reserve_megabytes: Annotated[float, Field(ge=0)] = 200.0
    """Space kept free of pictures, in millions of bytes. With less than this no films are made, and
    the oldest go; with less than half of it no snapshots, and the oldest of those go too: the rest
    is for events."""


class MqttSettings(Section):
    """The way to the home hub."""

    enabled: bool = True
    """Whether to connect to a broker at all. Events are kept either way."""
    host: Annotated[str, Field(min_length=1)] = "localhost"
    """Host name or address of the broker."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    """TCP port; 8883 is usual with TLS."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """MQTT version; `auto` tries 5 and falls back to 3.1.1 when the broker refuses it."""
    base_topic: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = "camera_app"
    """First part of every topic; the device's id follows it."""
    client_id: str = ""
    """MQTT client id; empty: `camera_app-` and the device's id. Two clients must not share one."""
    username: str = ""
    """User name at the broker; empty: none."""
    password_file: SecretFile | None = None
    """File that holds the password, and nothing else but a line end. Never the password itself.
    One that systemd hands over as a credential: `$CREDENTIALS_DIRECTORY/mqtt-password`."""
    tls: bool = False
    """Encrypt the connection. On by itself when `ca_file` or a client certificate is given."""
    ca_file: SecretFile | None = None
    """Certificates to trust, PEM; absent: those of the system."""
    client_certificate_file: SecretFile | None = None
    """Our certificate, PEM, for brokers that ask for one."""
    client_key_file: SecretFile | None = None
    """Its private key, PEM."""
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds of silence after which the connection is tested."""
    window: Annotated[int, Field(ge=1, le=1000)] = 100
    """How many events may be sent and not yet acknowledged; a broker's smaller limit wins."""
    now_max_age_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """A change older than this is told on the `event` topic alone, never on `now`."""
    status_interval_s: Annotated[float, Field(ge=1, le=3600)] = 30.0
    """Seconds between two messages on the `status` topic."""
    snapshots: bool = False
    """Send the best moment of each event as a JPEG. Off: none of them leaves the device."""
    live_interval_s: Annotated[float, Field(ge=0, le=3600)] = 0.0
    """Send what each camera sees as a JPEG this often, in seconds, not oftener than once a second;
    0: never."""

    compat: Literal["none", "frigate"] = "none"
    """`frigate`: beside our own topics tell some of Frigate's, for automations made for it."""
    compat_prefix: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = "frigate"
    """First part of those topics."""

    @property
    def uses_tls(self) -> bool:
        return self.tls or self.ca_file is not None or self.client_certificate_file is not None

    @model_validator(mode="after")
    def _certificate_comes_with_key(self) -> MqttSettings:
        if (self.client_certificate_file is None) != (self.client_key_file is None):
            raise ValueError("client_certificate_file and client_key_file go together")
        return self


class InferenceSettings(Section):
    """What looks at the pictures."""

    model: Annotated[PackNames, Field(min_length=1)] = ("person_large",)
    """Name or folder of a model pack, or a list of several that all look, such as
    `["person_large", "face"]`; `camera-app models list` shows the known ones."""
    cpu_seats: Annotated[int, Field(ge=0, le=64)] = 0
    """Networks that run on the CPU at a time, one thread each; 0: one a core, at most four."""
    edgetpu: Annotated[StickPlaces, Field(min_length=1)] = (ALL_STICKS,)
    """Edge TPUs to use beside the CPU: `auto`: every one that is plugged in, now or later; `off`:
    none; or places, such as `["usb:1-1.4", "pci:apex_0"]`, as `camera-app devices` shows them: one
    that is named and absent is told as a fault."""
    edgetpu_performance: Literal["default", "low", "medium", "high", "max"] = "default"
    """Clock of an Edge TPU: lower is cooler. `default` is the library's own, which is `max`."""
    smaller_models: bool = True
    """Under load, heat or low voltage, look with the smaller pack that a pack names, and go back
    when that is over. Off: frames are left out instead."""

    @field_validator("edgetpu")
    @classmethod
    def _places_differ(cls, places: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({place for place in places if places.count(place) > 1})
        if twice:
            raise ValueError(f"place {twice[0]!r} is named twice")
        if len(places) > 1 and {ALL_STICKS, NO_STICK} & set(places):
            raise ValueError(
                f"{ALL_STICKS!r} and {NO_STICK!r} stand alone, not in a list of places"
            )
        return places


class ModelsSettings(Section):
    """Whose model packs are used."""

    trusted_keys: tuple[PublicKey, ...] = ()
    """Public keys whose packs are used, besides the project's own: `["ed25519:…"]`, as
    `camera-app models keys new` prints them."""


class MotionSettings(Section):
    """When a frame needs a network at all."""

    enabled: bool = True
    """Off: every frame is looked at."""
    threshold: Annotated[int, Field(ge=1, le=255)] = 12
    """Difference in brightness (of 255) from the background that counts as change."""
    min_area_share: Share = 0.0005
    """Smallest changed part of the picture, as a share of it, that counts as motion."""
    background_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """Time in which the background takes over what has stopped moving, in seconds."""
    recheck_s: Annotated[float, Field(gt=0, le=3600)] = 5.0
    """The whole picture is looked at this often, in seconds, even when nothing moves."""
    hold_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """Motion is told at once, and told to be over after this long without any, in seconds."""


class RegionSettings(Section):
    """Which part of a frame a network is shown."""

    mode: Literal["auto", "whole"] = "auto"
    """`auto`: crops around what moves and what is tracked, when they show more detail than the
    whole frame would; `whole`: always the whole frame."""
    max_per_frame: Annotated[int, Field(ge=1, le=16)] = 3
    """Most regions of one frame that are looked at."""
    margin_share: Annotated[float, Field(ge=0.0, le=4.0)] = 0.5
    """Room left around what moved, as a share of its size."""
    max_zoom: Annotated[float, Field(ge=1.0, le=8.0)] = 2.0
    """A crop is never enlarged more than this to fill the network's input."""
    whole_every_s: Annotated[float, Field(gt=0, le=3600)] = 1.0
    """While something moves, the whole frame is looked at this often, in seconds."""


class TrackingSettings(Section):
    """How detections become tracks."""

    min_score: Share = 0.1
    """Detections below this are ignored."""
    high_score: Share = 0.4
    """Detections from here on are matched first."""
    new_track_score: Share = 0.6
    """A new track starts with a detection of at least this score."""
    confirm_hits: Annotated[int, Field(ge=1, le=100)] = 2
    """Detections that make a tentative track a confirmed one."""
    confirm_score: Share = 0.55
    """The mean of a tentative track's scores must reach this before it is confirmed."""
    merge_overlap: Share = 0.7
    """Of two detections of one class that overlap by more than this, the better one is kept."""
    tentative_s: Annotated[float, Field(gt=0, le=60)] = 1.0
    """A tentative track that is not seen for this long is forgotten, in seconds."""
    lost_s: Annotated[float, Field(gt=0, le=600)] = 2.0
    """A confirmed track that is not seen for this long is over, in seconds."""
    unwatched_s: Annotated[float, Field(gt=0, le=86400)] = 300.0
    """A track is over after this, in seconds, even if nobody looked where it should be."""


class EventSettings(Section):
    """How tracks become events."""

    labels: tuple[str, ...] = ("person", "face")
    """Classes that make events, if a model of the camera finds them; `camera-app models show`
    tells what a pack finds. Empty: all."""
    min_score: Share = 0.5
    """The median of an object's recent scores must reach this before an event starts."""
    min_seen_s: Annotated[float, Field(ge=0, le=60)] = 0.3
    """Time between first and last sight before an event starts, in seconds."""
    min_area_share: Share = 0.0
    """Objects that cover less of the picture than this are ignored."""
    max_area_share: Share = 1.0
    """Objects that cover more of the picture than this are ignored."""
    update_interval_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """While it lasts, an event is told again at least this often, in seconds."""
    stationary_s: Annotated[float, Field(gt=0, le=3600)] = 10.0
    """An object that has not moved for this long is stationary, in seconds."""


class ZoneSettings(Section):
    """A part of the picture with a name."""

    name: Name
    """Name of the zone, part of MQTT topics."""
    polygon: Polygon
    """Corners as shares of width and height, [[0.0, 0.5], …], at least three."""
    labels: tuple[str, ...] = ()
    """Classes that count in this zone; empty: all."""
    inertia_s: Annotated[float, Field(ge=0, le=60)] = 0.3
    """Time an object's foot must stand in the zone before it counts, in seconds."""
    loitering_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    """An object that stays in the zone for this long loiters, which is told once a stay, in
    seconds; 0: nobody loiters here. Faces do only where `labels` names them."""
    loitering_repeat_s: Annotated[float, Field(ge=0, le=86400)] = 0.0
    """While it goes on loitering that is told again this often, in seconds; 0: never."""

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
        return _checked_area(polygon)

    @model_validator(mode="after")
    def _repeats_what_is_told(self) -> ZoneSettings:
        if self.loitering_repeat_s and not self.loitering_s:
            raise ValueError("loitering_repeat_s repeats what only loitering_s tells")
        return self


class LineSettings(Section):
    """A line in the picture that is watched for whoever crosses it."""

    name: Name
    """Name of the line."""
    points: Polyline
    """The line from end to end as shares of width and height, [[0.0, 0.6], [1.0, 0.6]], two points
    or more. `in` is from its left to its right as one goes from the first point to the last: drawn
    from left to right across the picture, towards the camera. The other way is `out`."""
    direction: Literal["both", "in", "out"] = "both"
    """Which way counts."""
    labels: tuple[str, ...] = ()
    """Classes that count; empty: all but faces, which have no foot on the ground."""
    inertia_s: Annotated[float, Field(ge=0, le=60)] = 0.3
    """Time an object's foot must stay beyond the line before that is a crossing, in seconds."""
    margin_share: Share = 0.05
    """So far beyond the line it must get, as a share of the object's own height: who sways on the
    line does not cross it again and again."""

    @field_validator("points")
    @classmethod
    def _has_length(cls, points: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
        if any(before == after for before, after in itertools.pairwise(points)):
            raise ValueError("two points that follow each other are the same")
        return points


class MaskSettings(Section):
    """A part of the picture that nobody may ever see."""

    polygon: Polygon
    """Corners as shares of width and height; what is inside is painted over at the source."""

    @field_validator("polygon")
    @classmethod
    def _has_area(cls, polygon: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
        return _checked_area(polygon)


class SnapshotSettings(Section):
    """Stills of the best moment of each event, kept on this device."""

    enabled: bool = True
    """Whether to keep them."""
    quality: Annotated[int, Field(ge=10, le=100)] = 85
    """JPEG quality."""
    max_megabytes: Annotated[int, Field(ge=1)] = 500
    """Space for snapshots; the oldest go first."""
    max_days: Annotated[float, Field(gt=0)] = 30.0
    """Age at which a snapshot goes."""


class RecordingSettings(Section):
    """Films of events, kept on this device. None of them is ever sent."""

    enabled: bool = False
    """Whether to keep them. Can be switched over MQTT."""
    method: Literal["auto", "copy", "encode"] = "auto"
    """`copy`: keep what the camera sends as it is, which costs next to nothing; `encode`: compress
    what is looked at anew, which costs processor time; `auto`: copy where that can be, encode where
    it cannot: under privacy masks, and where no H.264 or H.265 comes."""
    source: Annotated[str, Field(pattern=r"^$|^[a-zA-Z][\w+.-]*://\S+$")] = ""
    """Another stream of the same camera for its films, such as the large one where `source` of the
    camera is a small one: `rtsp://…` or `http://…`, with `{password}` as there. It is kept as it
    comes and nobody looks at it; it is read only while recording is on. Empty: the camera's
    `source`. Impossible with privacy masks."""
    before_s: Annotated[float, Field(ge=0, le=60)] = 5.0
    """A film begins so long before its event, in seconds."""
    after_s: Annotated[float, Field(ge=0, le=300)] = 5.0
    """And ends so long after it."""
    max_s: Annotated[float, Field(ge=10, le=3600)] = 300.0
    """Longest film, in seconds; what lasts longer has several."""
    encode_fps: Annotated[float, Field(gt=0, le=30)] = 5.0
    """Pictures a second where they are compressed here; `fps` is the most there can be."""
    buffer_megabytes: Annotated[int, Field(ge=1, le=512)] = 16
    """Most memory for what was before an event, in millions of bytes."""
    max_megabytes: Annotated[int, Field(ge=10)] = 5000
    """Space for this camera's films; the oldest go first."""
    max_days: Annotated[float, Field(gt=0)] = 14.0
    """Age at which a film goes."""


class RetentionSettings(Section):
    """How long events are kept."""

    max_days: Annotated[float, Field(gt=0)] = 90.0
    """Age at which an event goes. One that was not told yet goes last of all."""
    max_events: Annotated[int, Field(ge=100)] = 1_000_000
    """Most event changes that are kept; the oldest go first."""
    max_megabytes: Annotated[int, Field(ge=1)] = 2000
    """Space for events, in millions of bytes; the oldest go first. What goes untold is told as a
    gap."""


class HomeAssistantSettings(Section):
    """How Home Assistant learns of this device, over the broker of `[mqtt]`."""

    discovery: Literal["device", "entity", "off"] = "device"
    """`device`: one message for all; `entity`: one for each entity, for versions before 2024.12;
    `off`: none, and what was announced before is taken back."""
    prefix: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = "homeassistant"
    """First part of the discovery topics, as Home Assistant's MQTT integration is set."""
    birth_topic: Annotated[str, Field(pattern=r"^[^#+\s/]+(/[^#+\s/]+)*$")] = "homeassistant/status"
    """Where Home Assistant says `online` when it has started; everything is told again then."""
    birth_delay_s: Annotated[float, Field(ge=0, le=300)] = 10.0
    """That is done after a random part of this time, so that many devices do not do it at once."""
    name: str = ""
    """Name of the device there; empty: made of `device_id`."""


class CommandSettings(Section):
    """What may be set and asked for over MQTT, by Home Assistant or others."""

    enabled: bool = True
    """Off: nothing can be changed over MQTT; `[camera.…]` alone says what holds."""


class ProfileSettings(Section):
    """Settings that are set together over MQTT, such as when everybody has left. What is not named
    stays as it is."""

    cameras: tuple[Name, ...] = ()
    """The cameras that it is for; none: all."""
    detection: bool | None = None
    """As in `[camera.…]`, like all below."""
    privacy: bool | None = None
    """Whether the cameras are closed."""
    recording: bool | None = None
    """Whether films are made: `recording.enabled` of the cameras."""
    snapshots: bool | None = None
    """Whether stills are kept: `snapshots.enabled` of the cameras."""
    faces: bool | None = None
    """Whether faces are looked for."""
    threshold: Share | None = None
    """Score from which an object is an event: `events.min_score` of the cameras."""

    @property
    def values(self) -> dict[str, bool | float]:
        """What is set, by the names that the settings have over MQTT."""
        plain = self.model_dump(exclude={"cameras"}, exclude_none=True)
        return {str(name): value for name, value in plain.items()}

    @model_validator(mode="after")
    def _sets_something(self) -> ProfileSettings:
        if not self.values:
            raise ValueError("sets nothing: name at least one setting, such as detection = false")
        return self


class CameraSettings(Section):
    """One camera."""

    source: Annotated[str, Field(min_length=1)]
    """`rtsp://…`, `http://…`, `v4l2:/dev/video0`, `picamera:0`, `synthetic:`, or a file."""
    enabled: bool = True
    """Off: the camera is known but not opened."""
    detection: bool = True
    """Off: the camera is open, and nothing looks at its pictures. Can be switched over MQTT."""
    privacy: bool = False
    """On: the camera is closed until this is switched off, here or over MQTT."""
    password_file: SecretFile | None = None
    """File with the password that replaces `{password}` in `source`."""
    width: Annotated[int, Field(ge=64, le=4096)] | None = None
    """Width to ask of a local camera, in pixels; streams come as they are."""
    height: Annotated[int, Field(ge=64, le=4096)] | None = None
    """Height to ask of a local camera, in pixels."""
    fps: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Frames a second to look at; a faster source is thinned, evenly."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How RTSP carries pictures."""
    deadline_s: Annotated[float, Field(gt=0.2, le=60)] = 5.0
    """A source that brings no frame for this long is restarted, in seconds."""
    model: PackNames = ()
    """Model packs for this camera, written alike; none: those of `[inference]`."""
    variant: str = ""
    """A smaller pack that one of those names, such as `person_small`, to look with in its place;
    empty: the pack itself. Can be chosen over MQTT."""
    faces: bool = True
    """Off: faces are not looked for, though a model of this camera would find them. Can be
    switched over MQTT."""
    priority: Annotated[float, Field(gt=0, le=100)] = 1.0
    """Its share of the networks under load, in proportion to the other cameras': 2 gets twice as
    much as 1."""
    min_fps: Annotated[float, Field(gt=0, le=120)] = 1.0
    """Frames a second that are looked at before any camera gets more, if that many come."""
    motion: MotionSettings = MotionSettings()
    """When a frame needs a network."""
    regions: RegionSettings = RegionSettings()
    """Which part of it the network is shown."""
    tracking: TrackingSettings = TrackingSettings()
    """How detections become tracks."""
    events: EventSettings = EventSettings()
    """How tracks become events."""
    zones: tuple[ZoneSettings, ...] = ()
    """Parts of the picture with a name."""
    lines: tuple[LineSettings, ...] = ()
    """Lines that are watched for whoever crosses them."""
    privacy_masks: tuple[MaskSettings, ...] = ()
    """Parts of the picture that nobody may see."""
    snapshots: SnapshotSettings = SnapshotSettings()
    """Stills of the best moment."""
    recording: RecordingSettings = RecordingSettings()
    """Films of what happened."""

    @property
    def sources(self) -> tuple[str, ...]:
        """All addresses that it is read from, that which is looked at first."""
        return tuple(filter(None, (self.source, self.recording.source)))

    @property
    def can_record(self) -> bool:
        """Whether films are possible at all, switched on or not."""
        return not self._why_no_copy or self.recording.method != "copy"

    @property
    def _why_no_copy(self) -> str:
        """Why what the source sends must not or cannot be kept as it is; empty: it may."""
        if self.privacy_masks:
            return "the camera has privacy masks, and what it sends shows what is under them"
        if not self.recording.source and self.source.partition(":")[0] in SOURCES_OF_PICTURES:
            return "this source sends pictures, no film"
        return ""

    @model_validator(mode="after")
    def _can_do_what_is_wanted(self) -> CameraSettings:
        # Switched on or not: it can be switched by a hub.
        if self.recording.source and self.privacy_masks:
            raise ValueError(
                "recording.source cannot be: the camera has privacy masks, and what that stream "
                "sends shows what is under them; without it films are made of the painted pictures"
            )
        if self.recording.source and self.recording.method == "encode":
            raise ValueError(
                'recording.source is kept as it comes, and recording.method "encode" films what '
                "is looked at: leave one of them out"
            )
        if self.recording.enabled and not self.can_record:
            raise ValueError(
                f'recording.method "copy" cannot be: {self._why_no_copy}; "encode" can, and costs '
                "processor time"
            )
        return self

    @field_validator("zones")
    @classmethod
    def _zone_names_differ(cls, zones: tuple[ZoneSettings, ...]) -> tuple[ZoneSettings, ...]:
        if twice := _named_twice(zone.name for zone in zones):
            raise ValueError(f"two zones are named {twice}")
        return zones

    @field_validator("lines")
    @classmethod
    def _line_names_differ(cls, lines: tuple[LineSettings, ...]) -> tuple[LineSettings, ...]:
        if twice := _named_twice(line.name for line in lines):
            raise ValueError(f"two lines are named {twice}")
        return lines


class LogSettings(Section):
    """What is written to the log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important kind of line that is written."""
    format: Literal["auto", "human", "json"] = "auto"
    """`json`: one JSON object a line, for a program; `human`: for a person; `auto`: JSON where
    systemd's journal reads, else for a person."""


def _listen_address(text: str) -> str:
    """Return a word of `metrics.listen`, or say what it should be."""
    if not text or _LISTEN.fullmatch(text):
        return text
    raise ValueError(
        "names no address and port to listen on: expected such as '127.0.0.1:9477', "
        "'[::1]:9477', or '0.0.0.0:9477' for everybody on the network"
    )


_LISTEN = re.compile(
    r"(localhost|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[[0-9a-fA-F:.]+\])"
    r":(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
)


class MetricsSettings(Section):
    """Figures for Prometheus, over HTTP."""

    listen: Annotated[str, AfterValidator(_listen_address)] = ""
    """Address and port on which `/metrics` and `/ready` are served, such as `127.0.0.1:9477`;
    empty: nothing listens. There is no password: who reaches the address reads them."""

    @property
    def address(self) -> tuple[str, int]:
        """Host, without brackets, and port; to be asked where there is one."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        host, _ = self.address
        return host == "localhost" or ipaddress.ip_address(host).is_loopback

    @field_validator("listen")
    @classmethod
    def _is_an_address(cls, listen: str) -> str:
        host = listen.rpartition(":")[0].strip("[]")
        if host not in ("", "localhost"):
            ipaddress.ip_address(host)  # its ValueError says what is wrong
        return listen


class Config(Section):
    """The whole file."""

    device_id: Name = "camera"
    """Name of this device, part of every MQTT topic; must differ between devices at one broker."""
    data: DataSettings = DataSettings()
    """Where things are kept."""
    mqtt: MqttSettings = MqttSettings()
    """The way to the hub."""
    inference: InferenceSettings = InferenceSettings()
    """What looks at the pictures."""
    models: ModelsSettings = ModelsSettings()
    """Whose networks are used."""
    retention: RetentionSettings = RetentionSettings()
    """How long events are kept."""
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()
    """How Home Assistant learns of this device."""
    commands: CommandSettings = CommandSettings()
    """What may be changed over MQTT."""
    log: LogSettings = LogSettings()
    """What is logged."""
    metrics: MetricsSettings = MetricsSettings()
    """Figures for Prometheus."""
    camera: Annotated[dict[Name, CameraSettings], Field(min_length=1)]
    """The cameras, by name: `[camera.front]`."""
    profile: dict[Name, ProfileSettings] = {}
    """Settings that go together, by name: `[profile.away]`."""

    @field_validator("camera")
    @classmethod
    def _names_are_free(cls, cameras: dict[str, CameraSettings]) -> dict[str, CameraSettings]:
        taken = sorted(set(cameras) & RESERVED_CAMERA_NAMES)
        if taken:
            raise ValueError(f"{taken[0]!r} is a topic of the device itself; choose another name")
        return cameras

    @model_validator(mode="after")
    def _profiles_are_of_cameras(self) -> Config:
        for name, profile in self.profile.items():
            if name in (CONFIGURED, CUSTOM):
                raise ValueError(
                    f"profile.{name}: the name has a meaning of its own; choose another"
                )
            unknown = sorted(set(profile.cameras) - set(self.camera))
            if unknown:
                raise ValueError(f"profile.{name}.cameras: there is no camera {unknown[0]!r}")
        return self

    @model_validator(mode="after")
    def _frigate_can_tell_places_apart(self) -> Config:
        """Frigate has one level for the names of cameras and of zones."""
        if self.mqtt.compat == "frigate":
            zones = [zone.name for camera in self.camera.values() for zone in camera.zones]
            places = [*self.camera, *zones]
            twice = sorted({name for name in places if places.count(name) > 1})
            if twice:
                raise ValueError(
                    f'with mqtt.compat = "frigate" no two zones or cameras may have one name: '
                    f"{twice[0]!r} has several"
                )
        return self


def _named_twice(names: Iterable[str]) -> str:
    """Return the first name that is there more than once; empty if none is."""
    counts = Counter(names)
    return min((name for name, count in counts.items() if count > 1), default="")


def signed_area(polygon: tuple[Vertex, ...]) -> float:
    """Return twice the area of a polygon, negative if it runs the other way round."""
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return sum(ax * by - bx * ay for (ax, ay), (bx, by) in pairs)


def _checked_area(polygon: tuple[Vertex, ...]) -> tuple[Vertex, ...]:
    if len(set(polygon)) < 3 or abs(signed_area(polygon)) < 1e-6:
        raise ValueError("polygon has no area")
    return polygon


def load_config(path: Path) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or says something wrong; every problem
            is in it, with its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        problem = Problem("file", f"cannot be read: {error}")
        raise ConfigError([problem], where=str(path)) from error
    return parse_config(text, where=str(path))


def parse_config(text: str, *, where: str = "configuration") -> Config:
    """Check a configuration given as TOML text; as `load_config`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(str(error))], where=where) from error
    try:
        config = Config.model_validate(document)
    except ValidationError as error:
        lines = key_lines(text)
        found = _without_echoes(error.errors(include_url=False))
        problems = [_problem(details, lines) for details in found]
        problems.sort(key=lambda problem: (problem.line or 0, problem.where))
        raise ConfigError(problems, where=where) from error
    _keep_secrets(config)
    return config


def _keep_secrets(config: Config) -> None:
    """Have what an owner wrote of secrets into the file itself kept out of all that is told."""
    files = [
        config.mqtt.password_file,
        *(camera.password_file for camera in config.camera.values()),
    ]
    for path in files:
        if path is not None:
            keep_misplaced_secret(path)
    for camera in config.camera.values():
        for source in camera.sources:
            keep_address_secret(source, PASSWORD_PLACE)


def _syntax_problem(message: str) -> Problem:
    found = re.search(r"\(at line (\d+), column \d+\)", message)
    return Problem("file", f"is not TOML: {message}", int(found[1]) if found else None)


def _without_echoes(found: Sequence[Any]) -> list[Any]:
    """Leave out that a list is too short where that is only because entries in it are wrong."""
    places = [details["loc"] for details in found]

    def is_echo(details: Any) -> bool:
        place = details["loc"]
        return details["type"] == "too_short" and any(
            len(other) > len(place) and other[: len(place)] == place for other in places
        )

    return [details for details in found if not is_echo(details)]


def _problem(details: Any, lines: Mapping[str, int]) -> Problem:
    path: tuple[str | int, ...] = tuple(part for part in details["loc"] if part != "[key]")
    suggestion = _suggest(path) if details["type"] == "extra_forbidden" else ""
    line = _nearest_line(path, lines)
    return Problem(dotted(path) or "file", _plain_message(details), line, suggestion, _got(details))


def _plain_message(details: Any) -> str:
    kind = details["type"]
    if kind == "extra_forbidden":
        return "no such key"
    if kind == "missing":
        return "is missing"
    if kind in ("too_short", "too_long"):
        return _length_message(kind, details["ctx"])
    message = str(details["msg"]).removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"


def _got(details: Any) -> str:
    """Return what stood there, where that is short and says something."""
    if details["type"] in ("extra_forbidden", "missing", "too_short", "too_long"):
        return ""
    value = details["input"]
    return repr(value) if isinstance(value, str | int | float | bool) else ""


def _length_message(kind: str, facts: Mapping[str, Any]) -> str:
    bound = "at least" if kind == "too_short" else "at most"
    limit = facts["min_length" if kind == "too_short" else "max_length"]
    noun = "entry" if limit == 1 else "entries"
    return f"needs {bound} {limit} {noun}, got {facts['actual_length']}"


def _nearest_line(path: tuple[str | int, ...], lines: Mapping[str, int]) -> int | None:
    for length in range(len(path), 0, -1):
        line = lines.get(dotted(path[:length]))
        if line is not None:
            return line
    return None


def _suggest(path: tuple[str | int, ...]) -> str:
    known = _keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known here: {', '.join(known)}" if known else ""


def _keys_at(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys that the section at `path` knows."""
    schema = Config.model_json_schema()
    node = schema
    for part in path:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
        if not isinstance(node, dict):
            return []
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        patterns = node.get("patternProperties")
        if patterns and "additionalProperties" not in node:
            return {**node, "additionalProperties": next(iter(patterns.values()))}
        return node
    resolved: dict[str, Any] = schema["$defs"][reference.rsplit("/", 1)[1]]
    return resolved


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as an owner writes it: `camera.front.zones[1].polygon`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def key_lines(text: str) -> dict[str, int]:
    """Return the 1-based line on which each table and key of a TOML text begins.

    Reads headers and keys only; what stands inside an inline table or an array is found under
    the key that holds it.
    """
    lines: dict[str, int] = {}
    array_sizes: dict[str, int] = {}
    prefix: tuple[str | int, ...] = ()
    for number, kind, key in _headers_and_keys(text):
        parts = _split_key(key)
        if kind == "array":
            prefix = _enter(parts[:-1], array_sizes)
            name = dotted((*prefix, parts[-1]))
            array_sizes[name] = array_sizes.get(name, -1) + 1
            prefix = (*prefix, parts[-1], array_sizes[name])
            lines.setdefault(name, number)
            lines.setdefault(dotted(prefix), number)
        elif kind == "table":
            prefix = _enter(parts, array_sizes)
            lines.setdefault(dotted(prefix), number)
        else:
            lines.setdefault(dotted((*prefix, *parts)), number)
    return lines


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"))*)\s*="""
)


def _headers_and_keys(text: str) -> Iterator[tuple[int, str, str]]:
    depth = 0  # of brackets: inside an array or inline table that spans lines nothing is a key
    for number, line in enumerate(text.splitlines(), start=1):
        if depth == 0:
            header, key = _HEADER.match(line), _KEY.match(line)
            if header:
                yield number, "array" if header[1] == "[[" else "table", header[2]
                continue
            if key:
                yield number, "key", key[1]
        bare = re.sub(r'"[^"]*"|\'[^\']*\'|#.*', "", line)
        depth = max(0, depth + sum(bare.count(c) for c in "[{") - sum(bare.count(c) for c in "]}"))


def _split_key(key: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in key.split("."))


def _enter(parts: tuple[str, ...], array_sizes: Mapping[str, int]) -> tuple[str | int, ...]:
    path: tuple[str | int, ...] = ()
    for part in parts:
        path = (*path, part)
        if dotted(path) in array_sizes:
            path = (*path, array_sizes[dotted(path)])
    return path
