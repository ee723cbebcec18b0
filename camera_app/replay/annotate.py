"""Films with what was seen drawn in, for looking at a replay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Self

import av
import av.error
import cv2
import numpy as np

from camera_app.clock import seconds
from camera_app.config import LineSettings, ZoneSettings
from camera_app.errors import StoreError
from camera_app.media import bgr
from camera_app.values import Box, Event, Frame, Pixels, Size, Track, TrackState

TIME_BASE = Fraction(1, 90_000)
CONFIRMED_BGR = (80, 200, 80)
TENTATIVE_BGR = (80, 180, 220)
LOST_BGR = (150, 150, 150)
PLATE_BGR = (32, 32, 32)
TEXT_SCALE = 0.5
ZONE_BGR = (220, 160, 60)
LINE_BGR = (60, 60, 230)
ARROW_PX = 24
_COLOURS = {
    TrackState.CONFIRMED: CONFIRMED_BGR,
    TrackState.TENTATIVE: TENTATIVE_BGR,
    TrackState.LOST: LOST_BGR,
}
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def draw(
    frame: Frame,
    tracks: Iterable[Track],
    events: Iterable[Event],
    zones: Sequence[ZoneSettings],
    lines: Sequence[LineSettings] = (),
) -> Pixels:
    """Return the frame in colour with zones, lines, tracks and open events drawn in."""
    canvas = bgr(frame.picture)
    for zone in zones:
        _draw_zone(canvas, zone, frame.size)
    for line in lines:
        _draw_line(canvas, line, frame.size)
    for track in tracks:
        text = f"{track.label} {track.track_id}  {track.score:.2f}"
        _draw_box(canvas, track.box, _COLOURS[track.state], text)
    names = ", ".join(map(_event_text, events))
    _draw_text(canvas, (8, 24), f"{_clock(frame.captured_ns)}  {names}", (255, 255, 255))
    return canvas


class FilmWriter:
    """Writes an H.264 film, MPEG-4 where no H.264 encoder is built in; a context manager.

    Args:
        path: The file, `.mp4`.
        fps: Nominal rate; each frame keeps its own time stamp.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None

    def __enter__(self) -> Self:
        with self._translated():
            self._container = av.open(str(self._path), "w")
        return self

    def __exit__(self, *_: object) -> None:
        container, self._container = self._container, None
        if container is None:
            return
        with self._translated(), container:
            if self._stream is not None:
                container.mux(self._stream.encode())

    def write(self, canvas: Pixels, at_ns: int) -> None:
        """Append a frame: uint8 (height, width, 3), blue first; time stamps must increase."""
        assert self._container is not None, "write is for inside the with block"
        height, width, _ = canvas.shape
        if self._stream is None:
            self._stream = self._open_stream(self._container, Size(width & ~1, height & ~1))
        size = (self._stream.width, self._stream.height)
        if (width, height) != size:
            canvas = np.asarray(cv2.resize(canvas, size), np.uint8)
        picture = av.VideoFrame.from_ndarray(canvas, format="bgr24")
        picture.pts, picture.time_base = round(seconds(at_ns) / TIME_BASE), TIME_BASE
        with self._translated():
            self._container.mux(self._stream.encode(picture))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn FFmpeg's errors into ours; it opens the file with the first frame only."""
        try:
            yield
        except (OSError, av.error.FFmpegError) as error:
            raise StoreError(f"cannot be written: {error}", where=str(self._path)) from error

    def _open_stream(self, container: av.container.OutputContainer, size: Size) -> av.VideoStream:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=Fraction(self._fps).limit_denominator(1000))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size.width, size.height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        if codec == "libx264":
            stream.options = {"preset": "veryfast", "crf": "23"}
        return stream


def _draw_zone(canvas: Pixels, zone: ZoneSettings, size: Size) -> None:
    corners = np.array([(x * size.width, y * size.height) for x, y in zone.polygon], np.int32)
    cv2.polylines(canvas, [corners], True, ZONE_BGR, 1, cv2.LINE_AA)
    _draw_text(canvas, (int(corners[0][0]) + 4, int(corners[0][1]) + 24), zone.name, ZONE_BGR)


def _draw_line(canvas: Pixels, line: LineSettings, size: Size) -> None:
    """Draw a line, and an arrow from its middle part to the side that is `in`."""
    points = np.array([(x * size.width, y * size.height) for x, y in line.points], np.float64)
    cv2.polylines(canvas, [points.astype(np.int32)], False, LINE_BGR, 2, cv2.LINE_AA)
    part = (len(points) - 1) // 2
    middle, along = (points[part] + points[part + 1]) / 2, points[part + 1] - points[part]
    right = np.array([-along[1], along[0]]) / np.hypot(*along)  # as a picture shows it: y is down
    foot, head = (tuple(map(round, place)) for place in (middle, middle + right * ARROW_PX))
    cv2.arrowedLine(canvas, foot, head, LINE_BGR, 2, cv2.LINE_AA, tipLength=0.4)
    _draw_text(canvas, (int(points[0][0]) + 4, int(points[0][1]) - 6), line.name, LINE_BGR)


def _event_text(event: Event) -> str:
    passed = "".join(f", {one.line} {one.direction} {one.count}" for one in event.crossings)
    return f"{event.label} since {_clock(event.started_ns)}{passed}"


def _draw_box(canvas: Pixels, box: Box, colour: tuple[int, int, int], text: str) -> None:
    corner = (round(box.left), round(box.top))
    cv2.rectangle(canvas, corner, (round(box.right), round(box.bottom)), colour, 2, cv2.LINE_AA)
    _draw_text(canvas, (corner[0] + 2, max(14, corner[1] - 6)), text, colour)


def _draw_text(
    canvas: Pixels, at: tuple[int, int], text: str, colour: tuple[int, int, int]
) -> None:
    (width, height), below = cv2.getTextSize(text, _FONT, TEXT_SCALE, 1)
    left, line = at
    plate = (left - 2, line - height - 2), (left + width + 2, line + below)
    cv2.rectangle(canvas, *plate, PLATE_BGR, cv2.FILLED)
    cv2.putText(canvas, text, at, _FONT, TEXT_SCALE, colour, 1, cv2.LINE_AA)


def _clock(at_ns: int) -> str:
    whole_s = seconds(at_ns)
    return f"{int(whole_s // 60):02d}:{whole_s % 60:04.1f}"
