"""The doorway to a camera's thread: in a still scene that thread is not woken for each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable

from camera_app.threads import LatestBox
from camera_app.values import Frame


class Doorway:
    """Hands the newest frame from a source's thread to a camera's, as a `LatestBox` does.

    A camera that has nothing to do but to wait for something that moves says so with `rest_until`.
    From then on a frame of which its source says that nothing moves in it passes by; the first one
    of another kind ends the rest, and so does the end of its time. The source is told, so that it
    need not bring all that is still.
    """

    def __init__(self) -> None:
        self._box: LatestBox[Frame] = LatestBox()
        self._guard = threading.Lock()  # guards every field below, and is held while a frame passes
        self._pass_by: Callable[[Frame], None] | None = None
        self._note_still: Callable[[int], None] | None = None
        self._tell_rest: Callable[[int], None] | None = None
        self._rests_until_ns = 0

    @property
    def replaced(self) -> int:
        """Unread frames that newer ones took the place of."""
        return self._box.replaced

    def attend(self, pass_by: Callable[[Frame], None], note_still: Callable[[int], None]) -> None:
        """Set who is told, on the source's thread, of what is still.

        Args:
            pass_by: Of each frame that passes by.
            note_still: How many the source did not bring.
        """
        with self._guard:
            self._pass_by, self._note_still = pass_by, note_still

    def tell_rest_to(self, tell: Callable[[int], None]) -> None:
        """Set who is told until when the camera rests, whenever that changes; must not block."""
        with self._guard:
            self._tell_rest = tell

    def put(self, frame: Frame) -> None:
        """Offer a frame; never waits for the camera."""
        with self._guard:
            is_still = frame.motion is not None and not frame.motion.boxes
            if is_still and frame.captured_ns < self._rests_until_ns and self._pass_by is not None:
                self._pass_by(frame)
                return
            self._set_rest(0)
            self._box.put(frame)

    def note_still(self, frames: int) -> None:
        """Take note of frames that the source did not bring, because nothing moves in them."""
        with self._guard:
            if self._note_still is not None:
                self._note_still(frames)

    def rest_until(self, until_ns: int) -> None:
        """Let pass by what is still and was captured before that; 0: nothing.

        By the camera's thread, which until its next frame leaves to `pass_by` what that uses. When
        this returns with 0 no frame is passing.
        """
        with self._guard:
            self._set_rest(0 if self._box.peek() is not None else until_ns)

    def take(self, timeout_s: float | None = None) -> Frame | None:
        """Return the newest frame that was let in, or None when the time is over.

        Raises:
            Closed: It was closed and holds nothing.
        """
        return self._box.take(timeout_s)

    def peek(self) -> Frame | None:
        """Return the frame that nobody took yet, which stays; None if there is none."""
        return self._box.peek()

    def discard(self) -> int:
        """Throw away an unread frame; return how many there were, 0 or 1. The camera's."""
        return self._box.discard()

    def close(self) -> None:
        """Wake whoever waits; a frame still inside can be taken."""
        self._box.close()

    def _set_rest(self, until_ns: int) -> None:
        if until_ns != self._rests_until_ns:
            self._rests_until_ns = until_ns
            if self._tell_rest is not None:
                self._tell_rest(until_ns)
