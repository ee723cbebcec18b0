"""What Home Assistant is told about this device: which entities there are, and on which topics.

Pure: the configuration in, messages out. `announcing.py` says in which order they are sent, and
`hub.py` sends them. There is an entity only for what something stands behind.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from camera_app.config import CONFIGURED, CUSTOM
from camera_app.publish.payloads import OFFLINE, ONLINE
from camera_app.publish.topics import Topics

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
Style = Literal["device", "entity", "off"]

ON, OFF, PRESS = "ON", "OFF", "PRESS"
THRESHOLD_STEP = 0.01
# A change that waits for the broker longer than this is late.
LATE_AFTER_S = 60
# A status that is missing for so many of its intervals says nothing about now any more.
STATUS_INTERVALS = 3

_DIAGNOSTIC = "diagnostic"
_CONFIG = "config"
_PROJECT = "camera_app"
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_-]+")
_CHANGES = ("started", "updated", "ended")
# What an automation wants to know of an event; the ledger has the rest.
_EVENT_FACTS = ("event_id", "seq", "at", "label", "reason", "score", "zones", "duration_s")
# And of what a rule has found: of the object, and of the crossing or the stay.
_OBJECT_FACTS = ("event_id", "seq", "label", "score")
_CROSSING_FACTS = ("line", "direction", "at")
_STAY_FACTS = ("zone", "since", "duration_s", "repeat")


@dataclass(frozen=True, slots=True)
class AnnouncedCamera:
    """What one camera can do.

    Attributes:
        name: In the configuration.
        places: What is counted: zone, or empty for the whole picture, and label.
        sends_snapshots: The best moment of each event is sent.
        sends_live: A picture is sent now and then.
        variants: Packs to choose from, the model itself first; none: there is no choice.
        finds_faces: There are faces to be switched off.
        tells_motion: It tells whether anything moves.
        lines: Each line that is watched, and which way counts: `in`, `out` or `both`.
        loitering_zones: Zones in which staying too long is told.
        can_record: Films are possible, switched on or not.
    """

    name: str
    places: Sequence[tuple[str, str]]
    sends_snapshots: bool = False
    sends_live: bool = False
    variants: Sequence[str] = ()
    finds_faces: bool = False
    tells_motion: bool = False
    lines: Sequence[tuple[str, str]] = ()
    loitering_zones: Sequence[str] = ()

    can_record: bool = False

    @property
    def passages(self) -> list[tuple[str, str]]:
        """Each line with each way that counts."""
        ways = {"both": ("in", "out"), "in": ("in",), "out": ("out",)}
        return [(name, way) for name, counted in self.lines for way in ways[counted]]

    @property
    def labels(self) -> list[str]:
        """The classes that make events, each once."""
        return list(dict.fromkeys(label for _, label in self.places))


@dataclass(frozen=True, slots=True)
class AnnouncedDevice:
    """What the device can do.

    Attributes:
        device_id: Unique at the broker.
        name: For people.
        version: Of camera-app.
        topics: Names of the topics.
        cameras: Those that are enabled.
        status_interval_s: How often the status is told.
        takes_commands: Settings can be changed over MQTT.
        profiles: Settings that go together, by name.
    """

    device_id: str
    name: str
    version: str
    topics: Topics
    cameras: Sequence[AnnouncedCamera]
    status_interval_s: float
    takes_commands: bool = True
    profiles: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Component:
    """One entity or trigger.

    Attributes:
        key: Unique in the device, and the same after every restart.
        platform: `sensor`, `switch`, … as Home Assistant calls it.
        options: The platform's keys.
    """

    key: str
    platform: str
    options: Mapping[str, Json] = field(default_factory=dict)

    @property
    def topics(self) -> list[str]:
        """The topics of ours that it reads."""
        return sorted(
            str(value)
            for name, value in self.options.items()
            if name == "topic" or (name.endswith("_topic") and name != "command_topic")
        )


@dataclass(frozen=True, slots=True)
class Announcement:
    """One discovery message.

    Attributes:
        topic: Where it is told, retained.
        payload: What is told.
        components: What it announces.
    """

    topic: str
    payload: bytes
    components: tuple[Component, ...]


def announcements(device: AnnouncedDevice, style: Style, prefix: str) -> list[Announcement]:
    """Return all that Home Assistant is to be told; nothing for `off`.

    Args:
        device: What there is to announce.
        style: All in one message, or one for each entity.
        prefix: First part of the topics.
    """
    if style == "off":
        return []
    parts = components(device)
    about: dict[str, Json] = {"device": _device(device), "origin": _origin(device)}
    if style == "device":
        payload = {
            **about,
            "availability": _availability(device.topics),
            "availability_mode": "all",
            "components": {part.key: {"platform": part.platform, **part.options} for part in parts},
        }
        topic = f"{prefix}/device/{device.device_id}/config"
        return [Announcement(topic, encoded(payload), tuple(parts))]
    return [
        Announcement(
            f"{prefix}/{part.platform}/{part.key}/config",
            encoded({**_standing_alone(part, device.topics), **about}),
            (part,),
        )
        for part in parts
    ]


def components(device: AnnouncedDevice) -> list[Component]:
    """Return every entity and trigger of the device, the device's own first."""
    found = [*_of_device(device)]
    for camera in device.cameras:
        found += _of_camera(device, camera)
    return _with_ids(device.device_id, found)


def encoded(payload: Mapping[str, Json]) -> bytes:
    """Return a payload as it is sent; the same text for the same content."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()


def title(name: str) -> str:
    """Return a name of the configuration as people write it: `front_door` is Front door."""
    words = re.sub(r"[-_]+", " ", name).strip()
    return words[:1].upper() + words[1:]


def _device(device: AnnouncedDevice) -> dict[str, Json]:
    return {
        "identifiers": [f"{_PROJECT}_{device.device_id}"],
        "name": device.name,
        "manufacturer": _PROJECT,
        "model": "Smart camera",
        "sw_version": device.version,
    }


def _origin(device: AnnouncedDevice) -> dict[str, Json]:
    return {"name": _PROJECT, "sw_version": device.version}


def _availability(topics: Topics, camera: str = "") -> Json:
    """Return what must be `online`, all of it: the service, and for what it sees the camera."""
    needed = [topics.availability] + ([topics.camera_availability(camera)] if camera else [])
    return [{"topic": topic} for topic in needed]


def _standing_alone(part: Component, topics: Topics) -> dict[str, Json]:
    """Return a component's keys with those that the one message for all has once."""
    if part.platform == "device_automation":  # a trigger has no state that could be unavailable
        return dict(part.options)
    return {
        "availability": _availability(topics),
        "availability_mode": "all",
        **part.options,
    }


@dataclass(frozen=True, slots=True)
class _Part:
    """A component whose key is not made yet.

    Attributes:
        place: What the key is made of: camera, zone and label as far as there are any, and kind.
        platform: As Home Assistant calls it.
        options: The platform's keys, but `unique_id`.
    """

    place: tuple[str, ...]
    platform: str
    options: Mapping[str, Json]


def _with_ids(device_id: str, parts: Iterable[_Part]) -> list[Component]:
    """Return the parts with their keys; no two share one, whatever cameras and labels are called.

    Where names run into each other (camera `a`, zone `b_c`; camera `a_b`, zone `c`) the later one
    gets a few digits of its place's hash.
    """
    taken: set[str] = set()
    found = []
    for part in parts:
        key = _NOT_IN_IDS.sub("_", "_".join((device_id, *filter(None, part.place))))
        if key in taken:
            digits = hashlib.sha256("\0".join((part.platform, *part.place)).encode()).hexdigest()
            key = f"{key}_{digits[:8]}"
        taken.add(key)
        own: dict[str, Json] = {} if part.platform == "device_automation" else {"unique_id": key}
        found.append(Component(key, part.platform, {**part.options, **own, "qos": 1}))
    return found


# The device


def _of_device(device: AnnouncedDevice) -> Iterator[_Part]:
    yield from _health(device)
    yield _Part(
        ("self_test_problem",),
        "binary_sensor",
        {
            "name": "Self-test",
            "device_class": "problem",
            "entity_category": _DIAGNOSTIC,
            "state_topic": device.topics.self_test,
            "value_template": _on_if("not value_json.passed"),
            "json_attributes_topic": device.topics.self_test,
        },
    )
    yield _Part(
        ("configuration_problem",),
        "binary_sensor",
        {
            "name": "Configuration",
            "device_class": "problem",
            "entity_category": _DIAGNOSTIC,
            "state_topic": device.topics.configuration,
            "value_template": _on_if("value_json.problem"),
            "json_attributes_topic": device.topics.configuration,
        },
    )
    if device.takes_commands:
        yield _button(device.topics.device_command("restart"), "restart", "Restart", _CONFIG)
        yield _button(
            device.topics.device_command("reload"), "reload", "Reload configuration", _CONFIG
        )
        yield _button(
            device.topics.device_command("self_test"), "self_test", "Run self-test", _DIAGNOSTIC
        )
        if device.profiles:
            yield _profile(device)


def _health(device: AnnouncedDevice) -> Iterator[_Part]:
    """Yield what is read off the status; it becomes unavailable when none comes."""
    yield _Part(
        ("degraded",),
        "binary_sensor",
        {
            "name": "Accelerator degraded",
            "device_class": "problem",
            "entity_category": _DIAGNOSTIC,
            "state_topic": device.topics.fallback,
            "value_template": _on_if("value_json.active"),
            "json_attributes_topic": device.topics.fallback,
        },
    )
    late = f"(value_json.oldest_unsent_age_s or 0) > {LATE_AFTER_S}"
    yield _status_problem(device, "broker_gap", "Events late", late)
    lost = "(value_json.untold_changes + value_json.shed_changes) > 0"
    yield _status_problem(device, "events_lost", "Events lost", lost)
    yield _status_sensor(
        device, ("outbox",), "Events waiting", "value_json.backlog", state_class="measurement"
    )
    yield _status_sensor(
        device,
        ("outbox_age",),
        "Oldest waiting event",
        "value_json.oldest_unsent_age_s or 0",
        device_class="duration",
        unit="s",
    )
    yield _status_sensor(
        device,
        ("temperature",),
        "Processor temperature",
        "value_json.temperature_c",
        device_class="temperature",
        unit="°C",
    )
    yield _status_sensor(device, ("device",), "Networks run on", "value_json.device")
    yield _status_sensor(
        device,
        ("disk_free",),
        "Free disk space",
        "(value_json.disk_free_bytes / 1000000) | round(0) | int",
        device_class="data_size",
        unit="MB",
    )
    # What a filling disk has stopped, in one of a few words.
    yield _status_sensor(device, ("disk",), "Disk", "value_json.disk")


def _status_problem(device: AnnouncedDevice, key: str, name: str, condition: str) -> _Part:
    options: dict[str, Json] = {
        "name": name,
        "device_class": "problem",
        "entity_category": _DIAGNOSTIC,
        "state_topic": device.topics.status,
        "value_template": _on_if(condition),
        "expire_after": _expiry_s(device),
    }
    return _Part((key,), "binary_sensor", options)


def _status_sensor(
    device: AnnouncedDevice,
    place: tuple[str, ...],
    name: str,
    value: str,
    *,
    device_class: str = "",
    unit: str = "",
    state_class: str = "",
) -> _Part:
    options: dict[str, Json] = {
        "name": name,
        "entity_category": _DIAGNOSTIC,
        "state_topic": device.topics.status,
        "value_template": f"{{{{ {value} }}}}",
        "expire_after": _expiry_s(device),
    }
    if device_class:
        options["device_class"] = device_class
    if unit:
        options["unit_of_measurement"] = unit
    if unit or state_class:
        options["state_class"] = state_class or "measurement"
    return _Part(place, "sensor", options)


def _expiry_s(device: AnnouncedDevice) -> int:
    return max(10, round(STATUS_INTERVALS * device.status_interval_s))


def _button(topic: str, key: str, name: str, category: str = "", camera: str = "") -> _Part:
    options: dict[str, Json] = {"name": name, "command_topic": topic, "payload_press": PRESS}
    if category:
        options["entity_category"] = category
    if key == "restart":
        options["device_class"] = "restart"
    return _Part((camera, key), "button", options)


# A camera


def _of_camera(device: AnnouncedDevice, camera: AnnouncedCamera) -> Iterator[_Part]:
    yield from _health_of_camera(device, camera)
    for zone, label in camera.places:
        yield from _counts(device.topics, camera, zone, label)
    for label in camera.labels:
        yield _event(device.topics, camera, label)
        yield from _triggers(device.topics, camera, label)
    yield from _of_rules(device.topics, camera)
    if camera.sends_snapshots:
        for label in camera.labels:
            yield _best_shot(device.topics, camera, label)
    if camera.sends_live:
        yield _live(device.topics, camera)
    if device.takes_commands:
        yield from _settings(device.topics, camera)


def _health_of_camera(device: AnnouncedDevice, camera: AnnouncedCamera) -> Iterator[_Part]:
    name, own = title(camera.name), f"value_json.cameras['{camera.name}']"
    yield _Part(
        (camera.name, "sees"),
        "binary_sensor",
        {
            "name": f"{name} sees",
            "device_class": "connectivity",
            "entity_category": _DIAGNOSTIC,
            "state_topic": device.topics.camera_availability(camera.name),
            "payload_on": ONLINE.decode(),
            "payload_off": OFFLINE.decode(),
        },
    )
    yield _status_sensor(
        device,
        (camera.name, "fps"),
        f"{name} frame rate",
        f"{own}.fps",
        unit="fps",
    )
    yield _status_sensor(
        device,
        (camera.name, "latency"),
        f"{name} latency",
        f"{own}.latency_p95_ms",
        device_class="duration",
        unit="ms",
    )


def _counts(topics: Topics, camera: AnnouncedCamera, zone: str, label: str) -> Iterator[_Part]:
    """Yield whether there is one in a place, and how many."""
    topic = (
        topics.zone_count(camera.name, zone, label) if zone else topics.count(camera.name, label)
    )
    where = f"{title(camera.name)} {title(zone).lower()}" if zone else title(camera.name)
    shared: dict[str, Json] = {
        "state_topic": topic,
        "availability": _availability(topics, camera.name),
        "availability_mode": "all",
    }
    yield _Part(
        (camera.name, zone, label, "occupancy"),
        "binary_sensor",
        {
            **shared,
            "name": f"{where} {label}",
            "device_class": "occupancy",
            "value_template": _on_if("value | int(0) > 0"),
        },
    )
    yield _Part(
        (camera.name, zone, label, "count"),
        "sensor",
        {**shared, "name": f"{where} {label} count", "state_class": "measurement"},
    )


def _event(topics: Topics, camera: AnnouncedCamera, label: str) -> _Part:
    """Return the entity that fires with each fresh change of an event with a label."""
    facts = _facts("value_json", _EVENT_FACTS)
    template = (
        f"{{% if value_json.label == {_quoted(label)} %}}"
        f"{{{{ dict(event_type=value_json.type,{facts}) | to_json }}}}{{% endif %}}"
    )
    options: dict[str, Json] = {
        "name": f"{title(camera.name)} {label} event",
        "event_types": list(_CHANGES),
        "state_topic": topics.now(camera.name),
        "value_template": template,
        "availability": _availability(topics, camera.name),
        "availability_mode": "all",
    }
    return _Part((camera.name, label, "event"), "event", options)


def _triggers(topics: Topics, camera: AnnouncedCamera, label: str) -> Iterator[_Part]:
    for change in ("started", "ended"):
        payload, template = f"{label} {change}", "{{ value_json.label ~ ' ' ~ value_json.type }}"
        yield _trigger(topics, camera, (camera.name, label, change), template, payload, payload)


def _of_rules(topics: Topics, camera: AnnouncedCamera) -> Iterator[_Part]:
    """Yield what tells of motion, and of what rules find."""
    if camera.tells_motion:
        yield _motion(topics, camera)
    if camera.lines:
        yield _line_crossed(topics, camera)
    for line, way in camera.passages:
        yield _crossing_trigger(topics, camera, line, way)
    if camera.loitering_zones:
        yield _loitering(topics, camera)
    for zone in camera.loitering_zones:
        yield _loitering_trigger(topics, camera, zone)


def _motion(topics: Topics, camera: AnnouncedCamera) -> _Part:
    options: dict[str, Json] = {
        "name": f"{title(camera.name)} motion",
        "device_class": "motion",
        "state_topic": topics.motion(camera.name),
        "availability": _availability(topics, camera.name),
        "availability_mode": "all",
    }
    return _Part((camera.name, "motion"), "binary_sensor", options)


def _line_crossed(topics: Topics, camera: AnnouncedCamera) -> _Part:
    """Return the entity that fires when a line is crossed; its type is the way."""
    facts = _facts("value_json.crossing", _CROSSING_FACTS)
    return _finding(
        topics,
        camera,
        ("line_crossed", "line crossed"),
        list(dict.fromkeys(way for _, way in camera.passages)),
        "value_json.crossing",
        f"event_type=value_json.crossing.direction,{facts}",
    )


def _loitering(topics: Topics, camera: AnnouncedCamera) -> _Part:
    """Return the entity that fires when somebody stays too long, and again while they stay."""
    facts = _facts("value_json.loitering", _STAY_FACTS)
    kind = "'continued' if value_json.loitering.repeat else 'started'"
    return _finding(
        topics,
        camera,
        ("loitering", "loitering"),
        ["started", "continued"],
        "value_json.loitering",
        f"event_type={kind},{facts}",
    )


def _finding(
    topics: Topics,
    camera: AnnouncedCamera,
    names: tuple[str, str],
    event_types: Sequence[str],
    condition: str,
    facts: str,
) -> _Part:
    """Return an entity for changes that tell what a rule has found.

    Args:
        topics: Names of the topics.
        camera: Whose it is.
        names: For ids, and for people.
        event_types: What it may say.
        condition: Holds for the changes that it is about.
        facts: What it says, as arguments of a template's `dict`.
    """
    key, name = names
    facts = f"{facts},{_facts('value_json', _OBJECT_FACTS)}"
    options: dict[str, Json] = {
        "name": f"{title(camera.name)} {name}",
        "event_types": event_types,
        "state_topic": topics.now(camera.name),
        "value_template": f"{{% if {condition} %}}{{{{ dict({facts}) | to_json }}}}{{% endif %}}",
        "availability": _availability(topics, camera.name),
        "availability_mode": "all",
    }
    return _Part((camera.name, key, "event"), "event", options)


def _facts(of: str, names: Iterable[str]) -> str:
    return ",".join(f"{name}={of}.{name}" for name in names)


def _crossing_trigger(topics: Topics, camera: AnnouncedCamera, line: str, way: str) -> _Part:
    crossing = "value_json.crossing"
    template = f"{{% if {crossing} %}}{{{{ {crossing}.line ~ ' ' ~ {crossing}.direction }}}}"
    payload, place = f"{line} {way}", (camera.name, "line", line, way)
    return _trigger(
        topics, camera, place, f"{template}{{% endif %}}", payload, f"crossed {payload}"
    )


def _loitering_trigger(topics: Topics, camera: AnnouncedCamera, zone: str) -> _Part:
    """Return the trigger for the first word of a stay."""
    stay = "value_json.loitering"
    template = f"{{% if {stay} and not {stay}.repeat %}}{{{{ {stay}.zone }}}}{{% endif %}}"
    place = (camera.name, "loitering", zone)
    return _trigger(topics, camera, place, template, zone, f"loitering {zone}")


def _trigger(
    topics: Topics,
    camera: AnnouncedCamera,
    place: tuple[str, ...],
    template: str,
    payload: str,
    kind: str,
) -> _Part:
    options: dict[str, Json] = {
        "automation_type": "trigger",
        "topic": topics.now(camera.name),
        "value_template": template,
        "payload": payload,
        "type": kind,
        "subtype": camera.name,
    }
    return _Part(place, "device_automation", options)


def _best_shot(topics: Topics, camera: AnnouncedCamera, label: str) -> _Part:
    options: dict[str, Json] = {
        "name": f"{title(camera.name)} best {label}",
        "image_topic": topics.label_snapshot(camera.name, label),
        "content_type": "image/jpeg",
    }
    return _Part((camera.name, label, "best"), "image", options)


def _live(topics: Topics, camera: AnnouncedCamera) -> _Part:
    options: dict[str, Json] = {
        "name": title(camera.name),
        "topic": topics.live(camera.name),
        "availability": _availability(topics, camera.name),
        "availability_mode": "all",
    }
    return _Part((camera.name, "live"), "camera", options)


def _profile(device: AnnouncedDevice) -> _Part:
    options: dict[str, Json] = {
        "name": "Profile",
        "entity_category": _CONFIG,
        "state_topic": device.topics.profile,
        "command_topic": device.topics.device_command("profile"),
        "options": [*device.profiles, CONFIGURED],
        # Where settings were changed one by one since, no option is the right one.
        "value_template": f"{{{{ None if value == '{CUSTOM}' else value }}}}",
    }
    return _Part(("profile",), "select", options)


def _variant(topics: Topics, camera: AnnouncedCamera) -> _Part:
    options: dict[str, Json] = {
        "name": f"{title(camera.name)} model",
        "entity_category": _CONFIG,
        "state_topic": topics.setting(camera.name, "variant"),
        "command_topic": topics.camera_command(camera.name, "variant"),
        "options": list(camera.variants),
    }
    return _Part((camera.name, "variant"), "select", options)


def _settings(topics: Topics, camera: AnnouncedCamera) -> Iterator[_Part]:
    name = title(camera.name)
    switches = {"detection": "detection", "snapshots": "snapshots", "privacy": "privacy mode"}
    if camera.finds_faces:
        switches["faces"] = "faces"
    if camera.can_record:
        switches["recording"] = "recording"
    for setting, meaning in switches.items():
        yield _Part(
            (camera.name, setting),
            "switch",
            {
                "name": f"{name} {meaning}",
                "entity_category": _CONFIG,
                "state_topic": topics.setting(camera.name, setting),
                "command_topic": topics.camera_command(camera.name, setting),
            },
        )
    yield _Part(
        (camera.name, "threshold"),
        "number",
        {
            "name": f"{name} threshold",
            "entity_category": _CONFIG,
            "state_topic": topics.setting(camera.name, "threshold"),
            "command_topic": topics.camera_command(camera.name, "threshold"),
            "min": 0,
            "max": 1,
            "step": THRESHOLD_STEP,
            "mode": "slider",
        },
    )
    if camera.variants:
        yield _variant(topics, camera)
    topic = topics.camera_command(camera.name, "snapshot_now")
    yield _button(topic, "snapshot_now", f"{name} snapshot now", camera=camera.name)


# Templates


def _on_if(condition: str) -> str:
    return f"{{{{ '{ON}' if {condition} else '{OFF}' }}}}"


def _quoted(text: str) -> str:
    """Return a text as a template writes it; a label may hold any character."""
    return json.dumps(text, ensure_ascii=False)
