"""The doorway to a camera's thread: in a still scene that thread is not woken for each frame."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from camera_app.threads import LatestBox
from camera_app.values import Frame


@dataclass(frozen=True, slots=True)
class Rest:
    """What a camera does without.

    Attributes:
        until_ns: What was captured before that and is still; 0: it wants everything.
        whatever_moves: What moves as well: it looks at nothing at all.
    """

    until_ns: int = 0
    whatever_moves: bool = False

    def covers(self, frame: Frame) -> bool:
        """Say whether a frame is one of those."""
        is_still = frame.motion is not None and not frame.motion.boxes
        return frame.captured_ns < self.until_ns and (is_still or self.whatever_moves)


class Doorway:
    """Hands the newest frame from a source's thread to a camera's, as a `LatestBox` does.

    A camera that has nothing to do but to wait for something that moves says so with `rest_until`.
    From then on a frame of which its source says that nothing moves in it passes by; the first one
    of another kind ends the rest, and so does the end of its time. The source is told, so that it
    need not bring all that is still. A camera that is paused lets everything pass by.
    """

    def __init__(self) -> None:
        self._box: LatestBox[Frame] = LatestBox()
        self._guard = threading.Lock()  # guards every field below, and is held while a frame passes
        self._pass_by: Callable[[Frame], None] | None = None
        self._note_still: Callable[[int], None] | None = None
        self._tell_rest: Callable[[Rest], None] | None = None
        self._rest = Rest()

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

    def tell_rest_to(self, tell: Callable[[Rest], None]) -> None:
        """Set who is told how the camera rests, whenever that changes; must not block."""
        with self._guard:
            self._tell_rest = tell

    def put(self, frame: Frame) -> None:
        """Offer a frame; never waits for the camera."""
        with self._guard:
            if self._pass_by is not None and self._rest.covers(frame):
                self._pass_by(frame)
                return
            self._set_rest(Rest())
            self._box.put(frame)

    def note_still(self, frames: int) -> None:
        """Take note of frames that the source did not bring, because the camera rests."""
        with self._guard:
            if self._note_still is not None:
                self._note_still(frames)

    def rest_until(self, until_ns: int, *, whatever_moves: bool = False) -> None:
        """Let pass by what is still and was captured before that, or all of it; 0: nothing.

        By the camera's thread, which until its next frame leaves to `pass_by` what that uses. When
        this returns with 0 no frame is passing.
        """
        with self._guard:
            has_frame = self._box.peek() is not None
            self._set_rest(Rest() if has_frame else Rest(until_ns, whatever_moves))

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

    def _set_rest(self, rest: Rest) -> None:
        if rest != self._rest:
            self._rest = rest
            if self._tell_rest is not None:
                self._tell_rest(rest)
