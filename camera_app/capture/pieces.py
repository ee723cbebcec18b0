"""Compressed pictures as they come, the last few seconds of them, and their time in a film. Pure.

What makes pieces is in `filming.py`, what writes them in `film_file.py`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from camera_app.clock import NS_PER_S

# What an MP4 holds and players play. Anything else has to be compressed anew.
COPYABLE = frozenset({"h264", "hevc"})
TICKS_PER_S = 90_000  # the time base of a film
# A stamp that runs ahead of the real time by more than this is a new time line.
AHEAD_NS = 10 * NS_PER_S
# One that falls back by less is a picture out of order, not a new time line.
BEHIND_NS = NS_PER_S
# A picture is shown this much after it is decoded, at most; more is a wrong stamp.
_LONGEST_REORDER = 5 * TICKS_PER_S


@dataclass(frozen=True, slots=True)
class Piece:
    """One compressed picture.

    Attributes:
        data: H.264 or H.265 as a byte stream (Annex B), with its parameter sets if it is a key
            picture.
        at_ns: When it came, monotonic.
        shown: When it is shown, in ticks of the film's time base, from any zero.
        decoded: When it is decoded, likewise; strictly rising from piece to piece.
        is_key: It can be decoded without those before it.
        make: What it was coded by: codec, size and parameter sets. A film has one make only.
    """

    data: bytes
    at_ns: int
    shown: int
    decoded: int
    is_key: bool
    make: Make


@dataclass(frozen=True, slots=True)
class Make:
    """What one film can hold only one of.

    Attributes:
        codec: `h264` or `hevc`.
        width: In pixels.
        height: In pixels.
        parameters: The parameter sets, as they stand in the stream.
    """

    codec: str
    width: int
    height: int
    parameters: bytes


class FilmClock:
    """Turns the stamps of a stream into ticks that only ever rise, whatever a camera sends.

    The stream's own distances hold while they make sense; where they do not (a stamp is missing,
    jumps, or begins anew) the real time between two pictures takes their place.
    """

    def __init__(self) -> None:
        self._decoded = 0
        self._stamp_ns: int | None = None  # of the last piece, as the stream has it
        self._at_ns: int | None = None
        self._ahead = 0  # ticks by which we were moved on to keep rising

    def ticks(self, shown_ns: int | None, decoded_ns: int | None, at_ns: int) -> tuple[int, int]:
        """Return when the next piece is shown and decoded, in ticks.

        Args:
            shown_ns: The stream's own stamp; None: it has none.
            decoded_ns: The same for its decoding.
            at_ns: When the piece came, monotonic.
        """
        stamp_ns = shown_ns if decoded_ns is None else decoded_ns
        if self._at_ns is not None:
            self._decoded += self._step(stamp_ns, at_ns - self._at_ns)
        self._stamp_ns, self._at_ns = stamp_ns, at_ns
        later = 0
        if shown_ns is not None and decoded_ns is not None:
            later = min(max(0, _ticks(shown_ns - decoded_ns) - self._ahead), _LONGEST_REORDER)
        return self._decoded + later, self._decoded

    def _step(self, stamp_ns: int | None, real_ns: int) -> int:
        if stamp_ns is None or self._stamp_ns is None:
            return self._real_step(real_ns)
        step_ns = stamp_ns - self._stamp_ns
        if step_ns < -BEHIND_NS or step_ns > max(0, real_ns) + AHEAD_NS:
            return self._real_step(real_ns)
        step = _ticks(step_ns) - self._ahead
        self._ahead = max(0, 1 - step)
        return max(1, step)

    def _real_step(self, real_ns: int) -> int:
        self._ahead = 0
        return max(1, _ticks(real_ns))


class PieceRing:
    """The newest pieces: bounded by seconds and by bytes, always from a key picture on.

    Args:
        keep_s: So much is kept, and up to one more key picture's distance.
        limit_bytes: More is never kept; nothing is where one key picture's distance is more.

    Attributes:
        size_bytes: What is kept.
    """

    def __init__(self, keep_s: float, limit_bytes: int) -> None:
        self._keep_ns = round(keep_s * NS_PER_S)
        self._limit_bytes = limit_bytes
        self._pieces: deque[Piece] = deque()
        self._keys_ns: deque[int] = deque()  # of the key pictures in it
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, piece: Piece) -> None:
        """Keep a piece, and let go of what is too old or too much."""
        if not self._pieces and not piece.is_key:
            return  # nothing before the next key picture could be decoded
        self._pieces.append(piece)
        self.size_bytes += len(piece.data)
        if piece.is_key:
            self._keys_ns.append(piece.at_ns)
        while self._has_too_old(piece.at_ns) or self.size_bytes > self._limit_bytes:
            self._drop_first()

    def since(self, from_ns: int) -> list[Piece]:
        """Return the pieces from a moment on, beginning with the key picture at or before it."""
        keys_before = [at_ns for at_ns in self._keys_ns if at_ns <= from_ns]
        begins_ns = keys_before[-1] if keys_before else from_ns
        return from_key([piece for piece in self._pieces if piece.at_ns >= begins_ns])

    @property
    def newest(self) -> Piece | None:
        """The last piece that came; None: it is empty."""
        return self._pieces[-1] if self._pieces else None

    def clear(self) -> None:
        """Forget everything."""
        self._pieces.clear()
        self._keys_ns.clear()
        self.size_bytes = 0

    def _has_too_old(self, now_ns: int) -> bool:
        """Say whether all that is wanted can be had without what the first key picture begins."""
        return len(self._keys_ns) > 1 and self._keys_ns[1] <= now_ns - self._keep_ns

    def _drop_first(self) -> None:
        self._drop_one()
        self._keys_ns.popleft()
        while self._pieces and not self._pieces[0].is_key:
            self._drop_one()

    def _drop_one(self) -> None:
        self.size_bytes -= len(self._pieces.popleft().data)


def from_key(pieces: list[Piece]) -> list[Piece]:
    """Return the pieces from the first key picture on: those before it cannot be decoded."""
    first = next((at for at, piece in enumerate(pieces) if piece.is_key), len(pieces))
    return pieces[first:]


def parameters_in(data: bytes, codec: str) -> bytes:
    """Return the parameter sets in a byte stream, each with its start code; empty: none.

    Source:
        Unit types 7 and 8 of ITU-T H.264 (table 7-1), 32 to 34 of H.265 (table 7-1).
    """
    return b"".join(b"\0\0\0\1" + unit for unit in _units(data) if _is_parameters(unit, codec))


def _is_parameters(unit: bytes, codec: str) -> bool:
    if codec == "h264":
        return unit[0] & 0x1F in (7, 8)
    return unit[0] >> 1 & 0x3F in (32, 33, 34)


def _units(data: bytes) -> list[bytes]:
    """Return the units before and including the first one that holds picture data.

    Parameter sets stand before that, and a picture's data is long: it is not searched through.
    """
    units: list[bytes] = []
    begin = data.find(b"\0\0\1")
    while begin >= 0 and len(units) < 32:
        begin += 3
        end = data.find(b"\0\0\1", begin, begin + 4096)
        unit = data[begin : end if end >= 0 else begin + 4096].rstrip(b"\0")
        if unit:
            units.append(unit)
        begin = end
    return units


def _ticks(span_ns: int) -> int:
    return round(span_ns * TICKS_PER_S / NS_PER_S)
