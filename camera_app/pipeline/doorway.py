"""The doorway to a camera's thread: in a still scene that thread is not woken for each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from camera_app.capture import Motion
from camera_app.threads import LatestBox
from camera_app.values import Frame

Glance = Callable[[Frame], Motion | None]


class Arrival(NamedTuple):
    """A frame that was let in.

    Attributes:
        frame: The frame.
        motion: What moves in it, if that was looked for at the door.
    """

    frame: Frame
    motion: Motion | None = None


class Doorway:
    """Hands the newest frame from a source's thread to a camera's, as a `LatestBox` does.

    A camera that has nothing to do but to wait for something that moves says so with `rest_until`.
    From then on each frame is glanced at on the source's thread, and turned away if it is still:
    to wake another thread ten times a second costs more than the glance. The first one that is not
    still ends the rest; so does the end of its time.
    """

    def __init__(self) -> None:
        self._box: LatestBox[Arrival] = LatestBox()
        self._guard = threading.Lock()  # guards the two below, and is held during a glance
        self._glance: Glance | None = None
        self._rests_until_ns = 0

    @property
    def replaced(self) -> int:
        """Unread frames that newer ones took the place of."""
        return self._box.replaced

    def glance_with(self, glance: Glance) -> None:
        """Set who says what moves in a frame; None: it is still, and has been counted."""
        with self._guard:
            self._glance = glance

    def put(self, frame: Frame) -> None:
        """Offer a frame; never waits for the camera."""
        with self._guard:
            motion = None
            if frame.captured_ns < self._rests_until_ns and self._glance is not None:
                try:
                    motion = self._glance(frame)
                except Exception:
                    motion = None
                else:
                    if motion is None:
                        return
            self._rests_until_ns = 0
            self._box.put(Arrival(frame, motion))

    def rest_until(self, until_ns: int) -> None:
        """Turn away what is still and was captured before that; 0: nothing.

        By the camera's thread, which until its next frame leaves to `glance` what that uses. When
        this returns with 0 no glance is under way.
        """
        with self._guard:
            self._rests_until_ns = 0 if self._box.peek() is not None else until_ns

    def take(self, timeout_s: float | None = None) -> Arrival | None:
        """Return the newest frame that was let in, or None when the time is over.

        Raises:
            Closed: It was closed and holds nothing.
        """
        return self._box.take(timeout_s)

    def peek(self) -> Frame | None:
        """Return the frame that nobody took yet, which stays; None if there is none."""
        arrival = self._box.peek()
        return None if arrival is None else arrival.frame

    def discard(self) -> int:
        """Throw away an unread frame; return how many there were, 0 or 1. The camera's."""
        return self._box.discard()

    def close(self) -> None:
        """Wake whoever waits; a frame still inside can be taken."""
        self._box.close()
