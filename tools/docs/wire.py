"""Writes docs/asyncapi.json and docs/mqtt.md: `python -m tools.docs.wire`.

The page says the same as the document, for reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.docs.asyncapi import Json, document, text
from tools.docs.marked import write

FOLDER = Path(__file__).resolve().parents[2] / "docs"
DOCUMENT = FOLDER / "asyncapi.json"
PAGE = FOLDER / "mqtt.md"

_HEAD = """\
# The wire: topics and messages

Generated from the code by `make docs`; the same for machines is [asyncapi.json](asyncapi.json), an
[AsyncAPI 3](https://www.asyncapi.com/docs/reference/specification/v3.0.0) document. The tests hold
every message that they see against it. How to keep the connection safe is in the
[guide](guide/mqtt-security.md).

`{base_topic}` and `{device_id}` are those of the configuration. JSON objects carry `schema`, the
version of their form; a new field does not change it, so readers should pass over what they do not
know. *Kept*: the broker retains the last message for whoever comes later.
"""


def markdown() -> str:
    """Return the page."""
    made = document()
    lines = [_HEAD]
    for title, action in (("What the camera tells", "send"), ("What it listens to", "receive")):
        rows = list(_rows(made, action))
        if rows:
            lines += [f"## {title}\n", "| topic | kept | QoS | message | what for |"]
            lines += ["| --- | --- | --- | --- | --- |", *rows, ""]
    lines += ["## The objects\n"]
    for name, schema in made["components"]["schemas"].items():
        lines += [*_object(name, schema), ""]
    return "\n".join(lines).rstrip() + "\n"


def _rows(made: Json, action: str) -> Iterator[str]:
    for operation in made["operations"].values():
        if operation["action"] != action:
            continue
        channel = made["channels"][operation["channel"]["$ref"].rsplit("/", 1)[1]]
        messages = [made["components"]["messages"][name] for name in channel["messages"]]
        mqtt = operation["bindings"]["mqtt"]
        kinds = " or ".join(_message(message) for message in messages)
        kept = "yes" if mqtt["retain"] else "no"
        yield (
            f"| `{channel['address']}` | {kept} | {mqtt['qos']} | {kinds} "
            f"| {channel['description']} |"
        )


def _message(message: Mapping[str, Any]) -> str:
    payload = message["payload"]
    if "$ref" in payload:
        name = payload["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "enum" in payload:
        return ", ".join(f"`{word}`" for word in payload["enum"])
    if payload.get("format") == "binary":
        return str(message["contentType"])
    return str(payload.get("description") or _type(payload))


def _object(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{schema['description']}\n"
    yield "| field | type | meaning |"
    yield "| --- | --- | --- |"
    required = set(schema["required"])
    for key, value in schema["properties"].items():
        absent = "" if key in required else " May be absent."
        yield f"| `{key}` | {_type(value)} | {value['description']}{absent} |"


def _type(schema: Mapping[str, Any]) -> str:
    inner = schema.get("additionalProperties")
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        told = f"[{name}](#{name.lower()})"
    elif "anyOf" in schema:
        told = " or ".join(_type(one) for one in schema["anyOf"])
    elif "const" in schema or "enum" in schema:
        words = schema.get("enum", [schema.get("const")])
        told = ", ".join(f"`{word}`" for word in words)
    elif schema.get("type") == "array":
        told = f"list of {_type(schema['items'])}"
    elif isinstance(inner, dict):
        told = f"{_type(inner)} by name"
    else:
        told = str(schema.get("type", "any"))
    return told


def main() -> None:
    """Write both and say so."""
    for path, content in ((DOCUMENT, text()), (PAGE, markdown())):
        write(path, content)


if __name__ == "__main__":
    main()
