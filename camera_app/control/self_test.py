"""What a self-test finds, from the figures of every part. Pure.

It looks at what the parts say of themselves; it starts nothing and disturbs nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from camera_app.clock import nanoseconds
from camera_app.health import CameraFigures, DeviceFigures
from camera_app.scheduling import Condition

SELF_TEST_SCHEMA = 1
# A camera that detects looks at a whole frame at least every few seconds; longer is wrong.
UNSEEN_LIMIT_S = 60.0
FREE_LIMIT_BYTES = 100_000_000


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the figures do not tell.

    Attributes:
        now_ns: Monotonic time.
        free_bytes: Space left where the data folder lies.
        closed: Cameras that the owner has closed.
        paused: Cameras at whose pictures nothing is to look.
    """

    now_ns: int
    free_bytes: int
    closed: frozenset[str] = field(default_factory=frozenset)
    paused: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What a self-test found, as told on its topic.

    Attributes:
        passed: Nothing is wrong.
        findings: What is, a sentence each.
        at: When, UTC.
    """

    passed: bool
    findings: tuple[str, ...]
    at: str


def self_test(figures: DeviceFigures, around: Circumstances, at: str) -> SelfTest:
    """Return what is wrong just now.

    Args:
        figures: Of every part.
        around: What else is to be known.
        at: The time, UTC.
    """
    findings = (
        *_of_cameras(figures, around),
        *_of_devices(figures),
        *_of_store(figures, around),
    )
    return SelfTest(not findings, findings, at)


def self_test_message(result: SelfTest) -> bytes:
    """Return what stands on the `self_test` topic."""
    plain = {
        "schema": SELF_TEST_SCHEMA,
        "passed": result.passed,
        "findings": list(result.findings),
        "at": result.at,
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()


def _of_cameras(figures: DeviceFigures, around: Circumstances) -> Iterator[str]:
    for name, camera in figures.cameras.items():
        if name in around.closed:
            continue
        if not camera.source.is_delivering:
            yield f"camera {name} brings no pictures: {camera.source.state}"
        elif name not in around.paused and _is_unseen(camera, around.now_ns):
            yield f"nothing has looked at camera {name} for {UNSEEN_LIMIT_S:.0f} s"


def _is_unseen(camera: CameraFigures, now_ns: int) -> bool:
    """Say whether pictures come and no network has seen one for long."""
    if camera.watch.last_look_ns is None:
        return camera.watch.counts.captured > 0 and camera.watch.blind_s > UNSEEN_LIMIT_S
    return now_ns - camera.watch.last_look_ns > nanoseconds(UNSEEN_LIMIT_S)


def _of_devices(figures: DeviceFigures) -> Iterator[str]:
    for device in figures.executor.devices:
        if device.condition is Condition.BROKEN:
            problem = "it is not in use" if device.finding is None else str(device.finding)
            yield f"device {device.name}: {problem}"


def _of_store(figures: DeviceFigures, around: Circumstances) -> Iterator[str]:
    if figures.store.state != "open":
        yield f"the event store is {figures.store.state}: {figures.store.trouble}"
    if around.free_bytes < FREE_LIMIT_BYTES:
        yield f"only {around.free_bytes // 1_000_000} MB are left where events are kept"
