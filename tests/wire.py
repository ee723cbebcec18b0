"""Holds messages against docs/asyncapi.json, as a stranger would who has nothing but that file.

Shares no code with what writes the file. It knows the few words of JSON Schema that the file uses,
and says so when it meets another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "asyncapi.json"
PREFIXES = {"{compat_prefix}": "frigate", "{discovery_prefix}": "homeassistant"}  # in every test
ANY_LEVEL = "[^/]+"
REMEDY = "describe it in camera_app/publish/contract.py, then `make docs`"

_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
_CHECKED = {
    *(
        "$ref",
        "anyOf",
        "type",
        "const",
        "enum",
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
    ),
    *("items", "minItems", "maxItems", "properties", "required", "additionalProperties"),
    *("minLength", "maxLength"),
}
_SAYS_NOTHING = {"description", "format"}


@dataclass(frozen=True)
class Address:
    """One topic of the document, and what stands on it."""

    pattern: re.Pattern[str]
    particularity: int  # of two that fit, the one with more of it is meant
    is_sent: bool
    messages: list[dict[str, Any]]
    qos: int
    is_retained: bool


@cache
def document() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
    return made


@cache
def addresses() -> list[Address]:
    """Return every topic, the most particular first: a label may not shadow `event`."""
    made = document()
    found = []
    for operation in made["operations"].values():
        channel = made["channels"][operation["channel"]["$ref"].rsplit("/", 1)[1]]
        levels = [_level(level, channel) for level in channel["address"].split("/")]
        mqtt = operation["bindings"]["mqtt"]
        found.append(
            Address(
                re.compile("/".join(levels)),
                sum(level != ANY_LEVEL for level in levels),
                operation["action"] == "send",
                [made["components"]["messages"][name] for name in channel["messages"]],
                mqtt["qos"],
                mqtt["retain"],
            )
        )
    return sorted(found, key=lambda address: -address.particularity)


def _level(level: str, channel: Mapping[str, Any]) -> str:
    """Return the pattern of one level of an address."""
    if not level.startswith("{"):
        return re.escape(level)
    if level in PREFIXES:
        return PREFIXES[level]
    words = channel["parameters"][level.strip("{}")].get("enum")
    return ANY_LEVEL if words is None else f"({'|'.join(map(re.escape, words))})"


def problems(topic: str, payload: bytes, *, is_retained: bool | None, qos: int | None) -> list[str]:
    """Return what is wrong with a message; empty: nothing.

    Args:
        topic: Where it came.
        payload: What came.
        is_retained: As it was published; None: not known.
        qos: As it was published; None: not known.
    """
    address = next((a for a in addresses() if a.pattern.fullmatch(topic)), None)
    if address is None:
        return [f"{topic}: no such topic; {REMEDY}"]
    if not address.is_sent:
        return []  # what others say to the camera is theirs, right or wrong
    found = []
    if is_retained is not None and is_retained is not address.is_retained:
        found.append(f"{topic}: retained is {is_retained}, not as told")
    if qos is not None and qos != address.qos:
        found.append(f"{topic}: QoS is {qos}, not {address.qos}")
    if address.is_retained and not payload:
        return found  # makes the broker forget the topic
    return found + _no_message_fits(topic, payload, address)


def _no_message_fits(topic: str, payload: bytes, address: Address) -> list[str]:
    """Return why the payload is none of the messages of the topic; empty: it is one."""
    reasons = [] if address.messages else [f"{topic}: what stands here is not told; {REMEDY}"]
    for message in address.messages:
        wrong = list(_of_message(message, payload))
        if not wrong:
            return []
        reasons += [f"{topic}: {reason}; {REMEDY}" for reason in wrong]
    return reasons


def _of_message(message: Mapping[str, Any], payload: bytes) -> Iterator[str]:
    if "x-starts-with-hex" in message:
        start = bytes.fromhex(message["x-starts-with-hex"])
        if not payload.startswith(start):
            yield f"is no {message['contentType']}"
        return
    schema = message["payload"]
    try:
        text = payload.decode()
        is_json = message["contentType"] == "application/json" or schema.get("type") != "string"
        value = json.loads(text) if is_json else text
    except ValueError as error:
        yield f"cannot be read as {message['contentType']}: {error}"
        return
    yield from mismatches(value, schema, "")


def mismatches(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """Yield where a value differs from a schema."""
    unknown = set(schema) - _CHECKED - _SAYS_NOTHING
    if unknown:
        raise AssertionError(f"tests/wire.py does not know {sorted(unknown)}")
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        yield from mismatches(value, document()["components"]["schemas"][name], where)
    if "anyOf" in schema and all(list(mismatches(value, s, where)) for s in schema["anyOf"]):
        yield f"{where or 'it'} is none of the told forms: {value!r}"
    if "type" in schema and not _TYPES[schema["type"]](value):
        yield f"{where or 'it'} is no {schema['type']}: {value!r}"
        return
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']!r}: {value!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where or 'it'} is none of {schema['enum']}: {value!r}"
    yield from _within_limits(value, schema, where)
    if isinstance(value, dict):
        yield from _of_object(value, schema, where)
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from mismatches(item, schema.get("items", {}), f"{where}[{index}]")


def _within_limits(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    limits = [
        ("minimum", isinstance(value, int | float), lambda limit: value >= limit),
        ("exclusiveMinimum", isinstance(value, int | float), lambda limit: value > limit),
        ("maximum", isinstance(value, int | float), lambda limit: value <= limit),
        ("minItems", isinstance(value, list), lambda limit: len(value) >= limit),
        ("maxItems", isinstance(value, list), lambda limit: len(value) <= limit),
        ("minLength", isinstance(value, str), lambda limit: len(value) >= limit),
        ("maxLength", isinstance(value, str), lambda limit: len(value) <= limit),
        ("pattern", isinstance(value, str), lambda limit: re.search(limit, value) is not None),
    ]
    for word, applies, holds in limits:
        if word in schema and applies and not holds(schema[word]):
            yield f"{where or 'it'} is beyond {word} {schema[word]!r}: {value!r}"


def _of_object(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for key in schema.get("required", []):
        if key not in value:
            yield f"{where or 'it'} has no {key!r}"
    for key, inner in value.items():
        place = f"{where}.{key}" if where else key
        if key in properties:
            yield from mismatches(inner, properties[key], place)
        elif schema.get("additionalProperties") is False:
            yield f"{place} is not described"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from mismatches(inner, schema["additionalProperties"], place)
