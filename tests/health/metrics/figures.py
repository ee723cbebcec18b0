"""Figures as a service would give them, for tests of what is told of them."""

from __future__ import annotations

from dataclasses import replace

from camera_app.capture import SourceStats
from camera_app.health import CameraFigures, DeviceFigures
from camera_app.health.metrics.catalogue import Scrape
from camera_app.health.metrics.process import ProcessFigures
from camera_app.health.readiness import readiness_of
from camera_app.histogram import Distribution
from camera_app.logs import LogCounts
from camera_app.media import RecordingStats, SnapshotStats, Space
from camera_app.pipeline import CameraStats, FrameTimes, Step
from camera_app.publish import PublisherStats
from camera_app.scheduling import (
    Condition,
    DeviceKind,
    DeviceStats,
    ExecutorStats,
    LookStep,
    Pressure,
    Reason,
    ShedCause,
)
from camera_app.store import StoreStats
from camera_app.values import FrameCounts

SPREAD = Distribution((0.01, 0.1), (3, 4, 2), 1.5)

CAMERA = CameraFigures(
    SourceStats(
        frames=100,
        fps=10.0,
        is_delivering=True,
        restarts=2,
        lost={"stalled": 1, "crashed": 1},
        dropped={"thinned": 7},
        state="delivering",
    ),
    CameraStats(
        counts=FrameCounts(100, 60, {"still": 30, "busy": 9}, 1),
        open_events=2,
        looked_at_fps=6.0,
        latency_p50_ms=20.0,
        latency_p95_ms=40.0,
        last_look_ns=1_000_000_000,
        blind_s=3.5,
        times=FrameTimes(dict.fromkeys(Step, SPREAD), SPREAD),
    ),
    RecordingStats("filming", 3, 9000, 1, 2, 70_000),
    SnapshotStats(5, 1, 12_345),
)
PUBLISHER = PublisherStats(
    state="connected",
    is_connected=True,
    protocol="5",
    sent=12,
    acknowledged=10,
    refused=1,
    given_up=1,
    in_flight=2,
    connects=3,
    reconnects=2,
    last_error="",
    warning="",
    lag=SPREAD,
)
FIGURES = DeviceFigures(
    version="1.2.3",
    uptime_ns=90_000_000_000,
    cameras={"front": CAMERA, "back": CAMERA},
    executor=ExecutorStats(
        devices=(
            DeviceStats(
                "cpu",
                DeviceKind.CPU,
                Condition.HEALTHY,
                answers=60,
                times=dict.fromkeys(LookStep, SPREAD),
            ),
            DeviceStats(
                "usb:1-1",
                DeviceKind.EDGETPU,
                Condition.SUSPECT,
                answers=20,
                failures=1,
                temperature_c=61.5,
                times=dict.fromkeys(LookStep, SPREAD),
                openings=4,
            ),
            DeviceStats("usb:1-2", DeviceKind.EDGETPU, Condition.BROKEN),
        ),
        rung=1,
        reasons=(Reason.HEAT,),
        sheds={ShedCause.LATE: 3},
        hedges=2,
        fallbacks=1,
        pressure=Pressure(71.0, throttled=True, cpu_busy_share=0.25),
        queue=SPREAD,
    ),
    store=StoreStats(
        state="open",
        changes=40,
        backlog=4,
        oldest_unsent_age_s=12.0,
        waiting=1,
        committed=41,
        shed_updates=1,
        shed_others=2,
        removed=5,
        removed_untold=6,
        refused=7,
        size_bytes=4096,
        commits=SPREAD,
        written_bytes=8192,
    ),
    publisher=PUBLISHER,
    space=Space(free_bytes=10**9),
)
PROCESSES = (
    ProcessFigures("service", 1000, 1.5, 9, 20, 1.7e9, 4096, 5000),
    ProcessFigures("cam-front", None, 0.5, 2, None, 1.7e9, None, None),
)


def scrape(figures: DeviceFigures = FIGURES) -> Scrape:
    return Scrape(
        figures=figures,
        readiness=readiness_of(figures, 2_000_000_000),
        processes=PROCESSES,
        log=LogCounts({"info": 3, "error": 1}, 132),
        now_ns=2_000_000_000,
        wall_s=1.7e9,
    )


def without_broker() -> DeviceFigures:
    return replace(FIGURES, publisher=None)
