"""The motion gate in the child of a source, and what need not be brought because it is still.

Here a picture has just been decoded and lies in the processor's cache; to look for motion in the
parent costs it the way there, two threads that wake, and twice the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camera_app.capture.wire import Attention, GateMeans
from camera_app.clock import nanoseconds
from camera_app.values import Motion, Pixels

if TYPE_CHECKING:  # OpenCV is loaded when somebody wants to know what moves
    from camera_app.capture.motion import MotionGate


class Watchman:
    """Looks for motion in each picture of one source. Belongs to the thread that reads it.

    Args:
        show_every_s: While nothing moves a picture is brought this often all the same.
    """

    def __init__(self, show_every_s: float) -> None:
        self._show_every_ns = nanoseconds(show_every_s)
        self._means: GateMeans | None = None
        self._gate: MotionGate | None = None
        self._rests_until_ns = 0
        self._brought_ns = 0
        self.still = 0  # pictures that were held back: nothing moves, or nobody looks

    def heed(self, attention: Attention) -> None:
        """Do from now on what the parent wants."""
        self._rests_until_ns = attention.rests_until_ns
        if attention.gate != self._means:
            self._means = attention.gate
            self._gate = None if attention.gate is None else _made(attention.gate)

    def motion_in(self, luma: Pixels, at_ns: int) -> Motion | None:
        """Return what moves in a picture; None: nobody wants to know.

        Args:
            luma: Y plane, uint8 (height, width).
            at_ns: Capture time; pictures come in order.
        """
        return None if self._gate is None else self._gate.look(luma, at_ns)

    def holds_back(self, motion: Motion | None, at_ns: int) -> bool:
        """Decide whether a picture is not brought, and count it then.

        What moves ends the rest: the parent says anew when it rests again. Where nobody wants to
        know what moves, nothing does.
        """
        if (motion is not None and motion.boxes) or at_ns >= self._rests_until_ns:
            self._rests_until_ns = 0
        elif at_ns - self._brought_ns < self._show_every_ns:
            self.still += 1
            return True
        self._brought_ns = at_ns
        return False


def _made(means: GateMeans) -> MotionGate:
    import cv2

    from camera_app.capture.motion import MotionGate

    cv2.setNumThreads(1)  # a grid of 96 columns is nothing to share
    return MotionGate(means)
