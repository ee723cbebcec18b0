"""Figures of a camera that is well, for tests that make one thing wrong."""

from __future__ import annotations

from camera_app.capture import SourceStats
from camera_app.clock import nanoseconds
from camera_app.health import CameraFigures, DeviceFigures
from camera_app.pipeline import CameraStats
from camera_app.publish import PublisherStats
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats
from camera_app.store import StoreStats
from camera_app.values import FrameCounts

NOW_NS = nanoseconds(1000)
SOURCE = SourceStats(is_delivering=True, state="delivering")
WATCH = CameraStats(FrameCounts(captured=9, looked_at=9), 0, 5.0, 1.0, 2.0, NOW_NS)
PUBLISHER = PublisherStats("connected", True, "5", 0, 0, 0, 0, 0, 1, 0, "", "")
WELL = DeviceFigures(
    version="1",
    uptime_ns=NOW_NS,
    cameras={"front": CameraFigures(SOURCE, WATCH)},
    executor=ExecutorStats(devices=(DeviceStats("cpu", DeviceKind.CPU, Condition.HEALTHY),)),
    store=StoreStats(state="open"),
    publisher=PUBLISHER,
)
