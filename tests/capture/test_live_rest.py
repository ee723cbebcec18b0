"""A live source whose camera rests: real children that look for motion, and hold back the rest."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_app.capture import Doorway, GateMeans, LiveSource
from camera_app.capture.backoff import BackOff
from camera_app.clock import NS_PER_S, SystemClock
from camera_app.config import CameraSettings
from camera_app.values import Frame
from tests.waiting import wait_until

LIMIT_S = 30.0
GATE = GateMeans(threshold=12, min_area_share=0.0005, background_s=10.0)
FPS = 20
CLOCK = SystemClock()


class Rested:
    """A live source, and a door whose camera rests or does not, as it is told."""

    def __init__(self, source: str) -> None:
        self.door = Doorway()
        self.passed: list[Frame] = []
        self.held_back = 0
        self.door.attend(self._pass_by, self._note_still)
        settings = CameraSettings.model_validate({"source": source, "fps": FPS})
        back_off = BackOff(random=lambda: 0.01)
        self.source = LiveSource("front", settings, CLOCK, self.door, back_off=back_off)

    def _pass_by(self, frame: Frame) -> None:
        self.passed.append(frame)

    def _note_still(self, frames: int) -> None:
        self.held_back += frames

    def frame(self) -> Frame:
        frame = self.door.take(LIMIT_S)
        assert frame is not None, self.source.stats().state
        return frame

    def frame_that(self, holds: Callable[[Frame], bool]) -> Frame:
        for _ in range(1000):
            frame = self.frame()
            if holds(frame):
                return frame
        raise AssertionError("no such frame came")

    def rest(self, for_s: float = 3600.0) -> None:
        """Rest as soon as nothing moves."""
        while not self.door._rest.until_ns:
            self.frame_that(lambda frame: frame.motion is not None and not frame.motion.boxes)
            self.door.rest_until(CLOCK.monotonic_ns() + round(for_s * NS_PER_S))


@pytest.fixture
def rested() -> Iterator[Callable[..., Rested]]:
    started: list[Rested] = []

    def start(source: str, gate: GateMeans | None = GATE) -> Rested:
        one = Rested(source)
        started.append(one)
        one.source.deliver_to(one.door, gate)
        one.source.start()
        return one

    yield start
    for one in started:
        one.source.stop()


@pytest.fixture
def still(make_clip: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a source in which nothing ever moves, twenty pictures a second."""
    monkeypatch.setattr("tests.capture.conftest.luma_of", lambda _: 90)
    clip = make_clip("still.mp4", stamps_ms=tuple(range(0, 2000, 1000 // FPS)), size=(320, 240))
    return f"{clip}?loop=1"


def test_what_is_still_stays_in_the_child_while_the_camera_rests(
    rested: Callable[..., Rested], still: str
) -> None:
    one = rested(still)
    one.rest()
    assert wait_until(lambda: one.held_back >= 40)
    assert one.door.take(0.0) is None
    stats = one.source.stats()
    assert (stats.lost, stats.dropped.get("no_slot", 0)) == ({}, 0)
    # All are counted, those in the child too, and two or three a second came by nevertheless.
    assert one.held_back > 4 * len(one.passed) > 0
    numbers = [frame.sequence for frame in one.passed]
    assert numbers == sorted(set(numbers))
    assert stats.frames >= one.held_back + len(one.passed)
    stamps_ns = [frame.captured_ns for frame in one.passed]
    per_s = (numbers[-1] - numbers[0]) * NS_PER_S / (stamps_ns[-1] - stamps_ns[0])
    assert stats.fps == pytest.approx(per_s, rel=0.25)


def test_a_camera_that_rests_no_longer_gets_every_frame(
    rested: Callable[..., Rested], still: str
) -> None:
    one = rested(still)
    one.rest()
    assert wait_until(lambda: one.held_back >= 10)
    one.door.rest_until(0)
    in_a_row = 0
    before = one.frame()
    for _ in range(1000):
        frame = one.frame()
        in_a_row = in_a_row + 1 if frame.sequence == before.sequence + 1 else 0
        before = frame
        if in_a_row == 20:
            break
    assert in_a_row == 20


def test_what_moves_ends_the_rest_at_once(rested: Callable[..., Rested]) -> None:
    """A ball crosses the scene all the time."""
    one = rested("synthetic:?width=320&height=240&fps=20")
    one.frame_that(lambda frame: frame.motion is not None)
    one.door.rest_until(CLOCK.monotonic_ns() + 3600 * NS_PER_S)
    moving = one.frame()
    assert moving.motion is not None
    assert moving.motion.boxes
    assert one.door._rest.until_ns == 0


def test_a_camera_that_looks_at_nothing_is_brought_two_frames_a_second_of_what_moves(
    rested: Callable[..., Rested],
) -> None:
    """A ball crosses the scene all the time; and the child does not even look for it."""
    one = rested("synthetic:?width=320&height=240&fps=20")
    one.frame_that(lambda frame: frame.motion is not None)
    one.door.discard()
    one.door.rest_until(1 << 62, whatever_moves=True)
    assert wait_until(lambda: one.held_back >= 40)
    assert one.held_back > 4 * len(one.passed) > 0
    assert one.passed[-1].motion is None
    one.door.rest_until(0)
    moving = one.frame_that(lambda frame: frame.motion is not None)
    assert moving.motion is not None
    assert moving.motion.boxes


def test_a_new_child_looks_for_motion_and_knows_of_no_rest(
    rested: Callable[..., Rested], still: str
) -> None:
    one = rested(still)
    one.rest()
    assert wait_until(lambda: one.held_back >= 10)
    child = one.source._child
    assert child is not None
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    # Its first picture is all new to it, which ends the rest of the camera.
    assert wait_until(lambda: one.door._rest.until_ns == 0)
    one.rest()
    held_back = one.held_back
    assert wait_until(lambda: one.held_back >= held_back + 10)


def test_whoever_takes_over_is_asked_whether_they_rest_and_nobody_else(
    rested: Callable[..., Rested], still: str
) -> None:
    one = rested(still)
    one.rest()
    assert wait_until(lambda: one.held_back >= 10)
    before, one.door = one.door, Doorway()
    seen = threading.Event()
    one.door.attend(lambda _: None, lambda _: seen.set())
    one.source.deliver_to(one.door, GATE)
    one.frame()
    before.rest_until(0)
    before.rest_until(CLOCK.monotonic_ns() + 3600 * NS_PER_S)
    one.frame()
    seen.clear()
    for _ in range(20):
        one.frame()
    assert not seen.is_set()


def test_the_gate_sees_no_more_than_the_camera_may(
    rested: Callable[..., Rested], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moves behind a privacy mask does not move."""
    whole = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
    one = Rested("synthetic:?width=320&height=240&fps=20")
    masked = CameraSettings.model_validate(
        {"source": "synthetic:?width=320&height=240&fps=20", "privacy_masks": [{"polygon": whole}]}
    )
    one.source = LiveSource("front", masked, CLOCK, one.door)
    one.source.deliver_to(one.door, GATE)
    one.source.start()
    try:
        one.rest()
        assert wait_until(lambda: one.held_back >= 20)
        assert np.ptp(one.passed[-1].picture.luma) == 0
    finally:
        one.source.stop()
