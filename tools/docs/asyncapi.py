"""Makes the AsyncAPI 3 document of the wire from `camera_app.publish.contract`.

It is plain data, so that a test can ask whether the written one is the one that the code makes,
and whether a message fits it. What a topic is for is read off `Topics`, what a field means off the
docstring of its class.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from camera_app import __version__
from camera_app.publish import Topics
from camera_app.publish.contract import (
    CHANNELS,
    AnyJson,
    Bytes,
    Channel,
    JsonObject,
    Number,
    Pattern,
    Payload,
    Word,
)

Json = dict[str, Any]

_SCHEMAS = "#/components/schemas/"
_JSON = "application/json"
_LEVELS = {
    "base_topic": "`base_topic` of `[mqtt]`; may have several levels.",
    "device_id": "`device_id` of the configuration.",
    "camera": "Name of a camera in the configuration.",
    "zone": "Name of a zone of that camera.",
    "label": "Class of object; what MQTT keeps for itself and white space are `_`.",
    "component": "Kind of entity, such as `sensor`.",
    "entity": "Unique id of the entity.",
    "compat_prefix": "`compat_prefix` of `[mqtt]`, `frigate` unless set otherwise.",
    "place": "Name of a camera or of a zone.",
    "command": "What is asked for.",
    "setting": "Name of a setting.",
    "subscriber": "Whoever asked; a name of its own choice.",
    "discovery_prefix": "Where the hub looks for devices, `homeassistant` unless set otherwise.",
}


class Undocumented(Exception):
    """The code has something that the contract does not describe; the text names it."""


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: its contract, and what `Topics` says of it.

    Attributes:
        name: Of the member, and of the channel in the document.
        address: The topic with names in braces for levels that differ.
        summary: What it is for.
        channel: Its contract.
    """

    name: str
    address: str
    summary: str
    channel: Channel


def undescribed() -> list[str]:
    """Return the members of `Topics` whose messages the contract does not describe."""
    return sorted(name for name, _ in _members() if name not in CHANNELS)


def topics() -> list[Topic]:
    """Return every topic that the code knows, those too whose messages nobody described yet.

    Raises:
        Undocumented: The contract describes a topic that is none.
    """
    members = dict(_members())
    gone = sorted(n for n, channel in CHANNELS.items() if n not in members and not channel.address)
    if gone:
        raise Undocumented(f"Topics has no member for: {', '.join(gone)}")
    channels = {**dict.fromkeys(members, Channel(())), **CHANNELS}
    return [_topic(name, channel, members) for name, channel in channels.items()]


def _topic(name: str, channel: Channel, members: dict[str, tuple[str, str]]) -> Topic:
    address, summary = members.get(name, (channel.address, channel.summary))
    return Topic(name, address, channel.summary or summary, channel)


def _members() -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield address and first sentence of each topic that `Topics` makes, by name."""
    made = Topics("{base_topic}", "{device_id}")
    for name, member in vars(Topics).items():
        if name.startswith("_") or name in {"base", "device_id", "root"}:
            continue
        summary = (inspect.getdoc(member) or "").split("\n\n")[0].replace("\n", " ")
        if isinstance(member, property):
            address = getattr(made, name)
        elif inspect.isfunction(member):
            levels = list(inspect.signature(member).parameters)[1:]
            address = member(made, *(f"{{{level}}}" for level in levels))
        else:
            continue
        if isinstance(address, str):  # there are filters, too
            yield name, (address, summary)


def document() -> Json:
    """Return the whole document.

    Raises:
        Undocumented: A topic or a field is not described.
    """
    known = topics()
    schemas: Json = {}
    messages: Json = {}
    for topic in known:
        for name, payload in _named(topic):
            messages[name] = _message(topic, payload, schemas)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "camera_app over MQTT",
            "version": __version__,
            "description": "What one device tells its broker, and what it listens to.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": _JSON,
        "channels": {topic.name: _channel(topic) for topic in known},
        "operations": {_operation_name(topic): _operation(topic) for topic in known},
        "components": {
            "messages": messages,
            "schemas": dict(sorted(schemas.items())),
            "parameters": {level: {"description": text} for level, text in _used(known)},
        },
    }


def text() -> str:
    """Return the document as the file in `docs/` has it."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _used(known: list[Topic]) -> Iterator[tuple[str, str]]:
    levels = dict.fromkeys(level for topic in known for level in levels_of(topic.address))
    for level in levels:
        if level not in _LEVELS:
            raise Undocumented(f"say in tools/docs/asyncapi.py what the level {level!r} is")
        yield level, _LEVELS[level]


def levels_of(address: str) -> list[str]:
    """Return the names in braces of an address, in order."""
    return re.findall(r"\{(\w+)\}", address)


def _named(topic: Topic) -> Iterator[tuple[str, Payload]]:
    """Yield each message of a topic with the name that it has in the document."""
    for payload in topic.channel.payloads:
        is_only = len(topic.channel.payloads) == 1
        kind = "" if is_only else f"_{_kind(payload)}"
        yield f"{topic.name}{kind}", payload


def _kind(payload: Payload) -> str:
    if isinstance(payload, JsonObject):
        return payload.model.__name__
    return "_".join(payload.words) if isinstance(payload, Word) else type(payload).__name__


def _channel(topic: Topic) -> Json:
    return {
        "address": topic.address,
        "description": topic.summary,
        "parameters": {level: _parameter(topic, level) for level in levels_of(topic.address)},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name, _ in _named(topic)},
    }


def _parameter(topic: Topic, level: str) -> Json:
    words = topic.channel.levels.get(level)
    if words is None:
        return {"$ref": f"#/components/parameters/{level}"}
    return {"description": _LEVELS[level], "enum": list(words)}


def _operation_name(topic: Topic) -> str:
    return f"{'hear' if topic.channel.is_received else 'tell'}_{topic.name}"


def _operation(topic: Topic) -> Json:
    channel = topic.channel
    return {
        "action": "receive" if channel.is_received else "send",
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "summary": topic.summary,
        "bindings": {
            "mqtt": {
                "qos": channel.qos,
                "retain": channel.is_retained,
                "bindingVersion": "0.2.0",
            }
        },
        "messages": [
            {"$ref": f"#/channels/{topic.name}/messages/{name}"} for name, _ in _named(topic)
        ],
    }


def _message(topic: Topic, payload: Payload, schemas: Json) -> Json:
    message: Json = {"title": _kind(payload), "summary": topic.summary}
    if isinstance(payload, JsonObject):
        message["contentType"] = _JSON
        message["payload"] = _of_model(payload, schemas)
    elif isinstance(payload, AnyJson):
        message["contentType"] = _JSON
        message["payload"] = {"type": "object", "description": payload.defined_by}
    elif isinstance(payload, Bytes):
        message["contentType"] = payload.content_type
        # Not text: a schema has no word for it but this.
        message["payload"] = {"type": "string", "format": "binary"}
        message["x-starts-with-hex"] = payload.starts_with.hex()
    elif isinstance(payload, Word):
        message["contentType"] = "text/plain"
        message["payload"] = {"type": "string", "enum": list(payload.words)}
    elif isinstance(payload, Pattern):
        message["contentType"] = "text/plain"
        described = {"pattern": payload.expression, "description": payload.meaning}
        message["payload"] = {"type": "string", **described}
    else:
        message["contentType"] = "text/plain"
        message["payload"] = _of_number(payload)
    return message


def _of_number(payload: Number) -> Json:
    made: Json = {"type": "integer" if payload.is_whole else "number", "minimum": payload.least}
    return made if payload.most is None else {**made, "maximum": payload.most}


def _of_model(payload: JsonObject, schemas: Json) -> Json:
    """Add the schemas of a message's class, and of those within, and return how to refer to it."""
    name = payload.model.__name__
    made = TypeAdapter(payload.model).json_schema(ref_template=f"{_SCHEMAS}{{model}}")
    for inner, schema in made.pop("$defs", {}).items():
        # A message that stands inside another one is told as that message is.
        schemas.setdefault(inner, _told(schema, inner, frozenset()))
    whole = _told(made, name, payload.optional)
    if payload.schema is not None:
        version = {"const": payload.schema, "description": "Version of this form."}
        whole["properties"] = {"schema": version, **whole["properties"]}
        whole["required"] = ["schema", *whole["required"]]
    schemas[name] = whole
    return {"$ref": f"{_SCHEMAS}{name}"}


def _told(schema: Json, name: str, optional: frozenset[str]) -> Json:
    """Return pydantic's schema of a class as one of what we send: all is there, nothing else."""
    summary, fields = parse_docstring(schema.get("description", ""))
    properties = {}
    for key, value in schema.get("properties", {}).items():
        if key not in fields:
            raise Undocumented(f"say in the docstring of {name} what {key!r} is")
        plain = {k: v for k, v in value.items() if k not in {"title", "default"}}
        properties[key] = {**plain, "description": fields[key]}
    return {
        "type": "object",
        "description": summary,
        "properties": properties,
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


def parse_docstring(text: str) -> tuple[str, dict[str, str]]:
    """Return what stands before `Attributes:` and what is said of each attribute.

    A sentence that ends in Python's `None` is told with JSON's `null`.
    """
    before, _, after = inspect.cleandoc(text).partition("\nAttributes:\n")
    fields: dict[str, str] = {}
    name = ""
    for line in after.splitlines():
        begun = re.match(r" {4}(\w+): (.*)", line)
        if begun:
            name = begun[1]
            fields[name] = begun[2]
        elif name and line.strip():
            fields[name] += f" {line.strip()}"
    told = {key: re.sub(r"\bNone\b", "null", value) for key, value in fields.items()}
    return " ".join(before.split()), told
