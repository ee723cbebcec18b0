"""Recorded clips: every picture, in the order it is shown, with the clip's own time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
from av.video.stream import VideoStream

from camera_app.capture.container import (
    DECODER_THREADS,
    ContainerReader,
    OverContainer,
    PacketTap,
    shot,
)
from camera_app.capture.source import Shot
from camera_app.errors import SourceUnsupported
from camera_app.values import Size


@dataclass(frozen=True, slots=True)
class ClipInfo:
    """What a clip says of itself; it may be wrong, most of all in a clip that was cut short.

    Attributes:
        size: Size of its first pictures.
        fps: Pictures a second on average; 0.0 if it does not say.
        frame_count: How many pictures it should have; None if it does not say.
        duration_s: How long it should last; None if it does not say.
    """

    size: Size
    fps: float
    frame_count: int | None
    duration_s: float | None


class FileReader(OverContainer):
    """Reads a clip, once or round and round."""

    is_recorded = True

    def __init__(
        self,
        path: Path,
        *,
        is_looped: bool = False,
        decoder_threads: int = DECODER_THREADS,
        tap: PacketTap | None = None,
    ) -> None:
        self._path = path
        self._is_looped = is_looped
        self._container = ContainerReader(
            lambda: av.open(str(path)), str(path), decoder_threads=decoder_threads, tap=tap
        )
        self._period_ns = 0
        self._round_began_ns = 0
        self._last_ns = -1
        self._is_open = False

    def open(self) -> None:
        self.open_clip()

    def open_clip(self) -> ClipInfo:
        """Open it and return what it says of itself; as `Reader.open`."""
        stream = self._container.open()
        self._is_open = True
        info = _info(stream, self._container)
        self._period_ns = round(1e9 / info.fps) if info.fps else 40_000_000
        return info

    def read(self) -> Shot | None:
        while self._is_open:
            frame = self._container.read()
            if frame is not None:
                self._last_ns = self._round_began_ns + self._container.time_of(frame)
                return shot(frame, self._last_ns, self._last_ns)
            self._end_round()
        return None

    def close(self) -> None:
        self._is_open = False
        self._container.close()

    def _end_round(self) -> None:
        self.close()
        if self._last_ns < self._round_began_ns:
            raise SourceUnsupported(
                "has no picture that can be decoded",
                where=str(self._path),
                remedy="The file is damaged or empty; ffprobe shows what is in it.",
            )
        if self._is_looped:
            self._round_began_ns = self._last_ns + self._period_ns
            self.open_clip()


def _info(stream: VideoStream, container: ContainerReader) -> ClipInfo:
    rate = stream.average_rate or stream.guessed_rate
    context = stream.codec_context
    return ClipInfo(
        size=Size(context.width, context.height),
        fps=float(rate) if rate else 0.0,
        frame_count=stream.frames or None,
        duration_s=container.duration_s,
    )
