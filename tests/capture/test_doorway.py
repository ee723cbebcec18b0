"""At the door of a camera at rest, what is still passes by, and nothing else."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from camera_app.capture import Doorway
from camera_app.capture.doorway import Rest
from camera_app.threads import Closed
from camera_app.values import Box, Frame, Motion, Yuv420

LIMIT_S = 10.0
LUMA = np.zeros((48, 64), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
STILL = Motion((), 0.0)
MOVING = Motion((Box(0, 0, 8, 8),), 0.1)


class Door:
    """A doorway, and what passed it by."""

    def __init__(self) -> None:
        self.frames = Doorway()
        self.passed: list[int] = []
        self.told: list[Rest] = []
        self.frames.attend(lambda frame: self.passed.append(frame.captured_ns), self._note)
        self.frames.tell_rest_to(self.told.append)
        self.still = 0

    def _note(self, frames: int) -> None:
        self.still += frames

    def put(self, number: int, motion: Motion | None = STILL) -> None:
        """Offer a frame that was captured at `number`."""
        self.frames.put(Frame("front", number, number, PICTURE, motion))

    def take(self) -> int | None:
        frame = self.frames.take(0.0)
        return None if frame is None else frame.captured_ns


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_camera_that_does_not_rest_gets_its_newest_frame(door: Door) -> None:
    door.put(1)
    door.put(2)
    assert (door.take(), door.frames.replaced, door.passed) == (2, 1, [])


def test_what_is_still_wakes_nobody_who_rests(door: Door) -> None:
    door.frames.rest_until(100)
    for number in (1, 2, 3):
        door.put(number)
    assert (door.take(), door.passed, door.frames.replaced) == (None, [1, 2, 3], 0)
    door.frames.note_still(5)
    assert door.still == 5


@pytest.mark.parametrize("motion", [MOVING, None], ids=["it moves", "nobody has looked"])
def test_anything_else_ends_the_rest(door: Door, motion: Motion | None) -> None:
    door.frames.rest_until(100)
    door.put(1)
    door.put(2, motion)
    door.put(3)
    assert (door.take(), door.passed) == (3, [1])  # the third took the place of the second


def test_a_rest_ends_with_its_time(door: Door) -> None:
    door.frames.rest_until(5)
    door.put(5)
    assert door.take() == 5
    door.put(4)
    assert door.take() == 4


def test_nobody_rests_while_a_frame_waits(door: Door) -> None:
    door.put(1)
    door.frames.rest_until(100)
    door.put(2)
    assert (door.take(), door.passed) == (2, [])


def test_the_source_is_told_of_each_change_and_of_nothing_else(door: Door) -> None:
    door.frames.rest_until(0)
    door.frames.rest_until(100)
    door.frames.rest_until(100)
    door.put(1)
    door.put(2, MOVING)
    door.put(3, MOVING)
    door.take()
    door.frames.rest_until(200)
    door.frames.rest_until(0)
    assert door.told == [Rest(100), Rest(), Rest(200), Rest()]


def test_a_camera_that_looks_at_nothing_is_woken_by_nothing(door: Door) -> None:
    door.frames.rest_until(100, whatever_moves=True)
    for number, motion in enumerate([STILL, MOVING, None, MOVING], start=1):
        door.put(number, motion)
    assert (door.take(), door.passed) == (None, [1, 2, 3, 4])
    door.put(100, MOVING)
    assert door.take() == 100
    assert door.told == [Rest(100, whatever_moves=True), Rest()]


def test_whoever_ends_the_rest_waits_for_a_frame_that_is_passing(door: Door) -> None:
    begun, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def slow(_frame: Frame) -> None:
        begun.set()
        assert may_end.wait(LIMIT_S)

    def end_rest() -> None:
        door.frames.rest_until(0)
        over.set()

    door.frames.attend(slow, lambda _: None)
    door.frames.rest_until(100)
    threads = [threading.Thread(target=door.put, args=(1,))]
    threads[0].start()
    assert begun.wait(LIMIT_S)
    threads.append(threading.Thread(target=end_rest))
    threads[1].start()
    assert not over.wait(0.05)
    may_end.set()
    assert over.wait(LIMIT_S)
    for thread in threads:
        thread.join(LIMIT_S)


def test_a_closed_door_wakes_whoever_waits(door: Door) -> None:
    door.frames.close()
    with pytest.raises(Closed):
        door.frames.take(LIMIT_S)
