"""Cameras at the ribbon of a Raspberry Pi, through picamera2.

picamera2 comes with the system's Python and is imported only here, only when a camera is opened,
and only in a child: it can wait for ever on a loose cable, and no deadline inside helps. It is
configured once and its mode never changes, because its buffers come from a small pool of
contiguous memory that repeated allocation breaks into pieces.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from typing import Any, Protocol

from camera_app.capture.source import Shot, SourceBusy, SourceRefused
from camera_app.errors import SourceError, SourceLost, SourceUnsupported
from camera_app.values import ColourMatrix, Pixels, Size, Yuv420

DEFAULT_SIZE = Size(1280, 720)
BUFFERS = 4

# A picture can hardly be older than this when it is handed over; a stamp that says so is of
# another clock, and then the time of arrival is better.
STAMP_AGE_LIMIT_NS = 2_000_000_000


class _Request(Protocol):
    """The part of picamera2's CompletedRequest that is used here."""

    def get_metadata(self) -> Mapping[str, Any]: ...
    def make_buffer(self, name: str) -> Pixels: ...
    def release(self) -> None: ...


class PicameraReader:
    """Reads one camera's main stream as YUV 4:2:0."""

    is_recorded = False
    corrupt = 0  # libcamera hands over whole pictures or none
    codec = "yuv420"

    def __init__(self, number: int, *, size: Size | None, fps: float) -> None:
        self._number = number
        self._asked = size or DEFAULT_SIZE
        self._fps = fps
        # Any: picamera2 is not there where types are checked, and its modules have none.
        self._camera: Any = None
        self._request: _Request | None = None
        self._first_ns: int | None = None

    def open(self) -> None:
        camera_class = self._camera_class()
        if self._number >= len(camera_class.global_camera_info()):
            raise SourceRefused(
                "there is no such camera",
                where=self._where,
                remedy="Check the ribbon cable; `rpicam-hello --list-cameras` shows what is there.",
            )
        try:
            self._camera = camera_class(self._number)
            self._configure()
            self._camera.start()
        except Exception as error:
            # picamera2 raises bare RuntimeError and more; whatever it is, the camera is not ours.
            self.close()
            raise self._not_started(error) from error

    def read(self) -> Shot:
        self._release()
        try:
            self._request = self._camera.capture_request()
            stamp_ns = self._request.get_metadata().get("SensorTimestamp")
        except Exception as error:
            raise self._lost("brings no picture", error) from error
        captured_ns = _monotonic(stamp_ns)
        if self._first_ns is None:
            self._first_ns = captured_ns
        return Shot(captured_ns - self._first_ns, captured_ns, self._picture)

    def close(self) -> None:
        self._release()
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.stop()
            camera.close()

    @property
    def _where(self) -> str:
        return f"picamera:{self._number}"

    def _camera_class(self) -> Any:
        try:
            return importlib.import_module("picamera2").Picamera2
        # ValueError and AttributeError: something below it was built for another NumPy.
        except (ImportError, ValueError, AttributeError) as error:
            raise SourceUnsupported(
                f"picamera2 cannot be imported: {error}",
                where=self._where,
                remedy="Install python3-picamera2, and let the environment see system packages.",
            ) from error

    def _configure(self) -> None:
        configuration = self._camera.create_video_configuration(
            main={"size": (self._asked.width, self._asked.height), "format": "YUV420"},
            buffer_count=BUFFERS,
            controls={"FrameRate": self._fps},
        )
        self._camera.configure(configuration)
        # What was asked for and what came of it may differ, in size and in padding.
        given = self._camera.camera_configuration()
        width, height = given["main"]["size"]
        self._size = Size(width, height)
        self._stride = int(given["main"]["stride"])
        self._matrix, self._is_full_range = _colours(str(given.get("colour_space") or ""))

    def _picture(self) -> Yuv420:
        if self._request is None:
            raise self._lost("picture asked for twice", None)
        buffer = self._request.make_buffer("main")  # a copy, so the buffer can go back at once
        self._release()
        luma, u, v = _planes(buffer, self._size, self._stride)
        return Yuv420(luma, u, v, self._matrix, self._is_full_range)

    def _release(self) -> None:
        request, self._request = self._request, None
        if request is not None:
            request.release()

    def _not_started(self, error: Exception) -> SourceError:
        if _is_busy(error):
            remedy = "End the other program that has the camera."
            return SourceBusy(f"cannot be started: {error}", where=self._where, remedy=remedy)
        return self._lost("cannot be started", error)

    def _lost(self, what: str, error: Exception | None) -> SourceError:
        because = f": {error}" if error is not None else ""
        return SourceLost(f"{what}{because}", where=self._where, remedy="Check the ribbon cable.")


def _is_busy(error: BaseException | None) -> bool:
    """Say whether another program has the camera; picamera2 hides libcamera's word in a context."""
    while error is not None:
        if "busy" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _planes(buffer: Pixels, size: Size, stride: int) -> tuple[Pixels, Pixels, Pixels]:
    """Cut a buffer into Y, U and V; rows are padded to `stride`, those of chroma to half of it."""
    half = Size(size.width // 2, size.height // 2)
    u_begins = size.height * stride
    v_begins = u_begins + half.height * (stride // 2)
    ends = v_begins + half.height * (stride // 2)
    luma = buffer[:u_begins].reshape(size.height, stride)[:, : size.width]
    u = buffer[u_begins:v_begins].reshape(half.height, stride // 2)[:, : half.width]
    v = buffer[v_begins:ends].reshape(half.height, stride // 2)[:, : half.width]
    return luma, u, v


def _colours(space: str) -> tuple[ColourMatrix, bool]:
    """Read libcamera's name of a colour space: a preset, or primaries/transfer/encoding/range."""
    parts = space.split("/")
    encoding, span = (parts[2], parts[3]) if len(parts) == 4 else (space, space)
    matrix = ColourMatrix.BT709 if "709" in encoding else ColourMatrix.BT601
    return matrix, span in {"sYCC", "JPEG", "Full"}


def _monotonic(stamp_ns: int | None) -> int:
    """Return a sensor stamp, which counts from boot with time asleep, on the monotonic clock."""
    now_ns = time.monotonic_ns()
    if stamp_ns is None:
        return now_ns
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - stamp_ns
    return now_ns - age_ns if 0 <= age_ns <= STAMP_AGE_LIMIT_NS else now_ns
