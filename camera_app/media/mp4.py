"""What of an MP4 is whole: for films whose writer was killed in the middle.

Reads boxes (ISO/IEC 14496-12) and no pictures: so nothing of a damaged film reaches a decoder.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_HEADER = struct.Struct(">I4s")
_LONG_SIZE = struct.Struct(">Q")
# A box that describes is kilobytes long; one that claims more is damage.
_DESCRIPTION_LIMIT = 16 * 1024 * 1024


class NotPlayable(ValueError):
    """There is nothing in it that can be played."""


@dataclass(frozen=True, slots=True)
class Playable:
    """The part of a film that can be played.

    Attributes:
        size_bytes: Its length; what comes after it is damage.
        lasts_s: How long it lasts, in seconds.
        is_whole: It was closed in good order.
    """

    size_bytes: int
    lasts_s: float
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Box:
    kind: bytes
    begins: int  # of its content
    ends: int


def playable(file: BinaryIO) -> Playable:
    """Return what of a film can be played.

    Raises:
        NotPlayable: Nothing can.
        OSError: It cannot be read.
    """
    moov: bytes | None = None
    fragment: bytes | None = None
    ends, last = 0, b""
    for box in _boxes(file):
        if box.kind == b"moov":
            moov = _content(file, box)
            ends = box.ends
        elif box.kind == b"moof":
            last = _content(file, box)
        elif box.kind == b"mdat" and last and moov is not None:
            fragment, last, ends = last, b"", box.ends
    if moov is None:
        raise NotPlayable("has no header")
    timescale, lasts = _of_header(moov)
    if fragment is None:
        if not lasts:
            raise NotPlayable("has no picture")
        return Playable(ends, lasts / timescale, is_whole=True)
    return Playable(ends, _end_of(fragment) / timescale, is_whole=False)


def _boxes(file: BinaryIO) -> Iterator[_Box]:
    """Yield the outermost boxes that are there to their last byte."""
    size = file.seek(0, 2)
    at = 0
    while at + _HEADER.size <= size:
        file.seek(at)
        length, kind = _HEADER.unpack(file.read(_HEADER.size))
        head = _HEADER.size
        if length == 1 and at + 16 <= size:
            (length,) = _LONG_SIZE.unpack(file.read(_LONG_SIZE.size))
            head = 16
        if length < head or at + length > size:
            return
        yield _Box(kind, at + head, at + length)
        at += length


def _content(file: BinaryIO, box: _Box) -> bytes:
    if box.ends - box.begins > _DESCRIPTION_LIMIT:
        raise NotPlayable("is damaged")
    file.seek(box.begins)
    return file.read(box.ends - box.begins)


def _inner(content: bytes, *path: bytes) -> bytes:
    """Return the content of the first box at a path of kinds; empty: there is none."""
    for wanted in path:
        at, found = 0, b""
        while at + _HEADER.size <= len(content):
            length, kind = _HEADER.unpack_from(content, at)
            if length < _HEADER.size:
                break
            if kind == wanted:
                found = content[at + _HEADER.size : at + length]
                break
            at += length
        content = found
    return content


def _of_header(moov: bytes) -> tuple[int, int]:
    """Return ticks a second and length in ticks, as the first track's `mdhd` has them."""
    mdhd = _inner(moov, b"trak", b"mdia", b"mdhd")
    try:
        if mdhd[0] == 1:
            timescale, lasts = struct.unpack_from(">IQ", mdhd, 20)
        else:
            timescale, lasts = struct.unpack_from(">II", mdhd, 12)
    except (IndexError, struct.error) as error:
        raise NotPlayable("has a damaged header") from error
    if not timescale:
        raise NotPlayable("has a damaged header")
    return timescale, lasts


def _end_of(moof: bytes) -> int:
    """Return when a fragment ends, in ticks of its track: its `tfdt` and all of its `trun`."""
    traf = _inner(moof, b"traf")
    tfhd, tfdt, trun = _inner(traf, b"tfhd"), _inner(traf, b"tfdt"), _inner(traf, b"trun")
    try:
        (begins,) = struct.unpack_from(">Q" if tfdt[0] == 1 else ">I", tfdt, 4)
        return int(begins) + _length_of(trun, _default_duration(tfhd))
    except (IndexError, struct.error) as error:
        raise NotPlayable("has a damaged fragment") from error


def _default_duration(tfhd: bytes) -> int:
    flags = int.from_bytes(tfhd[1:4], "big")
    if not flags & 0x08:
        return 0
    at = 8 + 8 * bool(flags & 0x01) + 4 * bool(flags & 0x02)
    (duration,) = struct.unpack_from(">I", tfhd, at)
    return int(duration)


def _length_of(trun: bytes, default: int) -> int:
    flags, (count,) = int.from_bytes(trun[1:4], "big"), struct.unpack_from(">I", trun, 4)
    if not flags & 0x100:
        return int(count) * default
    at = 8 + 4 * bool(flags & 0x01) + 4 * bool(flags & 0x04)
    step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    return sum(struct.unpack_from(">I", trun, at + step * index)[0] for index in range(count))
