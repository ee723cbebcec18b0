"""Notices where sticks are plugged in and out, by looking again and again.

A look reads a few small files of sysfs, so that nothing needs to be installed or asked for rights.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from camera_app.inference.edgetpu.places import Place, find_places
from camera_app.threads import Worker

LOOK_EVERY_S = 0.5

Places = tuple[Place, ...]


class PlaceWatch(Worker):
    """Tells what changed in the places of all sticks.

    A stick that is pulled and put back between two looks shows by its new device file. A fresh one
    changes its device file at its first use too, and may be gone for a moment then: whether a stick
    in use has failed is told by the stick, not by this.
    """

    def __init__(
        self,
        on_change: Callable[[Places], None],
        *,
        every_s: float = LOOK_EVERY_S,
        root: Path | None = None,
    ) -> None:
        """Remember whom to tell.

        Args:
            on_change: Called with all places, at the first look and after each change, on this
                thread; it must not block.
            every_s: Time between two looks.
            root: Below which to look; None: the machine's.
        """
        super().__init__("camera-app-edgetpu-watch")
        self._on_change = on_change
        self._every_s = every_s
        self._root = root
        self._known: Places | None = None  # of the watch's own thread

    def run_once(self) -> None:
        """Look once, and wait."""
        places = find_places(self._root)
        if places != self._known:
            self._known = places
            self._on_change(places)
        self.rest(self._every_s)
