"""Every part's frozen figures, and the status message that is made of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from camera_app.capture import SourceStats
from camera_app.clock import seconds
from camera_app.media import RecordingStats, SnapshotStats, Space
from camera_app.pipeline import CameraStats
from camera_app.publish import (
    CameraStatus,
    DeviceStatus,
    FallbackStatus,
    NetworkDevice,
    PublisherStats,
)
from camera_app.roster import Sign
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats
from camera_app.store import StoreStats


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """One camera: how its source does, what became of its frames, and what was kept of them."""

    source: SourceStats
    watch: CameraStats
    recording: RecordingStats = field(default_factory=RecordingStats)
    stills: SnapshotStats = field(default_factory=SnapshotStats)


@dataclass(frozen=True, slots=True)
class DeviceFigures:
    """The figures of every part.

    Attributes:
        version: Of the program.
        uptime_ns: Since the program was started.
        cameras: By name.
        executor: The devices that networks run on.
        store: The event store.
        publisher: The way to the broker; None where none is configured.
        space: The disk.
        signs: The newest sign of life of every thread.
        metrics_trouble: Why nobody can read the metrics that are configured; empty: somebody can.
    """

    version: str
    uptime_ns: int
    cameras: Mapping[str, CameraFigures]
    executor: ExecutorStats
    store: StoreStats
    publisher: PublisherStats | None
    space: Space = field(default_factory=Space)
    signs: tuple[Sign, ...] = ()
    metrics_trouble: str = ""


def status_of(figures: DeviceFigures) -> DeviceStatus:
    """Return what the `status` topic tells of these figures."""
    store, publisher, executor = figures.store, figures.publisher, figures.executor
    return DeviceStatus(
        version=figures.version,
        uptime_s=seconds(figures.uptime_ns),
        cameras={name: _camera_status(camera) for name, camera in figures.cameras.items()},
        device=executor.in_use,
        devices={device.name: _network_device(device) for device in executor.devices},
        rung=executor.rung,
        reasons=tuple(reason.value for reason in executor.reasons),
        fallbacks=executor.fallbacks,
        hedges=executor.hedges,
        backlog=store.backlog,
        oldest_unsent_age_s=store.oldest_unsent_age_s,
        store=store.state,
        shed_changes=store.shed_updates + store.shed_others,
        untold_changes=store.removed_untold,
        refused_changes=store.refused,
        disk=figures.space.level.value,
        disk_free_bytes=figures.space.free_bytes,
        reconnects=0 if publisher is None else publisher.reconnects,
        temperature_c=executor.pressure.temperature_c,
        under_voltage=executor.pressure.under_voltage,
        throttled=executor.pressure.throttled,
        metrics_trouble=figures.metrics_trouble,
    )


class Standing:
    """Whether less is done than was asked for, and since when. Belongs to one thread."""

    def __init__(self) -> None:
        self._told: FallbackStatus | None = None

    def fallback(self, executor: ExecutorStats, wall_ns: int) -> FallbackStatus:
        """Return what the `fallback` topic tells now; the same until something changes.

        Args:
            executor: The devices that networks run on.
            wall_ns: Wall time, nanoseconds since 1970.
        """
        now = _fallback(executor, seconds(wall_ns))
        if self._told is None or replace(now, since=self._told.since) != self._told:
            is_same_state = self._told is not None and self._told.active == now.active
            since = self._told.since if self._told is not None and is_same_state else now.since
            self._told = replace(now, since=since)
        return self._told


def _fallback(executor: ExecutorStats, since: float) -> FallbackStatus:
    lost = [
        device
        for device in executor.devices
        if device.kind is DeviceKind.EDGETPU
        and device.condition is Condition.BROKEN
        and device.finding is not None
    ]
    return FallbackStatus(
        active=bool(executor.reasons),
        reasons=tuple(reason.value for reason in executor.reasons),
        device=executor.in_use,
        rung=executor.rung,
        lost={device.name: str(device.finding) for device in lost},
        since=since,
        count=executor.fallbacks,
    )


def _network_device(device: DeviceStats) -> NetworkDevice:
    finding = device.finding
    return NetworkDevice(
        kind=device.kind.value,
        condition=device.condition.value,
        answers=device.answers,
        failures=device.failures,
        finding="" if finding is None else finding.kind.value,
        problem="" if finding is None else str(finding),
        temperature_c=device.temperature_c,
        service_ms=device.service_ms,
    )


def _camera_status(figures: CameraFigures) -> CameraStatus:
    source, watch, recording = figures.source, figures.watch, figures.recording
    return CameraStatus(
        state=source.state,
        fps=source.fps,
        looked_at_fps=watch.looked_at_fps,
        captured=watch.counts.captured,
        looked_at=watch.counts.looked_at,
        shed=watch.counts.shed,
        latency_p50_ms=watch.latency_p50_ms,
        latency_p95_ms=watch.latency_p95_ms,
        under_way=watch.counts.under_way,
        blind_s=watch.blind_s,
        recording=recording.state,
        films=recording.films,
        film_bytes=recording.size_bytes,
        failed_films=recording.failed,
    )
