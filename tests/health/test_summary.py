"""The line that an owner reads in `systemctl status`."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camera_app.health import CameraFigures, DeviceFigures, Hang, summary_of
from camera_app.media import Space, SpaceLevel
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats
from tests.health.figures import SOURCE, WATCH, WELL

CPU = DeviceStats("cpu", DeviceKind.CPU, Condition.HEALTHY)
STICK = DeviceStats("usb:1-1", DeviceKind.EDGETPU, Condition.HEALTHY)
SEES = CameraFigures(SOURCE, WATCH)
GONE = CameraFigures(replace(SOURCE, is_delivering=False, state="lost: unplugged"), WATCH)
PRIVATE = CameraFigures(replace(SOURCE, is_delivering=False), replace(WATCH, paused="privacy"))


def having(**cameras: CameraFigures) -> DeviceFigures:
    return replace(WELL, cameras=cameras)


def with_sticks(*sticks: DeviceStats) -> DeviceFigures:
    three = having(a=SEES, b=SEES, c=SEES)
    return replace(three, executor=ExecutorStats(devices=(CPU, *sticks)))


def untold(figures: DeviceFigures, backlog: int) -> DeviceFigures:
    return replace(figures, store=replace(figures.store, backlog=backlog))


def no_broker(figures: DeviceFigures) -> DeviceFigures:
    assert figures.publisher is not None
    publisher = replace(figures.publisher, state="unreachable", is_connected=False)
    return replace(figures, publisher=publisher)


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        (WELL, "Watching 1 camera with the processor"),
        (
            untold(with_sticks(STICK), 2),
            "Watching 3 cameras with the Edge TPU; 2 events waiting for the broker",
        ),
        (with_sticks(STICK, STICK), "Watching 3 cameras with 2 Edge TPUs"),
        (
            with_sticks(replace(STICK, condition=Condition.BROKEN)),
            "Watching 3 cameras with the processor",
        ),
        (
            having(front=SEES, garden=GONE),
            "Watching 1 of 2 cameras with the processor; garden: lost: unplugged",
        ),
        (
            having(front=PRIVATE),
            "Watching 0 of 1 cameras with the processor; front: switched off (privacy)",
        ),
        (having(), "No camera is switched on"),
        (
            no_broker(untold(WELL, 1)),
            "Watching 1 camera with the processor; "
            "the broker is not connected, 1 event waiting for the broker",
        ),
        (no_broker(WELL), "Watching 1 camera with the processor; the broker is not connected"),
        (replace(untold(WELL, 5), publisher=None), "Watching 1 camera with the processor"),
        (
            replace(WELL, store=replace(WELL.store, state="full", waiting=4)),
            "Watching 1 camera with the processor; the disk takes nothing, 4 events kept in memory",
        ),
        (
            replace(WELL, store=replace(WELL.store, state="corrupt")),
            "Watching 1 camera with the processor; the event database is damaged",
        ),
        (
            replace(WELL, space=Space(SpaceLevel.FULL)),
            "Watching 1 camera with the processor; the disk is full",
        ),
        (
            replace(no_broker(WELL), metrics_trouble="nothing can listen on [::1]:9477: no"),
            "Watching 1 camera with the processor; the broker is not connected; "
            "no metrics: nothing can listen on [::1]:9477: no",
        ),
    ],
)
def test_the_line_says_what_is_watched_and_what_is_amiss(
    figures: DeviceFigures, expected: str
) -> None:
    assert summary_of(figures) == expected


def test_what_hangs_is_said_first() -> None:
    line = summary_of(having(garden=GONE), [Hang("thread camera-app store", 61.2)])
    assert line == (
        "Watching 0 of 1 cameras with the processor; "
        "HANGS: thread camera-app store: nothing for 61 s; garden: lost: unplugged"
    )


def test_a_source_with_much_to_say_is_cut() -> None:
    talks = CameraFigures(replace(GONE.source, state="x" * 5000), WATCH)
    assert len(summary_of(having(garden=talks))) < 200
