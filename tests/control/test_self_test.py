"""What a self-test finds: one figure wrong at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from camera_app.capture import SourceStats
from camera_app.clock import nanoseconds
from camera_app.control.self_test import UNSEEN_LIMIT_S, Circumstances, self_test
from camera_app.health import CameraFigures, DeviceFigures
from camera_app.pipeline import CameraStats
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats
from camera_app.store import StoreStats
from camera_app.values import FrameCounts

NOW_NS = nanoseconds(1000)
SOURCE = SourceStats(is_delivering=True, state="delivering")
WATCH = CameraStats(FrameCounts(captured=9), 0, 5.0, 1.0, 2.0, NOW_NS)
CPU = DeviceStats("cpu", DeviceKind.CPU, Condition.HEALTHY)
WELL = DeviceFigures(
    version="1",
    uptime_ns=NOW_NS,
    cameras={"front": CameraFigures(SOURCE, WATCH)},
    executor=ExecutorStats(devices=(CPU,)),
    store=StoreStats(state="open"),
    publisher=None,
)
AROUND = Circumstances(now_ns=NOW_NS, free_bytes=10**9)


def findings(figures: DeviceFigures, around: Circumstances = AROUND) -> tuple[str, ...]:
    result = self_test(figures, around, "2025-01-01T00:00:00.000Z")
    assert result.passed is not bool(result.findings)
    return result.findings


def front(source: SourceStats = SOURCE, **watch: Any) -> DeviceFigures:
    return replace(WELL, cameras={"front": CameraFigures(source, replace(WATCH, **watch))})


def test_all_is_well() -> None:
    assert findings(WELL) == ()


BLIND = SourceStats(is_delivering=False, state="stalled")
UNSEEN = {"last_look_ns": NOW_NS - nanoseconds(UNSEEN_LIMIT_S + 1)}


@pytest.mark.parametrize(
    ("figures", "around", "text"),
    [
        (front(BLIND), AROUND, "camera front brings no pictures: stalled"),
        (front(**UNSEEN), AROUND, "nothing has looked at camera front"),
        (front(last_look_ns=None, blind_s=61.0), AROUND, "nothing has looked at camera front"),
        (
            replace(
                WELL, executor=ExecutorStats(devices=(replace(CPU, condition=Condition.BROKEN),))
            ),
            AROUND,
            "device cpu",
        ),
        (replace(WELL, store=StoreStats(state="full", trouble="x")), AROUND, "store is full: x"),
        (WELL, replace(AROUND, free_bytes=5_000_000), "only 5 MB are left"),
    ],
)
def test_what_is_wrong_is_found(figures: DeviceFigures, around: Circumstances, text: str) -> None:
    (finding,) = findings(figures, around)
    assert text in finding


@pytest.mark.parametrize(
    ("figures", "around"),
    [
        (front(BLIND), replace(AROUND, closed=frozenset({"front"}))),
        (front(**UNSEEN), replace(AROUND, paused=frozenset({"front"}))),
        (front(last_look_ns=None, blind_s=1.0), AROUND),
    ],
)
def test_what_the_owner_wanted_so_is_not_wrong(
    figures: DeviceFigures, around: Circumstances
) -> None:
    assert findings(figures, around) == ()
