"""A camera's picture, now and then, to whoever listens."""

from __future__ import annotations

import numpy as np

from camera_app.control import LiveView, Shown
from camera_app.publish import Notice
from camera_app.values import Frame, Yuv420

CHROMA = np.full((24, 32), 128, np.uint8)


def frame(number: int) -> Frame:
    luma = np.full((48, 64), 100, np.uint8)
    return Frame("front", number, number, Yuv420(luma, CHROMA, CHROMA))


class Rig:
    def __init__(self) -> None:
        self.newest: Frame | None = None
        self.is_heard = True
        self.said: list[Notice] = []
        shown = {"front": Shown("base/front/live", lambda: self.newest, 80)}
        self.view = LiveView(lambda: shown, self.said.append, lambda: self.is_heard, 1.0)
        self.view.stopping.set()  # so that a round does not wait

    def turns(self, count: int = 1) -> int:
        """Let the thread go round; return how many pictures were sent so far."""
        for _ in range(count):
            self.view.run_once()
        return len(self.said)


def test_each_new_frame_is_sent_once_and_kept_nowhere() -> None:
    rig = Rig()
    assert rig.turns() == 0
    rig.newest = frame(1)
    assert rig.turns(3) == 1
    rig.newest = frame(2)
    assert rig.turns() == 2
    assert {(n.topic, n.is_retained, n.qos) for n in rig.said} == {("base/front/live", False, 0)}
    assert rig.said[0].payload.startswith(b"\xff\xd8\xff")


def test_nothing_is_made_for_nobody() -> None:
    rig = Rig()
    rig.newest, rig.is_heard = frame(1), False
    assert rig.turns(3) == 0
    rig.is_heard = True
    assert rig.turns() == 1


def test_a_closed_camera_shows_nothing_and_an_opened_one_anew() -> None:
    rig = Rig()
    rig.newest = frame(1)
    rig.turns()
    rig.newest = None
    assert rig.turns(3) == 1
    rig.newest = frame(2)
    assert rig.turns() == 2
