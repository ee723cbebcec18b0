"""What Home Assistant takes as discovery, in rules of ours: a payload that breaks one is refused.

Written from how 2024.3, 2025.4 and 2026.2 behave; `make ha` holds the payloads against the hub.
Much of what is wrong there is silent in its log, so that these rules are the stricter of both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

DEVICE_LEVEL = {"device", "origin", "availability", "availability_mode", "components"}
DEVICE = {"identifiers", "name", "manufacturer", "model", "sw_version"}
ORIGIN = {"name", "sw_version", "support_url"}
ENTITY = {
    "name",
    "unique_id",
    "entity_category",
    "availability",
    "availability_mode",
    "qos",
    "enabled_by_default",
    "json_attributes_topic",
}
# Platform -> what it must have, what it may have besides `ENTITY`.
KEYS: dict[str, tuple[set[str], set[str]]] = {
    "binary_sensor": (
        {"state_topic"},
        {"device_class", "value_template", "payload_on", "payload_off", "expire_after"},
    ),
    "sensor": (
        {"state_topic"},
        {"device_class", "value_template", "unit_of_measurement", "state_class", "expire_after"},
    ),
    "event": ({"state_topic", "event_types"}, {"device_class", "value_template"}),
    "image": ({"image_topic"}, {"content_type"}),
    "camera": ({"topic"}, {"image_encoding"}),
    "switch": ({"command_topic", "state_topic"}, set()),
    "select": ({"command_topic", "options"}, {"state_topic", "value_template"}),
    "number": ({"command_topic", "state_topic"}, {"min", "max", "step", "mode"}),
    "button": ({"command_topic"}, {"payload_press", "device_class"}),
}
TRIGGER = {"automation_type", "topic", "type", "subtype", "payload", "value_template", "qos"}
CLASSES = {
    "binary_sensor": {"occupancy", "problem", "connectivity", "motion", "running"},
    "sensor": {"duration", "temperature", "data_size"},
    "button": {"restart", "identify", "update"},
}
# A sensor's class -> the units it allows; a wrong one loses the entity in newer versions.
UNITS = {
    "duration": {"s", "ms", "min", "h", "d"},
    "temperature": {"°C", "°F", "K"},
    "data_size": {"B", "kB", "MB", "GB", "KiB", "MiB", "GiB"},
}
ID = re.compile(r"[A-Za-z0-9_-]+")


def check_device_message(topic: str, payload: bytes, prefix: str = "homeassistant") -> None:
    """Fail unless a message announces a whole device as a hub takes it."""
    root, kind, device_id, end = topic.rsplit("/", 3)
    assert (root, kind, end) == (prefix, "device", "config")
    assert ID.fullmatch(device_id)
    plain = json.loads(payload)
    # One unknown key at this level, and the whole device is refused.
    assert {"device", "origin", "components"} <= set(plain) <= DEVICE_LEVEL
    _check_about(plain)
    _check_availability(plain)
    for key, part in plain["components"].items():
        assert ID.fullmatch(key)
        options = {name: value for name, value in part.items() if name != "platform"}
        _check_part(part["platform"], options)
    _check_unique(list(plain["components"].values()))


def check_entity_messages(messages: Mapping[str, bytes], prefix: str = "homeassistant") -> None:
    """Fail unless each message announces one entity as a hub takes it, and no two the same."""
    parts = []
    for topic, payload in messages.items():
        root, platform, object_id, end = topic.rsplit("/", 3)
        assert (root, end) == (prefix, "config")
        assert ID.fullmatch(object_id)
        plain = json.loads(payload)
        _check_about(plain)
        part = {key: value for key, value in plain.items() if key not in ("device", "origin")}
        _check_part(platform, part)
        if platform != "device_automation":
            # Best practice, and what makes its entity id stay.
            assert part["unique_id"] == object_id
            assert part["availability"]
        parts.append({**part, "platform": platform})
    _check_unique(parts)


def _check_about(plain: Mapping[str, Any]) -> None:
    assert set(plain["device"]) <= DEVICE
    assert plain["device"]["identifiers"]
    assert plain["device"]["name"]
    assert set(plain["origin"]) <= ORIGIN
    assert plain["origin"]["name"]


def _check_part(platform: str, part: dict[str, Any]) -> None:
    # Neither of both is understood by every version: the generated ids have to be good.
    assert not {"object_id", "default_entity_id", "~"} & set(part)
    for name, value in part.items():
        if name.endswith("topic"):
            _check_topic(value)
    if platform == "device_automation":
        assert set(part) <= TRIGGER
        assert {"automation_type", "topic", "type", "subtype"} <= set(part)
        assert part["automation_type"] == "trigger"
        return
    needed, possible = KEYS[platform]
    assert needed | {"unique_id", "name"} <= set(part) <= needed | possible | ENTITY
    assert ID.fullmatch(part["unique_id"])
    assert part.get("entity_category") in (None, "config", "diagnostic")
    # A sensor that may be set makes no sense, and is refused.
    assert platform not in ("sensor", "binary_sensor") or part.get("entity_category") != "config"
    assert part["qos"] in (0, 1)
    _check_availability(part)
    _check_class(platform, part)


def _check_class(platform: str, part: Mapping[str, Any]) -> None:
    device_class = part.get("device_class")
    assert device_class is None or device_class in CLASSES[platform]
    if platform == "sensor" and device_class is not None:
        assert part["unit_of_measurement"] in UNITS[device_class]
    if platform == "sensor" and "unit_of_measurement" in part:
        assert part["state_class"] == "measurement"
    if platform == "event":
        assert part["event_types"]
    if platform == "number":
        assert part["min"] < part["max"]
        assert part["step"] >= 0.001
    if platform == "select":
        assert part["options"]
        assert all(isinstance(option, str) and option for option in part["options"])
    if "expire_after" in part:
        assert isinstance(part["expire_after"], int)
        assert part["expire_after"] > 0


def _check_availability(part: Mapping[str, Any]) -> None:
    for entry in part.get("availability", []):
        assert set(entry) == {"topic"}
        _check_topic(entry["topic"])
    assert part.get("availability_mode", "all") == "all"


def _check_topic(topic: str) -> None:
    assert topic
    assert not set(topic) & set("+#\0")
    assert len(topic.encode()) < 65536


def _check_unique(parts: list[Mapping[str, Any]]) -> None:
    ids = [part["unique_id"] for part in parts if "unique_id" in part]
    assert len(set(ids)) == len(ids)
    triggers = [(p["type"], p["subtype"]) for p in parts if p["platform"] == "device_automation"]
    assert len(set(triggers)) == len(triggers)
