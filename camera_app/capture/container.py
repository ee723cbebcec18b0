"""Pictures out of anything FFmpeg opens: the core that files, streams and V4L2 devices share.

Planes are views of the decoder's own memory. Rotation metadata is ignored: pictures come as they
are stored. A picture that is damaged is counted and left out, for a half-grey one shows motion
where there is none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.stream import VideoStream

from camera_app.capture.source import (
    MOST_PIXELS,
    Shot,
    SourceEnded,
    SourceForbidden,
    SourceLocked,
    SourceRefused,
)
from camera_app.clock import NS_PER_S
from camera_app.errors import SourceError, SourceLost, SourceUnsupported
from camera_app.values import ColourMatrix, Pixels, Size, Yuv420

# One thread: on small pictures more of them cost 10 to 20 % more CPU a frame and save no time.
DECODER_THREADS = 1

# Damaged pieces in a row after which a stream is taken for something else than video.
CORRUPT_LIMIT = 500

# Options of every decoder: what says that it is larger costs no memory.
_DECODER_OPTIONS = {"max_pixels": str(MOST_PIXELS)}

# A stamp that goes back further than this is a new time line, not a wrong stamp.
JUMP_NS = NS_PER_S

# FFmpeg's numbers, from libavutil/pixfmt.h.
_SPACE_BT709, _SPACE_UNSPECIFIED = 1, 2
_RANGE_FULL = 2
_HD_HEIGHT = 720

Opener = Callable[[], InputContainer]

# Formats without time stamps: FFmpeg makes some up at 25 a second, so arrival is the only time.
TIMELESS_FORMATS = frozenset({"mpjpeg", "mjpeg", "image2pipe", "jpeg_pipe", "h264", "hevc"})


_END = object()


class PacketTap(Protocol):
    """Whoever wants the compressed packets as they come, before they are decoded.

    Called on the reader's thread, for each packet; must not block.
    """

    def begin(self, stream: VideoStream, *, is_timeless: bool) -> None:
        """Take note of a stream that was opened; what came before is another one's."""

    def take(self, packet: av.Packet[VideoStream]) -> None:
        """Take a packet."""


class TimeLine:
    """Turns the stamps of a stream into nanoseconds from its first picture, ever increasing."""

    def __init__(self, period_ns: int) -> None:
        """Start; `period_ns` stands in where a stamp is missing or does not increase."""
        self._period_ns = max(1, period_ns)
        self._zero_ns: int | None = None
        self._last_ns = -1

    def next(self, stamp_ns: int | None) -> int:
        """Return the time of the picture that comes next and bears this stamp."""
        if stamp_ns is not None and self._zero_ns is None:
            self._zero_ns = stamp_ns - (
                self._last_ns + self._period_ns if self._last_ns >= 0 else 0
            )
        at_ns = None if stamp_ns is None or self._zero_ns is None else stamp_ns - self._zero_ns
        if at_ns is None or at_ns <= self._last_ns:
            expected_ns = self._last_ns + self._period_ns if self._last_ns >= 0 else 0
            if at_ns is not None and self._last_ns - at_ns > JUMP_NS and stamp_ns is not None:
                self._zero_ns = stamp_ns - expected_ns
            at_ns = expected_ns
        self._last_ns = at_ns
        return at_ns


class OverContainer:
    """What every reader over a container tells of it."""

    _container: ContainerReader

    @property
    def corrupt(self) -> int:
        return self._container.corrupt

    @property
    def codec(self) -> str:
        return self._container.codec


class ContainerReader:
    """Reads the first video stream of whatever `opener` opens."""

    def __init__(
        self,
        opener: Opener,
        where: str,
        *,
        decoder_threads: int = DECODER_THREADS,
        tap: PacketTap | None = None,
    ) -> None:
        """Remember; `where` names the source in errors and holds no secret."""
        self._opener = opener
        self._where = where
        self._decoder_threads = decoder_threads
        self._tap = tap
        self._container: InputContainer | None = None
        self._frames: Iterator[VideoFrame] = iter(())
        self._undecoded: Iterator[None] = iter(())
        self._corrupt_in_a_row = 0
        self.corrupt = 0

    def open(self) -> VideoStream:
        """Open it and find its video; as `Reader.open`."""
        with translated(self._where):
            self._container = self._opener()
            stream = self._first_video(self._container)
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._decoder_threads
            stream.codec_context.options = _DECODER_OPTIONS
            if self._tap is not None:
                self._tap.begin(stream, is_timeless=self.is_timeless)
        self._time_line = TimeLine(_period_ns(stream))
        self._frames = self._decoded(self._container, stream)
        self._undecoded = self._tapped(self._container, stream)
        return stream

    @property
    def format_name(self) -> str:
        """FFmpeg's name of the opened format; several with commas between where it is unsure."""
        return self._container.format.name if self._container else ""

    @property
    def codec(self) -> str:
        """FFmpeg's name of how its pictures are encoded; empty until it is open."""
        streams = self._container.streams.video if self._container else ()
        return streams[0].codec_context.name if streams else ""

    @property
    def is_timeless(self) -> bool:
        """Whether the opened format has no time stamps of its own."""
        return self.format_name in TIMELESS_FORMATS

    @property
    def duration_s(self) -> float | None:
        """How long it says that it lasts, in seconds."""
        duration = self._container.duration if self._container else None
        return None if duration is None else duration / av.time_base

    def read(self) -> VideoFrame | None:
        """Return the next picture that is whole, or None at the end."""
        try:
            return next(self._frames, None)
        except (av.FFmpegError, OSError) as error:  # as `translated` does, for each picture
            raise _ours(error, self._where) from error

    def pass_packet(self) -> bool:
        """Give the tap one packet and decode nothing; False at the end. In the place of `read`."""
        with translated(self._where):
            return next(self._undecoded, _END) is not _END

    def time_of(self, frame: VideoFrame) -> int:
        """Return a picture's time from the first one, in nanoseconds; once for each, in order."""
        return self._time_line.next(_stamp_ns(frame))

    def close(self) -> None:
        """Close it; may be called twice."""
        self._frames = iter(())
        self._undecoded = iter(())
        container, self._container = self._container, None
        if container is not None:
            container.close()

    def _first_video(self, container: InputContainer) -> VideoStream:
        if not container.streams.video:
            raise SourceUnsupported(
                "has no video in it", where=self._where, remedy="Give a file or stream with video."
            )
        stream = container.streams.video[0]
        if stream.width * stream.height > MOST_PIXELS:
            raise SourceUnsupported(
                f"has pictures of {stream.width}x{stream.height}, too large to be looked at",
                where=self._where,
                remedy="Give the camera's smaller stream.",
            )
        return stream

    def _decoded(self, container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
        for packet in self._packets(container, stream):
            if self._tap is not None:
                self._tap.take(packet)
            try:
                frames = packet.decode()
            except av.InvalidDataError:
                self._count_corrupt()
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self._count_corrupt()
                else:
                    self._corrupt_in_a_row = 0
                    yield frame

    def _tapped(self, container: InputContainer, stream: VideoStream) -> Iterator[None]:
        for packet in self._packets(container, stream):
            self._corrupt_in_a_row = 0
            if self._tap is not None:
                self._tap.take(packet)
            yield

    def _packets(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[av.Packet[VideoStream]]:
        """Yield packets to the end; a damaged place is counted and read past."""
        while True:
            try:
                yield from container.demux(stream)
                return
            except av.InvalidDataError:
                self._count_corrupt()
            except IndexError:
                # PyAV knows the streams that were there at the beginning, and trips over a packet
                # of one that came later: sound that begins late, or damage that looks like it.
                # That packet is gone, and was none of ours.
                continue

    def _count_corrupt(self) -> None:
        self.corrupt += 1
        self._corrupt_in_a_row += 1
        if self._corrupt_in_a_row >= CORRUPT_LIMIT:
            raise SourceLost(
                f"brought {CORRUPT_LIMIT} damaged pieces and no picture", where=self._where
            )


def _period_ns(stream: VideoStream) -> int:
    rate = stream.average_rate or stream.guessed_rate
    return round(NS_PER_S / rate) if rate else NS_PER_S // 25


def _stamp_ns(frame: VideoFrame) -> int | None:
    pts, unit = frame.pts, frame.time_base  # each is made anew whenever it is asked for
    if pts is None or unit is None:
        return None
    return pts * unit.numerator * NS_PER_S // unit.denominator


def shot(frame: VideoFrame, at_ns: int, captured_ns: int) -> Shot:
    """Return a decoded frame as a shot, to be converted only if it is taken."""
    return Shot(at_ns, captured_ns, partial(picture_of, frame))


def picture_of(frame: VideoFrame) -> Yuv420:
    """Return the planes of a frame: views if it is YUV 4:2:0 already, else converted."""
    size = Size(frame.width, frame.height)
    matrix = _matrix(frame)
    form = frame.format.name
    is_full_range = frame.color_range == _RANGE_FULL or form.startswith("yuvj")
    if form not in {"yuv420p", "yuvj420p"}:
        # In the range it has: halving the chroma is then all the work.
        frame = frame.reformat(format="yuvj420p" if is_full_range else "yuv420p")
    half = Size((size.width + 1) // 2, (size.height + 1) // 2)
    luma, u, v = frame.planes
    return Yuv420(
        _plane_view(luma, size), _plane_view(u, half), _plane_view(v, half), matrix, is_full_range
    )


def _plane_view(plane: VideoPlane, size: Size) -> Pixels:
    """Return a view; the array keeps the plane, and the plane its frame, alive."""
    view: Pixels = np.ndarray(
        (size.height, size.width), np.uint8, memoryview(plane), strides=(plane.line_size, 1)
    )
    return view


def _matrix(frame: VideoFrame) -> ColourMatrix:
    space = frame.colorspace
    if space == _SPACE_UNSPECIFIED:
        # What players do where a file does not say.
        return ColourMatrix.BT709 if frame.height >= _HD_HEIGHT else ColourMatrix.BT601
    return ColourMatrix.BT709 if space == _SPACE_BT709 else ColourMatrix.BT601


@contextlib.contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise what FFmpeg raises as our own errors."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise _ours(error, where) from error


def _ours(error: av.FFmpegError | OSError, where: str) -> SourceError:
    """Return our error for one of FFmpeg's, which is to be its cause."""
    if isinstance(error, av.FFmpegError):
        error.args = error.args[:2]  # the third is the address, and a log shows causes too
    return translation(error, where)


def translation(error: av.FFmpegError | OSError, where: str) -> SourceError:
    """Return our error for one of FFmpeg's.

    The text is built from the error's kind and number alone: its own text may hold the address,
    and with it a password.
    """
    for kinds, branch, what, remedy in _TRANSLATIONS:
        if isinstance(error, kinds):
            return branch(what.format(_plain(error)), where=where, remedy=remedy)
    return SourceLost(f"cannot be read: {_plain(error)}", where=where)


# The first that fits wins: FFmpeg's kinds overlap.
_TRANSLATIONS: tuple[tuple[tuple[type[Exception], ...], type[SourceError], str, str], ...] = (
    (
        (av.HTTPUnauthorizedError, av.HTTPForbiddenError),
        SourceLocked,
        "does not let us in",
        "Check user and password; password_file replaces {password} in the source.",
    ),
    ((PermissionError,), SourceForbidden, "may not be read", "Check its owner and rights."),
    (
        (FileNotFoundError, IsADirectoryError, NotADirectoryError),
        SourceRefused,
        "is not there",
        "Check the path.",
    ),
    (
        (ConnectionRefusedError,),
        SourceRefused,
        "nobody answers there",
        "Check address and port, and whether the camera is on.",
    ),
    (
        (av.HTTPError, av.HTTPClientError),
        SourceRefused,
        "answers with an error: {}",
        "Check the address.",
    ),
    (
        (
            av.InvalidDataError,
            av.DecoderNotFoundError,
            av.DemuxerNotFoundError,
            av.ProtocolNotFoundError,
            av.PatchWelcomeError,
        ),
        SourceUnsupported,
        "is nothing that can be read as video: {}",
        "Check that it is video; ffprobe shows what is in it.",
    ),
    ((av.EOFError,), SourceEnded, "ended before the first picture", ""),
)


def _plain(error: av.FFmpegError | OSError) -> str:
    return (error.strerror or type(error).__name__).rstrip(".").lower()
