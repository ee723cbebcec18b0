"""What Frigate would say: some of its topics and payloads, so that automations made for it go on.

Pure: what we tell goes in, what is told beside it comes out. Our own topics stay as they are; the
mirror only adds. It says what we know: what Frigate tells and we do not know is told as nothing
(no speed, no path, no sub label), never made up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from camera_app.publish.board import Notice
from camera_app.publish.payloads import OFFLINE
from camera_app.publish.topics import CAMERA_LEVELS, Topics
from camera_app.store import CommittedChange

# Frigate calls an event with one of these an alert unless it is told otherwise.
ALERT_LABELS = frozenset({"person", "car"})
# Events under way whose last state is held for `before`; more than that are not open at a time.
OPEN_LIMIT = 1000

_TYPES: Mapping[str, Literal["new", "update", "end"]] = {
    "started": "new",
    "updated": "update",
    "ended": "end",
}


@dataclass(frozen=True, slots=True)
class FrigateSnapshot:
    """When an object was seen best.

    Attributes:
        frame_time: Capture of that frame, Unix seconds.
        box: Left, top, right and bottom in pixels of the frame.
        area: Of the box, square pixels.
        region: What was looked at: here the whole frame, left, top, right and bottom.
        score: How sure the network was, 0 to 1.
        attributes: Always empty here.
    """

    frame_time: float
    box: tuple[int, ...]
    area: int
    region: tuple[int, ...]
    score: float
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FrigateObject:
    """A tracked object at one moment.

    Attributes:
        id: Unix seconds of the event's start, and letters that make it unique.
        camera: Name of the camera.
        frame_time: Capture of the frame, Unix seconds.
        snapshot: When it was seen best; None before the event has begun.
        label: What it is.
        sub_label: Always None here.
        top_score: Highest score so far, 0 to 1.
        false_positive: True before the event has begun.
        start_time: First sight, Unix seconds.
        end_time: Last sight of all, Unix seconds; None while it goes on.
        score: How sure the network is, 0 to 1.
        box: Left, top, right and bottom in pixels of the frame.
        area: Of the box, square pixels.
        ratio: Width by height of the box.
        region: What was looked at: here the whole frame, left, top, right and bottom.
        active: It moves, or did lately.
        stationary: It has not moved for the configured time.
        motionless_count: 1 if it is stationary, else 0; Frigate counts frames.
        position_changes: How often we told that it is not stationary.
        current_zones: Zones that it stands in.
        entered_zones: Zones that it has entered so far.
        has_clip: There is a film, on the device.
        has_snapshot: A still is kept on the device.
        attributes: Always empty here.
        current_attributes: Always empty here.
        pending_loitering: Always false here.
        max_severity: `alert` for people and cars, else `detection`.
        current_estimated_speed: Always 0 here.
        average_estimated_speed: Always 0 here.
        velocity_angle: Always 0 here.
        path_data: Always empty here.
        recognized_license_plate: Always None here.
    """

    id: str
    camera: str
    frame_time: float
    snapshot: FrigateSnapshot | None
    label: str
    top_score: float
    false_positive: bool
    start_time: float
    end_time: float | None
    score: float
    box: tuple[int, ...]
    area: int
    ratio: float
    region: tuple[int, ...]
    active: bool
    stationary: bool
    motionless_count: int
    position_changes: int
    current_zones: tuple[str, ...]
    entered_zones: tuple[str, ...]
    has_snapshot: bool
    max_severity: Literal["alert", "detection"]
    sub_label: None = None
    has_clip: bool = False
    attributes: Mapping[str, float] | None = None
    current_attributes: tuple[str, ...] = ()
    pending_loitering: bool = False
    current_estimated_speed: float = 0
    average_estimated_speed: float = 0
    velocity_angle: float = 0
    path_data: tuple[str, ...] = ()
    recognized_license_plate: None = None


@dataclass(frozen=True, slots=True)
class FrigateEvent:
    """A change of a tracked object.

    Attributes:
        type: `new`, `update` or `end`.
        before: The object as it was told last.
        after: The object now.
    """

    type: Literal["new", "update", "end"]
    before: FrigateObject
    after: FrigateObject


class FrigateMirror:
    """Says beside each of our messages what Frigate would; belongs to who hands them in.

    Events and state may come from two threads: what they remember is apart.

    Args:
        topics: Our own.
        prefix: First part of Frigate's.
        has_snapshots: Whether a camera keeps stills, by name.
    """

    def __init__(self, topics: Topics, prefix: str, has_snapshots: Mapping[str, bool]) -> None:
        self._topics = topics
        self._prefix = prefix
        self._has_snapshots = has_snapshots
        self._open: dict[str, FrigateObject] = {}  # by event id, as last told; for events
        self._counts: dict[str, dict[str, int]] = {}  # by camera or zone, by label; for state

    def know(self, has_snapshots: Mapping[str, bool]) -> None:
        """Take note of which cameras keep stills from now on; any thread."""
        self._has_snapshots = dict(has_snapshots)

    # Events

    def event(self, change: CommittedChange) -> Notice | None:
        """Return the message on `events` for a fresh change; None for what Frigate knows not."""
        kind = _TYPES.get(change.type)
        if kind is None:
            return None
        before = self._open.get(change.event_id)
        after = self._object(json.loads(change.record), before)
        if kind == "end":
            self._open.pop(change.event_id, None)
        else:
            self._remember(change.event_id, after)
        told = FrigateEvent(kind, before or _not_begun(after), after)
        payload = json.dumps(asdict(told), separators=(",", ":")).encode()
        return Notice(f"{self._prefix}/events", payload, is_retained=False, qos=0)

    def _remember(self, event_id: str, told: FrigateObject) -> None:
        self._open[event_id] = told
        if len(self._open) > OPEN_LIMIT:
            del self._open[next(iter(self._open))]

    def _object(self, record: Mapping[str, Any], before: FrigateObject | None) -> FrigateObject:
        left, top, right, bottom = box = _corners(record["box"])
        width, height = max(1, right - left), max(1, bottom - top)
        region = (0, 0, *record["frame_size"])
        is_stationary = record["is_stationary"]
        return FrigateObject(
            id=frigate_id(record["event_id"]),
            camera=record["camera"],
            frame_time=_unix_s(record["at"]),
            snapshot=_snapshot(record["best"], region),
            label=record["label"],
            top_score=record["top_score"],
            false_positive=False,
            start_time=_unix_s(record["started_at"]),
            end_time=None if record["ended_at"] is None else _unix_s(record["ended_at"]),
            score=record["score"],
            box=box,
            area=width * height,
            ratio=round(width / height, 4),
            region=region,
            active=not is_stationary,
            stationary=is_stationary,
            motionless_count=int(is_stationary),
            position_changes=(before.position_changes if before else 0) + (not is_stationary),
            current_zones=tuple(record["zones"]),
            entered_zones=tuple(record["entered_zones"]),
            has_clip=record.get("film") is not None,
            has_snapshot=self._has_snapshots.get(record["camera"], False),
            max_severity="alert" if record["label"] in ALERT_LABELS else "detection",
            attributes={},
        )

    # State

    def state(self, topic: str, payload: bytes) -> list[Notice]:
        """Return what is told beside a state of ours; empty where Frigate has no such thing."""
        root, told = f"{self._topics.root}/", list[Notice]()
        is_withdrawn = not payload and topic.endswith("/snapshot")
        if not topic.startswith(root) or not (payload or is_withdrawn):
            return told
        match topic.removeprefix(root).split("/"):
            case ["availability"]:
                told.append(Notice(f"{self._prefix}/available", payload))
            case ["status"]:
                told.append(self._stats(payload))
            case [camera, "availability"]:
                told.append(Notice(f"{self._prefix}/{camera}/status/detect", payload))
            case [camera, "motion"]:
                topic = f"{self._prefix}/{camera}/motion"
                told.append(Notice(topic, payload, is_retained=False))
            case [camera, label, "snapshot"]:
                told.append(Notice(f"{self._prefix}/{camera}/{label}/snapshot", payload))
            case [camera, label] if label not in CAMERA_LEVELS and payload.isdigit():
                told += self._count(camera, label, int(payload))
            case [_, zone, label] if payload.isdigit():
                told += self._count(zone, label, int(payload))
        return told

    def _count(self, place: str, label: str, count: int) -> list[Notice]:
        """Return the count and the sum over all labels, each only when it changed."""
        known = self._counts.setdefault(place, {})
        before, sum_before = known.get(label), sum(known.values()) if known else None
        known[label] = count
        told = []
        if count != before:
            told.append((label, count))
        if sum(known.values()) != sum_before:
            told.append(("all", sum(known.values())))
        return [
            Notice(f"{self._prefix}/{place}/{name}", str(number).encode(), is_retained=False)
            for name, number in told
        ]

    def _stats(self, payload: bytes) -> Notice:
        status = json.loads(payload)
        told = {
            "cameras": {name: _camera_stats(one) for name, one in status["cameras"].items()},
            "detectors": {
                name: _detector_stats(device) for name, device in status["devices"].items()
            },
            "service": {
                "uptime": round(status["uptime_s"]),
                "version": status["version"],
            },
        }
        return Notice(f"{self._prefix}/stats", json.dumps(told).encode(), is_retained=False, qos=0)

    def farewell(self) -> Notice:
        """Return what is told when we stop; nobody tells it for us when we die."""
        return Notice(f"{self._prefix}/available", OFFLINE)


def frigate_id(event_id: str) -> str:
    """Return the id of an event in Frigate's form: its UUID begins with the time."""
    milliseconds = int(event_id[:8] + event_id[9:13], 16)
    return f"{milliseconds / 1000:.6f}-{event_id[-6:]}"


def _not_begun(told: FrigateObject) -> FrigateObject:
    """Return the object as it was before anybody was told of it."""
    return replace(
        told, snapshot=None, top_score=0.0, false_positive=True, current_zones=(), entered_zones=()
    )


def _snapshot(best: Mapping[str, Any], region: tuple[int, ...]) -> FrigateSnapshot:
    left, top, right, bottom = box = _corners(best["box"])
    area = max(1, right - left) * max(1, bottom - top)
    return FrigateSnapshot(_unix_s(best["at"]), box, area, region, best["score"])


def _corners(box: list[float]) -> tuple[int, int, int, int]:
    left, top, width, height = box
    return round(left), round(top), round(left + width), round(top + height)


def _unix_s(stamp: str) -> float:
    return round(datetime.fromisoformat(stamp).timestamp(), 3)


def _camera_stats(camera: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "camera_fps": camera["fps"],
        "process_fps": camera["looked_at_fps"],
        "skipped_fps": round(max(0.0, camera["fps"] - camera["looked_at_fps"]), 3),
        "detection_fps": camera["looked_at_fps"],
    }


def _detector_stats(device: Mapping[str, Any]) -> dict[str, Any]:
    times_ms = device["service_ms"].values()
    return {"inference_speed": max(times_ms, default=0.0), "detection_start": 0.0}
