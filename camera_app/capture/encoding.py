"""Pieces out of pictures: compressed here, where a camera's own must not or cannot be kept.

What is compressed has its privacy masks painted already. It is done by a thread of its own at a
lower rate; what it does not get done in time is left out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.plane import VideoPlane

from camera_app.capture.pieces import TICKS_PER_S, FilmClock, Make, Piece, parameters_in
from camera_app.capture.thinning import Thinner
from camera_app.threads import Closed, LatestBox, stand_back
from camera_app.values import ColourMatrix, Pixels, Yuv420

_log = logging.getLogger(__name__)

CODEC = "libx264"
KEY_EVERY_S = 2.0
# Which of x264's settings; `tools/bench/recording.py` shows what others cost and bring. Without
# delay: a picture is a piece at once, and nothing is held back when a film ends.
OPTIONS = {"preset": "superfast", "tune": "zerolatency", "crf": "26"}
JOIN_LIMIT_S = 2.0

# FFmpeg's numbers, from libavutil/pixfmt.h.
_RANGE_LIMITED, _RANGE_FULL = 1, 2
_SPACE_BT709, _SPACE_BT601 = 1, 6


class PictureEncoder:
    """Compresses pictures; belongs to one thread."""

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._context: VideoCodecContext | None = None
        self._make: Make | None = None
        self._size = (0, 0)
        self._look: tuple[object, ...] = ()  # what an encoder is opened for
        self._clock = FilmClock()

    def begin_anew(self) -> None:
        """Open another encoder for the next picture; time goes on."""
        self._context = None

    def pieces(self, frame: av.VideoFrame, at_ns: int) -> list[Piece]:
        """Return what becomes of a picture: a piece, as a rule."""
        look = (frame.width, frame.height, frame.color_range, frame.colorspace)
        if self._context is None or look != self._look:
            self._context, self._look = self._opened(frame), look
            self._size = (frame.width, frame.height)
            self._make = None
        shown, decoded = self._clock.ticks(None, None, at_ns)
        frame.pts, frame.time_base = shown, Fraction(1, TICKS_PER_S)
        packets = self._context.encode(frame)
        return [self._piece(packet, at_ns, shown, decoded) for packet in packets]

    def _piece(
        self, packet: av.Packet[av.VideoStream], at_ns: int, shown: int, decoded: int
    ) -> Piece:
        data = bytes(packet)
        if packet.is_keyframe or self._make is None:
            self._make = Make("h264", *self._size, parameters_in(data, "h264"))
        return Piece(data, at_ns, shown, decoded, packet.is_keyframe, self._make)

    def _opened(self, frame: av.VideoFrame) -> VideoCodecContext:
        context = av.CodecContext.create(CODEC, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
        context.time_base = Fraction(1, TICKS_PER_S)
        context.framerate = Fraction(self._fps).limit_denominator(1000)
        context.gop_size = max(1, round(self._fps * KEY_EVERY_S))
        context.color_range, context.colorspace = frame.color_range, frame.colorspace
        context.thread_count = 1
        context.options = dict(OPTIONS)
        return context


class EncoderThread:
    """Takes painted pictures and hands pieces on.

    Args:
        fps: Pictures a second that are compressed.
        take: Is handed each piece, on this thread.
    """

    def __init__(self, fps: float, take: Callable[[Iterable[Piece]], None]) -> None:
        self._thinner = Thinner(fps)
        self._encoder = PictureEncoder(fps)
        self._take = take
        self._has_failed = False  # of this thread: what fails, fails for each picture
        self._box: LatestBox[tuple[av.VideoFrame, int]] = LatestBox()
        self._thread = threading.Thread(target=self._run, name="film-encoder", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def show(self, picture: Yuv420, at_ns: int) -> None:
        """Offer a picture, which is copied; never waits."""
        if self._thinner.takes(at_ns):
            self._box.put((frame_of(picture), at_ns))

    def stop(self) -> None:
        self._box.close()
        self._thread.join(JOIN_LIMIT_S)

    def _run(self) -> None:
        stand_back()  # live frames come first: films are made with what they leave
        while True:
            try:
                offered = self._box.take()
            except Closed:
                return
            if offered is not None:
                self._compress(*offered)

    def _compress(self, frame: av.VideoFrame, at_ns: int) -> None:
        try:
            self._take(self._encoder.pieces(frame, at_ns))
        except Exception:
            # The safety net of this thread: a film lacks a picture then, and the next is tried.
            self._encoder.begin_anew()
            if not self._has_failed:
                _log.exception("a picture cannot be compressed for a film")
            self._has_failed = True


def frame_of(picture: Yuv420) -> av.VideoFrame:
    """Return a copy of a picture as FFmpeg wants it, its size made even."""
    width, height = picture.size.width & ~1, picture.size.height & ~1
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane, pixels in zip(frame.planes, (picture.luma, picture.u, picture.v), strict=True):
        _fill(plane, pixels)
    frame.color_range = _RANGE_FULL if picture.is_full_range else _RANGE_LIMITED
    is_bt709 = picture.matrix is ColourMatrix.BT709
    frame.colorspace = _SPACE_BT709 if is_bt709 else _SPACE_BT601
    return frame


def _fill(plane: VideoPlane, pixels: Pixels) -> None:
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    rows[: plane.height, : plane.width] = pixels[: plane.height, : plane.width]
