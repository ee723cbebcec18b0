"""Pieces out of what a camera sends, as it is: nothing is decoded or compressed for it."""

from __future__ import annotations

import time
from collections.abc import Callable

import av
from av.bitstream import BitStreamFilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from camera_app.capture.pieces import COPYABLE, FilmClock, Make, Piece, parameters_in
from camera_app.clock import NS_PER_S

_LENGTH_PREFIXED = 1  # first byte of the extradata where units bear their length, not a start code


class Copier:
    """A tap that makes pieces of packets; belongs to the reader's thread.

    Args:
        is_wanted: Whether anybody wants pieces now; asked for each packet.
        take: Is handed each piece; must not block.
        opened: Is told of each stream that is opened, whether it can be copied.
    """

    def __init__(
        self,
        is_wanted: Callable[[], bool],
        take: Callable[[Piece], None],
        opened: Callable[[bool], None],
    ) -> None:
        self._is_wanted = is_wanted
        self._take = take
        self._opened = opened
        self._clock = FilmClock()
        self._codec = ""
        self._size = (0, 0)
        self._extradata = b""
        self._is_timeless = False
        self._filter: BitStreamFilterContext | None = None
        self._make: Make | None = None

    def begin(self, stream: VideoStream, *, is_timeless: bool) -> None:
        context = stream.codec_context
        self._codec = context.name if context.name in COPYABLE else ""
        self._size = (context.width, context.height)
        extradata = context.extradata or b""
        is_prefixed = extradata[:1] == bytes([_LENGTH_PREFIXED])
        self._filter = None
        if self._codec and is_prefixed:
            self._filter = BitStreamFilterContext(f"{self._codec}_mp4toannexb", stream)
        self._extradata = b"" if is_prefixed else extradata
        self._is_timeless = is_timeless
        self._make = None
        self._opened(bool(self._codec))

    def take(self, packet: av.Packet[VideoStream]) -> None:
        if not self._codec or not packet.size or packet.is_corrupt or not self._is_wanted():
            return
        at_ns = time.monotonic_ns()
        shown, decoded = self._clock.ticks(*self._stamps_ns(packet), at_ns)
        for data in self._byte_streams(packet):
            whole = self._with_parameters(data) if packet.is_keyframe else data
            if self._make is not None:
                self._take(Piece(whole, at_ns, shown, decoded, packet.is_keyframe, self._make))

    def _byte_streams(self, packet: av.Packet[VideoStream]) -> list[bytes]:
        if self._filter is None:
            return [bytes(packet)]
        copy = av.Packet(bytes(packet))  # the filter takes what it is given away
        copy.is_keyframe = packet.is_keyframe
        try:
            return [bytes(filtered) for filtered in self._filter.filter(copy)]
        except av.InvalidDataError:
            return []  # a film lacks it; the reader, whose packet it is, counts it

    def _with_parameters(self, data: bytes) -> bytes:
        """Return a key picture with its parameter sets, and note what it is made by."""
        parameters = parameters_in(data, self._codec)
        if not parameters:  # they were told when the stream was opened, and never again
            parameters = parameters_in(self._extradata, self._codec)
            data = parameters + data
        if parameters and (self._make is None or self._make.parameters != parameters):
            self._make = Make(self._codec, *self._size_by(data), parameters)
        return data

    def _size_by(self, data: bytes) -> tuple[int, int]:
        """Return the size that a key picture has: it need not be what the stream began with."""
        decoder = av.CodecContext.create(self._codec, "r")
        assert isinstance(decoder, VideoCodecContext)
        try:
            frames = [*decoder.decode(av.Packet(data)), *decoder.decode(None)]
        except av.FFmpegError:
            return self._size
        return (frames[0].width, frames[0].height) if frames else self._size

    def _stamps_ns(self, packet: av.Packet[VideoStream]) -> tuple[int | None, int | None]:
        if self._is_timeless or packet.time_base is None:
            return None, None
        unit = packet.time_base * NS_PER_S
        return (
            None if packet.pts is None else int(packet.pts * unit),
            None if packet.dts is None else int(packet.dts * unit),
        )
