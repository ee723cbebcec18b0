"""Live sources as tests watch them: what each delivers, and whether it can see."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from camera_app.capture import LiveSource
from camera_app.capture.backoff import BackOff
from camera_app.clock import SystemClock
from camera_app.config import CameraSettings
from camera_app.threads import LatestBox
from camera_app.values import Frame

LIMIT_S = 60.0  # cores that others keep busy; nothing here takes as long alone


class _HasSource(Protocol):
    source: LiveSource


Kind = TypeVar("Kind", bound=_HasSource)


class Watched:
    """A live source under test, with everything that it tells."""

    def __init__(
        self,
        source: str,
        box: LatestBox[Frame] | None = None,
        back_off: BackOff | None = None,
        **settings: object,
    ) -> None:
        self.box = box or LatestBox()
        self.changes: queue.Queue[bool] = queue.Queue()
        checked = CameraSettings.model_validate({"source": source, "fps": 50, **settings})
        self.source = LiveSource(
            "front",
            checked,
            SystemClock(),
            self.box,
            on_change=self.changes.put,
            back_off=back_off or BackOff(random=lambda: 1.0, first_s=0.1, cap_s=0.3),
        )

    def frame(self) -> Frame:
        frame = self.box.take(LIMIT_S)
        assert frame is not None, f"no frame came: {self.source.stats().state}"
        return frame

    def changed(self) -> bool:
        return self.changes.get(timeout=LIMIT_S)


@contextmanager
def starting(make: Callable[..., Kind]) -> Iterator[Callable[..., Kind]]:
    """Give a function that makes and starts one; all are stopped in the end."""
    started: list[Kind] = []

    def start(source: str, **settings: object) -> Kind:
        one = make(source, **settings)
        started.append(one)
        one.source.start()
        return one

    try:
        yield start
    finally:
        for one in started:
            one.source.stop()


def child_pid_of(source: LiveSource) -> int:
    """Return the id of the process that reads a source now."""
    child = source._child
    assert child is not None
    assert child.pid is not None
    return child.pid
