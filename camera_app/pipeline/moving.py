"""Whether anything moves before a camera, as a hub is told: on at once, off after a while. Pure.

What changes the whole picture at once, a lamp or the camera's night mode, is no motion.
"""

from __future__ import annotations

from camera_app.clock import nanoseconds
from camera_app.values import Motion


class MotionHold:
    """Holds motion for a while after its last sight. Belongs to one thread.

    Args:
        hold_s: For so long.
    """

    def __init__(self, hold_s: float) -> None:
        self._hold_ns = nanoseconds(hold_s)
        self._last_ns: int | None = None  # when something last moved

    def note(self, motion: Motion, at_ns: int) -> None:
        """Take note of what moves in a frame."""
        if motion.boxes and not motion.is_scene_change:
            self._last_ns = at_ns

    def forget(self) -> None:
        """Hold nothing any more: nobody watches."""
        self._last_ns = None

    def is_on(self, at_ns: int) -> bool:
        """Say whether motion is told at a moment."""
        return self._last_ns is not None and at_ns - self._last_ns <= self._hold_ns
