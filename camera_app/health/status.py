"""The status of the whole device as one JSON message. Pure: it is handed frozen figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from camera_app.capture import SourceStats
from camera_app.clock import iso_utc, seconds
from camera_app.events import SCHEMA, Json, Record
from camera_app.pipeline import CameraStats
from camera_app.publish import PublisherStats
from camera_app.scheduling import SeatStats
from camera_app.store import StoreStats


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera: how its source does, what became of its frames, with which model."""

    source: SourceStats
    watch: CameraStats
    model: str


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """Everything that the status tells.

    Attributes:
        device_id: Name of this device.
        version: Of the program.
        wall_ns: Now, nanoseconds since 1970.
        uptime_ns: Since the program was started.
        cameras: By name.
        seats: What the CPU has looked at.
        seat_count: Networks that run at a time.
        store: The event store.
        publisher: The way to the broker; None where none is configured.
    """

    device_id: str
    version: str
    wall_ns: int
    uptime_ns: int
    cameras: Mapping[str, CameraFigures]
    seats: SeatStats
    seat_count: int
    store: StoreStats
    publisher: PublisherStats | None


def status_record(now: DeviceFigures) -> Record:
    """Return the status as plain JSON values; times in milliseconds say so in their names."""
    return {
        "schema": SCHEMA,
        "device_id": now.device_id,
        "version": now.version,
        "at": iso_utc(now.wall_ns),
        "uptime_s": round(seconds(now.uptime_ns), 1),
        "cameras": {name: _camera_record(figures) for name, figures in now.cameras.items()},
        "devices": {"cpu": _seats_record(now)},
        "outbox": {
            "backlog": now.store.backlog,
            "oldest_age_s": _rounded(now.store.oldest_unsent_age_s, 1),
            "state": now.store.state,
            "trouble": now.store.trouble,
        },
        "shed_by_store": {
            "updates": now.store.shed_updates,
            "others": now.store.shed_others,
            "untold": now.store.removed_untold,
        },
    }


def _camera_record(figures: CameraFigures) -> Json:
    source, watch = figures.source, figures.watch
    counts = watch.counts
    return {
        "state": source.state,
        "is_delivering": source.is_delivering,
        "fps": round(source.fps, 2),
        "model": figures.model,
        "captured": counts.captured,
        "looked_at": counts.looked_at,
        "shed": dict(sorted(counts.shed.items())),
        "not_delivered": dict(sorted(source.dropped.items())),
        "lost": dict(sorted(source.lost.items())),
        "restarts": source.restarts,
        "open_events": watch.open_events,
        "latency_p50_ms": _rounded(watch.latency_p50_ms, 1),
        "latency_p99_ms": _rounded(watch.latency_p99_ms, 1),
    }


def _seats_record(now: DeviceFigures) -> Json:
    looks = now.seats.looks
    return {
        "seats": now.seat_count,
        "looks": looks,
        "failed": now.seats.failed,
        "mean_look_ms": round(now.seats.look_ns / looks / 1e6, 2) if looks else None,
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
