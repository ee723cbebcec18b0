"""The thread that sends what a camera sees now and then, to be looked at from afar."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from camera_app.errors import StoreError
from camera_app.media import encode_jpeg
from camera_app.publish import Notice
from camera_app.threads import Worker
from camera_app.values import Frame

_log = logging.getLogger(__name__)

SHORTEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Shown:
    """One camera that is shown.

    Attributes:
        topic: Where.
        newest: Returns its newest frame; None where there is none, or it may not be shown.
        quality: Of the JPEG.
    """

    topic: str
    newest: Callable[[], Frame | None]
    quality: int


class LiveView(Worker):
    """Sends each camera's newest frame at an interval, one that was not sent yet.

    Nothing is retained, and nothing is kept for later: a picture of before is not live.

    Args:
        cameras: Returns them, by name.
        say: Tells it at the connection that stands.
        is_heard: Whether there is one.
        interval_s: Seconds between two pictures of a camera.
    """

    def __init__(
        self,
        cameras: Callable[[], Mapping[str, Shown]],
        say: Callable[[Notice], None],
        is_heard: Callable[[], bool],
        interval_s: float,
    ) -> None:
        super().__init__("camera-app live view")
        self._cameras = cameras
        self._say = say
        self._is_heard = is_heard
        self._interval_s = max(SHORTEST_S, interval_s)
        self._shown: dict[str, Frame] = {}  # the last frame of each, so that none is sent twice

    def run_once(self) -> None:
        if self._is_heard():
            for name, camera in self._cameras().items():
                self._show(name, camera)
        self.rest(self._interval_s)

    def _show(self, name: str, camera: Shown) -> None:
        frame = camera.newest()
        before = self._shown.pop(name, None)
        if frame is None:
            return
        self._shown[name] = frame
        if frame is before:
            return
        try:
            picture = encode_jpeg(frame.picture, camera.quality)
        except StoreError as error:
            _log.warning("camera %s cannot be shown: %s", name, error)
            return
        self._say(Notice(camera.topic, picture, is_retained=False, qos=0))
