"""The pictures of best moments at the broker: shown while they may be, withdrawn when not.

A retained picture outlives whoever sent it. Once an owner wants privacy, the broker is told to
forget it, and none that was on its way comes after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from camera_app.publish import StateBoard, Topics


class BestShots:
    """The pictures of one camera; any thread.

    Args:
        camera: Name of the camera.
        labels: Classes that may have one.
        board: Where they are told.
        topics: Names of the topics.
        is_sent: Whether pictures may leave the device at all; asked each time.
    """

    def __init__(
        self,
        camera: str,
        labels: Sequence[str],
        board: StateBoard,
        topics: Topics,
        *,
        is_sent: Callable[[], bool],
    ) -> None:
        self._board = board
        self._newest = topics.snapshot(camera)
        self._of_label = {label: topics.label_snapshot(camera, label) for label in labels}
        self._is_sent = is_sent
        self._lock = threading.Lock()  # guards the field below, and the order of what is put
        self._is_withdrawn = False

    @property
    def is_sent(self) -> bool:
        """Whether pictures may leave the device at all."""
        return self._is_sent()

    def show(self, picture: bytes, label: str = "") -> None:
        """Tell a JPEG as the newest, and as the newest of a class; nothing while withdrawn."""
        with self._lock:
            if not self._is_sent() or self._is_withdrawn:
                return
            self._board.put(self._newest, picture)
            if label in self._of_label:
                self._board.put(self._of_label[label], picture)

    def withdraw(self) -> None:
        """Make the broker forget every picture, and show none until `allow`.

        Also where none is sent now: one of an earlier configuration may lie there.
        """
        with self._lock:
            self._is_withdrawn = True
            for topic in (self._newest, *self._of_label.values()):
                self._board.put(topic, b"")

    def allow(self) -> None:
        """Show pictures again from now on."""
        with self._lock:
            self._is_withdrawn = False
