"""The reference of the configuration, read off the configuration's own model.

Every section and key with its type, default, range and meaning: for the page in `docs/` and for
the example that `camera-app config example` prints. Nothing is said here that the model does not
say, except an example for each key that has no default.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from camera_app.config import Config

CAMERA_NAME = "front"

# For keys without a default, by section and key.
_EXAMPLE_NAMES = {"camera": CAMERA_NAME, "profile": "away"}
_ANY_NAMES = {"camera": "NAME", "profile": "NAME"}
_EXAMPLES: Mapping[str, object] = {
    "mqtt.password_file": "/etc/camera-app/mqtt-password",
    "mqtt.ca_file": "/etc/camera-app/ca.pem",
    "mqtt.client_certificate_file": "/etc/camera-app/client.pem",
    "mqtt.client_key_file": "/etc/camera-app/client-key.pem",
    "profile.detection": False,
    "profile.privacy": True,
    "profile.recording": True,
    "profile.snapshots": False,
    "profile.faces": False,
    "profile.threshold": 0.6,
    "camera.source": "rtsp://user:{password}@192.168.1.20:554/low",
    "camera.recording.source": "rtsp://user:{password}@192.168.1.20:554/high",
    "camera.password_file": "/etc/camera-app/front-password",
    "camera.width": 768,
    "camera.height": 432,
    "camera.zones.name": "path",
    "camera.zones.polygon": [[0.1, 0.6], [0.9, 0.6], [0.9, 1.0], [0.1, 1.0]],
    "camera.lines.name": "doorstep",
    "camera.lines.points": [[0.2, 0.7], [0.8, 0.7]],
    "camera.privacy_masks.polygon": [[0.0, 0.0], [0.2, 0.0], [0.2, 0.3], [0.0, 0.3]],
}


@dataclass(frozen=True, slots=True)
class KeyReference:
    """What an owner needs to know of one key.

    Attributes:
        name: The key.
        type: What it takes, in words.
        limits: Its range or form, in words; may be empty.
        default: Its default as TOML; empty where the key is required or absent by default.
        example: A value as TOML: the default, or one made up.
        is_required: The file must say it.
        meaning: What it does.
    """

    name: str
    type: str
    limits: str
    default: str
    example: str
    is_required: bool
    meaning: str


@dataclass(frozen=True, slots=True)
class SectionReference:
    """One table of the file.

    Attributes:
        path: Its name without that of a camera or profile, such as `camera.zones`; empty for the
            top.
        is_list: There may be several: `[[…]]`.
        meaning: What it is for.
        keys: Its keys, less the tables inside it.
    """

    path: str
    is_list: bool
    meaning: str
    keys: tuple[KeyReference, ...]

    @property
    def is_optional(self) -> bool:
        """There may be none of it: what is said of it is an example, and no default."""
        return self.is_list or self.path == "profile"

    def header(self, names: Mapping[str, str]) -> str:
        """Return the line that begins the table, given a name for a camera and for a profile."""
        top, *rest = self.path.split(".")
        path = ".".join([top, names[top], *rest] if top in names else [self.path])
        return f"[[{path}]]" if self.is_list else f"[{path}]"


Schema = dict[str, Any]  # JSON schema: as deep and mixed as JSON is


def sections() -> tuple[SectionReference, ...]:
    """Return every table of the file, the top first, each before those inside it."""
    schema = Config.model_json_schema()
    return tuple(_sections(schema, schema, "", is_list=False))


def _sections(
    schema: Schema, node: Schema, path: str, *, is_list: bool
) -> Iterator[SectionReference]:
    required = set(node.get("required", ()))
    properties: dict[str, Schema] = node["properties"]
    tables = {name: table for name, entry in properties.items() if (table := _table(entry))}
    keys = tuple(
        _key(path, name, entry, is_required=name in required)
        for name, entry in properties.items()
        if name not in tables
    )
    yield SectionReference(path, is_list, " ".join(node.get("description", "").split()), keys)
    for name, (reference, holds_many) in tables.items():
        inside = schema["$defs"][reference.rsplit("/", 1)[1]]
        yield from _sections(schema, inside, f"{path}.{name}".lstrip("."), is_list=holds_many)


def _table(entry: Schema) -> tuple[str, bool] | None:
    """Return the definition that a property refers to, and whether it is a list of such."""
    if "$ref" in entry:
        return entry["$ref"], False
    for named in entry.get("patternProperties", {}).values():
        return named["$ref"], False
    if "$ref" in entry.get("items", {}):
        return entry["items"]["$ref"], True
    return None


def _key(path: str, name: str, entry: Schema, *, is_required: bool) -> KeyReference:
    forms = _forms(entry)
    default = entry.get("default")
    example = default if default is not None else _EXAMPLES[f"{path}.{name}"]
    return KeyReference(
        name=name,
        type=" or ".join(map(_type_words, forms)),
        limits=_limit_words(forms[0]),
        default="" if default is None else toml_value(default),
        example=toml_value(example),
        is_required=is_required,
        meaning=" ".join(entry["description"].split()),
    )


def _forms(entry: Schema) -> list[Schema]:
    """Return what a key may be given as; that it may be absent is no form."""
    options = [option for option in entry.get("anyOf", ()) if option.get("type") != "null"]
    return options or [entry]


def _type_words(value: Schema) -> str:
    if "enum" in value:
        return "choice"
    if value["type"] == "array":
        return "list of points" if "prefixItems" in value["items"] else "list of text"
    if value.get("format") == "path":
        return "path"
    words = {"boolean": "true or false", "integer": "whole number", "number": "number"}
    return words.get(value["type"], "text")


def _limit_words(value: Schema) -> str:
    if "enum" in value:
        return ", ".join(f"`{toml_value(option)}`" for option in value["enum"])
    if "pattern" in value:
        return f"matches `{value['pattern']}`"
    if "maxItems" in value:
        return f"{value['minItems']} to {value['maxItems']}"
    if "minLength" in value:
        return "not empty"
    low = _bound(value, "minimum", "at least", "exclusiveMinimum", "above")
    high = _bound(value, "maximum", "at most", "exclusiveMaximum", "below")
    return ", ".join(words for words in (low, high) if words)


def _bound(value: Schema, closed: str, closed_word: str, open_: str, open_word: str) -> str:
    if closed in value:
        return f"{closed_word} {value[closed]:g}"
    return f"{open_word} {value[open_]:g}" if open_ in value else ""


def toml_value(value: object) -> str:
    """Return a text, number, truth value or list of these as TOML, which here is JSON."""
    return json.dumps(value, ensure_ascii=False)


def example_toml() -> str:
    """Return a configuration with every key in it, that loads as it stands.

    A line that begins with `# ` explains; one that begins with `#` and no space is a key at its
    default, or a table, ready to be uncommented.
    """
    lines = [
        "# Configuration of camera-app. What is commented out stands at its default;",
        "# remove the first # of a line to change it. Check with: camera-app config check FILE",
    ]
    for section in sections():
        lines += ["", *_example_section(section)]
    return "\n".join(lines) + "\n"


def _example_section(section: SectionReference) -> Iterator[str]:
    if section.path:
        yield f"# {section.meaning}"
        yield ("#" if section.is_optional else "") + section.header(_EXAMPLE_NAMES)
    for key in section.keys:
        limits = f" ({key.limits})" if key.limits else ""
        yield f"# {key.meaning}{limits}"
        is_comment = section.is_optional or not key.is_required
        yield f"{'#' if is_comment else ''}{key.name} = {key.example}"


def markdown() -> str:
    """Return the reference as a page."""
    lines = [
        "# Configuration",
        "",
        "One TOML file. Every key has a default except those that are *required*; a key that is",
        "unknown, a value out of range or a missing one refuses the whole file, with every problem",
        "named. `camera-app config example` prints a file to start from, `camera-app config check",
        "FILE` checks one, `camera-app config schema` prints the JSON schema for an editor.",
        "",
        "This page is generated from the program's own model: `make docs` writes it.",
    ]
    for section in sections():
        lines += ["", *_markdown_section(section)]
    return "\n".join(lines) + "\n"


def _markdown_section(section: SectionReference) -> Iterator[str]:
    yield f"## `{section.header(_ANY_NAMES)}`" if section.path else "## At the top of the file"
    yield ""
    yield section.meaning
    if not section.keys:
        return
    yield ""
    yield "| key | type | default | range or form | meaning |"
    yield "| --- | --- | --- | --- | --- |"
    for key in section.keys:
        default = f"`{key.default}`" if key.default else "*required*" if key.is_required else "none"
        cells = (f"`{key.name}`", key.type, default, key.limits, key.meaning)
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
