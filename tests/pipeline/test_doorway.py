"""At the door of a camera at rest, what is still is turned away, and nothing else."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from camera_app.capture import Motion
from camera_app.pipeline import Doorway
from camera_app.threads import Closed
from camera_app.values import Box, Frame, Yuv420

LIMIT_S = 10.0
LUMA = np.zeros((48, 64), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
SOMETHING = Motion((Box(0, 0, 8, 8),), 0.1)


def frame(number: int) -> Frame:
    """Return a frame that was captured at `number`."""
    return Frame("front", number, number, PICTURE)


class Glances:
    """Glances at frames; those that move are named beforehand."""

    def __init__(self, *moving: int) -> None:
        self.seen: list[int] = []
        self.moving = moving

    def __call__(self, frame: Frame) -> Motion | None:
        self.seen.append(frame.captured_ns)
        return SOMETHING if frame.captured_ns in self.moving else None


@pytest.fixture
def door() -> Doorway:
    return Doorway()


def test_a_camera_that_does_not_rest_gets_its_newest_frame_without_a_glance(door: Doorway) -> None:
    glances = Glances()
    door.glance_with(glances)
    door.put(frame(1))
    door.put(frame(2))
    arrival = door.take(0.0)
    assert arrival is not None
    assert (arrival.frame.captured_ns, arrival.motion, door.replaced) == (2, None, 1)
    assert glances.seen == []


def test_what_is_still_wakes_nobody_who_rests(door: Doorway) -> None:
    glances = Glances()
    door.glance_with(glances)
    door.rest_until(100)
    for number in (1, 2, 3):
        door.put(frame(number))
    assert door.peek() is None
    assert door.take(0.0) is None
    assert (glances.seen, door.replaced) == ([1, 2, 3], 0)


def test_what_moves_ends_the_rest_and_is_not_looked_for_twice(door: Doorway) -> None:
    glances = Glances(2)
    door.glance_with(glances)
    door.rest_until(100)
    for number in (1, 2, 3):
        door.put(frame(number))
    arrival = door.take(0.0)
    assert arrival is not None  # the third took the place of the second, unread as that was
    assert (arrival.frame.captured_ns, arrival.motion, door.replaced) == (3, None, 1)
    door.rest_until(100)
    glances.moving = (4,)
    door.put(frame(4))
    arrival = door.take(0.0)
    assert arrival is not None
    assert (arrival.frame.captured_ns, arrival.motion) == (4, SOMETHING)
    assert glances.seen == [1, 2, 4]


def test_a_rest_ends_with_its_time(door: Doorway) -> None:
    glances = Glances()
    door.glance_with(glances)
    door.rest_until(5)
    door.put(frame(5))
    door.put(frame(6))
    assert door.take(0.0) is not None
    assert glances.seen == []


def test_nobody_rests_while_a_frame_waits(door: Doorway) -> None:
    door.glance_with(Glances())
    door.put(frame(1))
    door.rest_until(100)
    door.put(frame(2))
    arrival = door.take(0.0)
    assert arrival is not None
    assert arrival.frame.captured_ns == 2


def test_a_glance_that_fails_lets_the_frame_in(door: Doorway) -> None:
    def fail(_frame: Frame) -> Motion | None:
        raise ZeroDivisionError

    door.glance_with(fail)
    door.rest_until(100)
    door.put(frame(1))
    arrival = door.take(0.0)
    assert arrival is not None
    assert arrival.motion is None


def test_whoever_ends_the_rest_waits_for_a_glance_that_is_under_way(door: Doorway) -> None:
    begun, may_end, over = threading.Event(), threading.Event(), threading.Event()

    def slow(_frame: Frame) -> Motion | None:
        begun.set()
        assert may_end.wait(LIMIT_S)
        return None

    def end_rest() -> None:
        door.rest_until(0)
        over.set()

    door.glance_with(slow)
    door.rest_until(100)
    threads = [threading.Thread(target=door.put, args=(frame(1),))]
    threads[0].start()
    assert begun.wait(LIMIT_S)
    threads.append(threading.Thread(target=end_rest))
    threads[1].start()
    assert not over.wait(0.05)
    may_end.set()
    assert over.wait(LIMIT_S)
    for thread in threads:
        thread.join(LIMIT_S)


def test_a_closed_door_wakes_whoever_waits(door: Doorway) -> None:
    door.close()
    with pytest.raises(Closed):
        door.take(LIMIT_S)
