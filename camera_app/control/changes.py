"""What differs between two configurations, and what it takes to get from one to the other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from camera_app.config import CameraSettings, Config
from camera_app.logs import redact

# What makes a source what it is. A camera of which only other keys change keeps its source.
FEED_KEYS = (
    "source",
    "password_file",
    "width",
    "height",
    "fps",
    "rtsp_transport",
    "deadline_s",
    "privacy_masks",
    "recording",
)
# Of a camera: what it is told while it looks on, its events included.
ORDER_KEYS = (
    "detection",
    "privacy",
    "snapshots.enabled",
    "recording.enabled",
    "events.min_score",
    "faces",
    "variant",
    "priority",
    "min_fps",
)
# The names under which others know this device, and where its events lie, hold for a whole life.
RESTART_KEYS = (
    "device_id",
    "data.folder",
    "mqtt.base_topic",
    "mqtt.compat",
    "mqtt.compat_prefix",
    "log.format",
)


class Effect(StrEnum):
    """What a change takes, the gentlest first."""

    AT_ONCE = "takes effect at once"
    LOOKS_ANEW = "the camera looks anew: its open events end, its source runs on"
    OPENS_ANEW = "the camera is opened anew"
    CAMERA_ADDED = "the camera is opened"
    CAMERA_REMOVED = "the camera is closed"
    NETWORKS_ANEW = "networks are loaded beside those that run, which then give way"
    RECONNECTS = "the connection to the broker is made anew"
    RESTART = "needs a restart"


@dataclass(frozen=True, slots=True)
class Change:
    """One key that differs.

    Attributes:
        where: Its dotted name, as an owner writes it; of a camera or zone that is new or gone, its
            place as a whole.
        before: Its value; None: it was not there, or stood at none.
        after: Its value now; None: it is not there any more, or stands at none.
    """

    where: str
    before: Any
    after: Any

    @property
    def effect(self) -> Effect:
        """What it takes."""
        if self.where in RESTART_KEYS:
            return Effect.RESTART
        section, _, rest = self.where.partition(".")
        if section == "camera":
            return self._of_camera(rest.partition(".")[2])
        if section in ("mqtt", "home_assistant", "commands"):
            return Effect.RECONNECTS
        return Effect.NETWORKS_ANEW if section in ("inference", "models") else Effect.AT_ONCE

    def _of_camera(self, key: str) -> Effect:
        if not key:
            return Effect.CAMERA_ADDED if self.before is None else Effect.CAMERA_REMOVED
        if key == "enabled":
            return Effect.CAMERA_ADDED if self.after else Effect.CAMERA_REMOVED
        if key in ORDER_KEYS:
            return Effect.AT_ONCE
        is_feed = key.partition(".")[0] in FEED_KEYS
        return Effect.OPENS_ANEW if is_feed else Effect.LOOKS_ANEW

    def __str__(self) -> str:
        if isinstance(self.before, BaseModel) or isinstance(self.after, BaseModel):
            word = "is new" if self.before is None else "is gone"
            return f"{self.where} {word}"
        return f"{self.where}: {_shown(self.before)} becomes {_shown(self.after)}"


def changes(before: Config, after: Config) -> tuple[Change, ...]:
    """Return every key that differs, in the order of the sections; defaults count as written."""
    return tuple(_of_models("", before, after))


def needing_restart(found: Iterable[Change]) -> tuple[str, ...]:
    """Return the keys that cannot change while the service runs."""
    return tuple(change.where for change in found if change.effect is Effect.RESTART)


def has_same_feed(one: CameraSettings, other: CameraSettings) -> bool:
    """Say whether two cameras can have one source."""
    return not any(
        change.effect is Effect.OPENS_ANEW for change in _of_models("camera.it", one, other)
    )


def is_order(before: CameraSettings, after: CameraSettings) -> bool:
    """Say whether a camera can be told of all that differs while it looks on."""
    return all(
        change.where.removeprefix(".") in ORDER_KEYS for change in _of_models("", before, after)
    )


def _of_models(place: str, before: BaseModel, after: BaseModel) -> Iterator[Change]:
    for key in type(after).model_fields:
        where = f"{place}.{key}" if place else key
        yield from _of_values(where, getattr(before, key), getattr(after, key))


def _of_values(where: str, before: Any, after: Any) -> Iterator[Change]:
    if before == after:
        return
    if isinstance(before, BaseModel) and isinstance(after, BaseModel):
        yield from _of_models(where, before, after)
    elif isinstance(before, Mapping) and isinstance(after, Mapping):
        yield from _of_tables(where, before, after)
    elif _are_named(before) and _are_named(after):
        tables = [{one.name: one for one in several} for several in (before, after)]
        yield from _of_tables(where, *tables)
    else:
        yield Change(where, before, after)


def _of_tables(where: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for name in (*before, *(name for name in after if name not in before)):
        one, other = before.get(name), after.get(name)
        if one is None or other is None:
            yield Change(f"{where}.{name}", one, other)
        else:
            yield from _of_values(f"{where}.{name}", one, other)


def _are_named(value: Any) -> bool:
    """Say whether a value is a list of tables with names, such as zones."""
    return isinstance(value, tuple) and all(hasattr(one, "name") for one in value)


def _shown(value: Any) -> str:
    """Return a value as it may be shown: without the passwords that addresses carry."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return f"[{', '.join(_shown(one) for one in value)}]"
    if isinstance(value, BaseModel):
        return redact(value.model_dump_json(exclude_defaults=True))
    return redact(f"{value:g}" if isinstance(value, float) else str(value))
