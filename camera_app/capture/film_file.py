"""One film on its way to the disk: an MP4 that can be played whenever it is cut off.

It is written in fragments of about two seconds, each whole on the disk before the next one. When
it is closed in good order, it becomes a plain MP4, which every player knows how to skip through.
"""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from camera_app.capture.pieces import TICKS_PER_S, Make, Piece
from camera_app.capture.wire import unfinished
from camera_app.durable import sync_folder

TIME_BASE = Fraction(1, TICKS_PER_S)
FRAGMENT_S = 2.0

# A new fragment at each key picture and after FRAGMENT_S. `hybrid_fragmented` turns them into one
# plain film at the end, in place.
_FLAGS = "frag_keyframe+empty_moov+default_base_moof+hybrid_fragmented"
_FRAGMENT = b"moof"


class FilmFile:
    """Writes the pieces of one make. Belongs to one thread.

    Args:
        path: The film; until it is finished, the file has `UNFINISHED` behind its name.
        make: What the pieces are.

    Attributes:
        pictures: How many were written.
        begins_ns: When the first of them came; meaningless before that.
        ends_ns: When the last of them came.
        is_begun: A first fragment is on the disk: there is something to play.
    """

    def __init__(self, path: Path, make: Make) -> None:
        self._path = path
        self._make = make
        self._file: _SyncedFile | None = None
        self._container: OutputContainer | None = None
        self._stream: av.stream.Stream | None = None
        self._first_decoded = 0
        self.pictures = 0
        self.begins_ns = 0
        self.ends_ns = 0
        self.is_begun = False

    def open(self) -> None:
        """Make the file, readable for its owner alone.

        Raises:
            OSError: It cannot be made.
        """
        for folder in (self._path.parent.parent, self._path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = _SyncedFile(unfinished(self._path))
        options = {"movflags": _FLAGS, "frag_duration": str(round(FRAGMENT_S * 1e6))}
        self._container = av.open(self._file, "w", format="mp4", options=options)
        self._stream = self._container.add_mux_stream(
            self._make.codec,
            width=self._make.width,
            height=self._make.height,
            time_base=TIME_BASE,
        )

    def write(self, piece: Piece) -> None:
        """Append a piece; the first must be a key picture.

        Raises:
            OSError: The disk is full or fails; what was written before stays.
        """
        assert self._container is not None, "write is for between open and finish"
        assert self._file is not None
        if not self.pictures:
            self._first_decoded, self.begins_ns = piece.decoded, piece.at_ns
        self._container.mux(self._packet(piece))
        self.pictures += 1
        self.ends_ns = piece.at_ns
        if self._file.sync_fragment():
            self.is_begun = True

    def finish(self) -> None:
        """Close it in good order and give it its name.

        Raises:
            OSError: The disk is full or fails; what was written before can be played.
        """
        container, self._container = self._container, None
        file = self._file
        if container is None or file is None:
            return
        try:
            container.close()
            file.sync()
        finally:
            file.close()
        unfinished(self._path).rename(self._path)
        sync_folder(self._path.parent)

    def give_up(self) -> None:
        """Leave it as it is on the disk, or remove it if nothing of it can be played."""
        self._container = None  # its end is not written: that needs a disk that takes it
        if self._file is not None:
            self._file.refuse()
            self._file.close()
            if not self.is_begun:
                with contextlib.suppress(OSError):
                    unfinished(self._path).unlink()

    def _packet(self, piece: Piece) -> av.Packet[av.stream.Stream]:
        packet = av.Packet(piece.data)
        packet.time_base = TIME_BASE
        packet.pts = piece.shown - self._first_decoded
        packet.dts = piece.decoded - self._first_decoded
        packet.is_keyframe = piece.is_key
        assert self._stream is not None
        packet.stream = self._stream
        return packet


class _SyncedFile:
    """The file as FFmpeg writes it; brings each fragment to the disk."""

    def __init__(self, path: Path) -> None:
        # What is there already is not ours to write over: a film that another child began.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor: int | None = os.open(path, flags, 0o600)
        self._has_fragment = False
        self._is_refused = False

    # What FFmpeg calls

    def write(self, data: bytes) -> int:
        if self._is_refused or self._descriptor is None:
            return len(data)  # whatever FFmpeg still wants to get rid of goes nowhere
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]
        self._has_fragment = self._has_fragment or data[4:8] == _FRAGMENT
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return 0 if self._descriptor is None else os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return 0 if self._descriptor is None else os.lseek(self._descriptor, 0, os.SEEK_CUR)

    # What we call

    def sync_fragment(self) -> bool:
        """Bring a fragment that was just written to the disk; return whether there was one."""
        if not self._has_fragment:
            return False
        self._has_fragment = False
        self.sync()
        return True

    def sync(self) -> None:
        if self._descriptor is not None:
            os.fdatasync(self._descriptor)

    def refuse(self) -> None:
        """Take nothing more."""
        self._is_refused = True

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
