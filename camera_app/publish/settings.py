"""What can be set over MQTT, by the same models as the configuration file. Pure.

A setting is one key of a camera's section. What was set is kept beside the file and wins over it,
until the owner writes something else there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from camera_app.config import CameraSettings
from camera_app.errors import CommandRefused

KEPT_SCHEMA = 1
ON, OFF = "ON", "OFF"

Value = bool | float | str
_NUMBER = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a camera's section that can be set.

    Attributes:
        path: Where it stands below `[camera.<name>]`.
        form: `switch`: `ON` or `OFF`; `number`: a decimal number; `choice`: one of a few texts.
    """

    path: tuple[str, ...]
    form: Literal["switch", "number", "choice"]


SETTINGS: Mapping[str, Setting] = {
    "detection": Setting(("detection",), "switch"),
    "privacy": Setting(("privacy",), "switch"),
    "recording": Setting(("recording", "enabled"), "switch"),
    "snapshots": Setting(("snapshots", "enabled"), "switch"),
    "threshold": Setting(("events", "min_score"), "number"),
    "faces": Setting(("faces",), "switch"),
    "variant": Setting(("variant",), "choice"),
}


@dataclass(frozen=True, slots=True)
class Kept:
    """One value that was set.

    Attributes:
        value: What was set.
        instead_of: What the configuration file said then; once it says otherwise, it wins.
    """

    value: Value
    instead_of: Value


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """All that was set and differs from the file: camera -> setting -> value."""

    cameras: Mapping[str, Mapping[str, Kept]] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return the text of the file that keeps it."""
        cameras = {
            camera: {
                name: {"value": kept.value, "instead_of": kept.instead_of}
                for name, kept in settings.items()
            }
            for camera, settings in self.cameras.items()
        }
        return json.dumps({"schema": KEPT_SCHEMA, "cameras": cameras}, indent=1, sort_keys=True)

    def with_value(self, camera: str, name: str, value: Value, in_file: Value) -> KeptSettings:
        """Return this with one setting more, or without it if the file says the same."""
        others = {key: kept for key, kept in self.cameras.get(camera, {}).items() if key != name}
        mine = others if value == in_file else {**others, name: Kept(value, in_file)}
        rest = {key: settings for key, settings in self.cameras.items() if key != camera}
        return KeptSettings({**rest, camera: mine} if mine else rest)


def read_kept(text: str) -> KeptSettings:
    """Return what a file keeps.

    Raises:
        ValueError: It is no such file.
    """
    plain: Any = json.loads(text)
    if not isinstance(plain, dict) or plain.get("schema") != KEPT_SCHEMA:
        raise ValueError("keeps no settings")
    cameras = plain.get("cameras")
    if not isinstance(cameras, dict):
        raise ValueError("names no cameras")
    try:
        return KeptSettings(
            {
                str(camera): {
                    str(name): _read_one(kept["value"], kept["instead_of"])
                    for name, kept in settings.items()
                }
                for camera, settings in cameras.items()
            }
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"is not as it was written: {error!r}") from error


def _read_one(value: object, instead_of: object) -> Kept:
    kept = Kept(_scalar(value), _scalar(instead_of))
    forms = {bool: "switch", str: "choice"}
    if forms.get(type(kept.value)) != forms.get(type(kept.instead_of)):
        raise TypeError(f"{value!r} cannot stand instead of {instead_of!r}")
    return kept


def _scalar(value: object) -> Value:
    if isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} is no value of a setting")


def with_kept(
    cameras: Mapping[str, CameraSettings], kept: KeptSettings
) -> tuple[dict[str, CameraSettings], KeptSettings, list[str]]:
    """Return the cameras as they were set, what of that still holds, and why the rest does not.

    Args:
        cameras: As the configuration file has them.
        kept: What was set.
    """
    changed, notes, still = dict(cameras), [], KeptSettings()
    for camera, settings in kept.cameras.items():
        for name, one in settings.items():
            where = f"camera.{camera}, {name}"
            if camera not in cameras or name not in SETTINGS:
                notes.append(f"{where}: there is none any more")
            elif value_of(cameras[camera], name) != one.instead_of:
                notes.append(f"{where}: the configuration file says otherwise since it was set")
            else:
                try:
                    changed[camera] = with_value(changed[camera], name, one.value)
                except CommandRefused as error:
                    notes.append(f"{where}: {error.what}")
                    continue
                still = still.with_value(camera, name, one.value, one.instead_of)
    return changed, still, notes


def value_of(camera: CameraSettings, name: str) -> Value:
    """Return what a setting is."""
    value: Any = camera
    for key in SETTINGS[name].path:
        value = getattr(value, key)
    return _scalar(value)


def state_of(camera: CameraSettings, name: str, choices: Sequence[str] = ()) -> str:
    """Return what a setting is, as told on its topic.

    Args:
        camera: Whose.
        name: Of the setting.
        choices: Of a choice, what there is to choose from; the first stands for nothing chosen.
    """
    value = value_of(camera, name)
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, str):
        return value or next(iter(choices), "")
    return f"{value:g}"


def parsed(name: str, text: str, choices: Sequence[str] = ()) -> Value:
    """Return the value that a text means for a setting; choices as for `state_of`.

    Raises:
        CommandRefused: It means none.
    """
    if SETTINGS[name].form == "choice":
        if text not in choices:
            raise CommandRefused(f"expected one of: {', '.join(choices) or 'there is no choice'}")
        return "" if text == choices[0] else text
    if SETTINGS[name].form == "switch":
        if text not in (ON, OFF):
            raise CommandRefused(f"expected {ON} or {OFF}")
        return text == ON
    if not _NUMBER.fullmatch(text):
        raise CommandRefused("expected a decimal number, such as 0.6")
    return float(text)


def with_value(camera: CameraSettings, name: str, value: Value) -> CameraSettings:
    """Return a camera's section with a setting changed, checked as the file is.

    Raises:
        CommandRefused: The configuration does not allow it.
    """
    plain: dict[str, Any] = camera.model_dump()
    *tables, key = SETTINGS[name].path
    place = plain
    for table in tables:
        place = place[table]
    place[key] = value
    try:
        return CameraSettings.model_validate(plain)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False)
        raise CommandRefused(str(first["msg"])) from error
