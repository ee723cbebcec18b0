"""A recorded clip as the desk reads it: in the caller's own thread, every frame, masks painted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from camera_app.capture.container import DECODER_THREADS
from camera_app.capture.file import ClipInfo, FileReader
from camera_app.capture.masks import MaskPainter
from camera_app.clock import seconds
from camera_app.values import Frame

if TYPE_CHECKING:  # a child that reads a clip does without the configuration and its library
    from camera_app.config import MaskSettings

# A clip may hold this many pictures less than it says: recorders count the one they never wrote.
MISSING_ALLOWED = 1
# And last this much less: the sound may go on for a moment after the last picture.
SILENT_END_S = 1.0


class ClipReader:
    """Reads one clip once. Owned by one thread.

    Attributes:
        warning: After the last frame: what was wrong with the clip, one sentence; else empty.
    """

    def __init__(
        self,
        path: Path,
        camera: str = "clip",
        *,
        masks: Sequence[MaskSettings] = (),
        decoder_threads: int = DECODER_THREADS,
    ) -> None:
        self._path = path
        self._camera = camera
        self._reader = FileReader(path, decoder_threads=decoder_threads)
        self._painter = MaskPainter([mask.polygon for mask in masks])
        self._info: ClipInfo | None = None
        self.warning = ""

    def open(self) -> ClipInfo:
        """Open the clip; nothing is decoded yet.

        Raises:
            SourceLost: It is not there, or may not be read.
            SourceUnsupported: It is not a clip.
        """
        self._info = self._reader.open_clip()
        return self._info

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in the order it is shown; opens the clip if `open` was not called.

        `captured_ns` counts from the first frame, by the clip's own stamps.

        Raises:
            SourceUnsupported: Not one picture in it can be decoded. A clip that is damaged or cut
                short brings those that can, and `warning` then says so.
        """
        info = self._info or self.open()
        sequence, last_ns = 0, 0
        while (shot := self._reader.read()) is not None:
            picture = self._painter.painted(shot.picture())
            yield Frame(self._camera, sequence, shot.at_ns, picture)
            sequence, last_ns = sequence + 1, shot.at_ns
        self.warning = _verdict(info, sequence, last_ns, self._reader.corrupt)

    def close(self) -> None:
        """Close the clip; may be called twice."""
        self._reader.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _verdict(info: ClipInfo, count: int, last_ns: int, corrupt: int) -> str:
    """Return what a clip that was read to its end did not keep of what it promised."""
    if info.frame_count is not None and info.frame_count - count > MISSING_ALLOWED + corrupt:
        return f"is cut short: {count} of {info.frame_count} frames are there"
    lasted_s = seconds(last_ns) + (1.0 / info.fps if info.fps else 0.0)
    if info.duration_s is not None and info.duration_s - lasted_s > SILENT_END_S:
        return f"is cut short: {lasted_s:.1f} of {info.duration_s:.1f} s are there"
    if corrupt:
        return f"is damaged: {corrupt} pictures could not be decoded and were left out"
    return ""
