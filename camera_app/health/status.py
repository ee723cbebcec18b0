"""Every part's frozen figures, and the status message that is made of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from camera_app.capture import SourceStats
from camera_app.clock import seconds
from camera_app.pipeline import CameraStats
from camera_app.publish import CameraStatus, DeviceStatus, PublisherStats
from camera_app.scheduling import SeatStats
from camera_app.store import StoreStats


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera: how its source does, and what became of its frames."""

    source: SourceStats
    watch: CameraStats


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """The figures of every part.

    Attributes:
        version: Of the program.
        uptime_ns: Since the program was started.
        cameras: By name.
        seats: What the CPU has looked at.
        store: The event store.
        publisher: The way to the broker; None where none is configured.
    """

    version: str
    uptime_ns: int
    cameras: Mapping[str, CameraFigures]
    seats: SeatStats
    store: StoreStats
    publisher: PublisherStats | None


def status_of(figures: DeviceFigures) -> DeviceStatus:
    """Return what the `status` topic tells of these figures."""
    store, publisher = figures.store, figures.publisher
    return DeviceStatus(
        version=figures.version,
        uptime_s=seconds(figures.uptime_ns),
        cameras={name: _camera_status(camera) for name, camera in figures.cameras.items()},
        device="cpu",
        backlog=store.backlog,
        oldest_unsent_age_s=store.oldest_unsent_age_s,
        store=store.state,
        shed_changes=store.shed_updates + store.shed_others,
        untold_changes=store.removed_untold,
        reconnects=0 if publisher is None else publisher.reconnects,
    )


def _camera_status(figures: CameraFigures) -> CameraStatus:
    source, watch = figures.source, figures.watch
    return CameraStatus(
        state=source.state,
        fps=source.fps,
        looked_at_fps=watch.looked_at_fps,
        captured=watch.counts.captured,
        looked_at=watch.counts.looked_at,
        shed=watch.counts.shed,
        latency_p50_ms=watch.latency_p50_ms,
        latency_p95_ms=watch.latency_p95_ms,
    )
