"""USB and other cameras that Linux shows as /dev/videoN."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import av

from camera_app.capture.container import ContainerReader, OverContainer, shot
from camera_app.capture.source import (
    Shot,
    SourceBusy,
    SourceEnded,
    SourceForbidden,
    SourceRefused,
)
from camera_app.errors import SourceLost
from camera_app.values import Size

INPUT_FORMAT = "v4l2"


class V4l2Reader(OverContainer):
    """Reads a V4L2 device through FFmpeg's input for them."""

    is_recorded = False

    def __init__(self, device: str, *, size: Size | None, fps: float) -> None:
        """Remember; size and rate are asked for, and the driver gives the nearest it has."""
        self._device = device
        # Drivers know whole rates; a source that is too fast is thinned, one too slow cannot be.
        options = {"framerate": str(max(1, -int(-fps // 1)))}
        if size is not None:
            options["video_size"] = str(size)
        self._container = ContainerReader(
            lambda: av.open(device, format=INPUT_FORMAT, options=options), f"v4l2:{device}"
        )

    def open(self) -> None:
        self._require_device()
        try:
            self._container.open()
        except SourceLost as error:
            raise self._told_better(error) from error

    def read(self) -> Shot:
        frame = self._container.read()
        if frame is None:
            raise SourceEnded("delivers no more", where=f"v4l2:{self._device}")
        return shot(frame, self._container.time_of(frame), time.monotonic_ns())

    def close(self) -> None:
        self._container.close()

    def _require_device(self) -> None:
        if not Path(self._device).exists():
            raise SourceRefused(
                "there is no such device",
                where=f"v4l2:{self._device}",
                remedy="Plug the camera in; `v4l2-ctl --list-devices` shows those that are there.",
            )

    def _told_better(self, error: SourceLost) -> SourceLost:
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else None
        where = f"v4l2:{self._device}"
        if number == errno.EBUSY:
            remedy = "End the other program; `fuser` with the device's path names it."
            return SourceBusy("is used by another program", where=where, remedy=remedy)
        if number == errno.EACCES:
            remedy = "Add the user of the service to the group `video`."
            return SourceForbidden("may not be opened", where=where, remedy=remedy)
        return error
