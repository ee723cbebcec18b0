"""Films in the child of a source: the last seconds are kept, and written when the parent says so.

Nothing here may hold up a frame on its way to the parent. Pieces come from the reader's thread or
from the encoder's; a thread of its own writes them, and what a slow disk does not take in time is
left out up to the next key picture, and counted.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from camera_app.capture.pieces import Make, Piece, PieceRing, from_key
from camera_app.capture.wire import FilmEnd, FilmNews, FilmOrder, FilmWish
from camera_app.clock import NS_PER_S
from camera_app.durable import is_full
from camera_app.threads import stand_back
from camera_app.values import Yuv420

if TYPE_CHECKING:  # FFmpeg is loaded when there is something to film: a ribbon camera may never
    from camera_app.capture.container import PacketTap
    from camera_app.capture.encoding import EncoderThread
    from camera_app.capture.film_file import FilmFile

_log = logging.getLogger(__name__)

# From the first sight of an object to the word that a film is wanted: an event begins only when
# its object was seen for a while, and is then dated back.
NOTICE_S = 5.0
# A film that goes on waits this long for the key picture that begins the next one.
KEY_WAIT_NS = 15 * NS_PER_S
CLOSE_LIMIT_S = 3.0

Method = Literal["auto", "copy", "encode"]


@dataclass(frozen=True, slots=True)
class FilmMeans:
    """How a child films.

    Attributes:
        method: `copy` what the camera sends, `encode` what is looked at, or what can be (`auto`).
        before_s: Seconds that a film begins before its event.
        encode_fps: Pictures a second where it has to be encoded.
        buffer_bytes: Most memory for what was before an event.
    """

    method: Method = "auto"
    before_s: float = 5.0
    encode_fps: float = 5.0
    buffer_bytes: int = 16_000_000

    @property
    def waiting_bytes(self) -> int:
        """Most memory for what waits for the disk."""
        return 2 * self.buffer_bytes


class FilmDesk:
    """Keeps the last seconds of a source and writes the film that is wanted.

    Args:
        means: How.
        is_masked: There are privacy masks: then nothing that the camera sends is kept as it is.
    """

    def __init__(self, means: FilmMeans, *, is_masked: bool) -> None:
        self._means = means
        self._may_copy = means.method != "encode" and not is_masked
        self._may_encode = means.method != "copy"
        self._encoder: EncoderThread | None = None  # of the reader's thread
        self._writer: FilmWriter | None = None  # the same
        self._order = FilmOrder()  # the same
        self._lock = threading.Lock()  # guards every field below
        self._is_on = False
        self._copies = False
        self._ring = PieceRing(means.before_s + NOTICE_S, means.buffer_bytes)
        self._wish: FilmWish | None = None  # what is to be written, or is
        self._make: Make | None = None  # of the film that is being written; None: none is
        self._news: deque[FilmNews] = deque()

    # On the reader's thread

    def tap(self) -> PacketTap | None:
        """Return what is to be put at the reader's packets; None: nothing."""
        if not self._may_copy:
            return None
        from camera_app.capture.copying import Copier

        return Copier(lambda: self._is_on, lambda piece: self.add((piece,)), self._note_opened)

    def obey(self, order: FilmOrder) -> None:
        """Do from now on what an order says."""
        before, self._order = self._order, order
        if order.is_on and not before.is_on:
            self._begin_keeping()
        with self._lock:
            self._is_on = order.is_on
            self._follow(order.film if order.is_on else None)
            if not order.is_on:
                self._ring.clear()
        if not order.is_on:
            self._stop_encoder()

    def show(self, picture: Yuv420, at_ns: int) -> None:
        """Take a picture, its masks painted, that goes to the parent."""
        if not self._is_on or self._copies or not self._may_encode:
            return
        if self._encoder is None:
            from camera_app.capture.encoding import EncoderThread

            self._encoder = EncoderThread(self._means.encode_fps, self.add)
            self._encoder.start()
        self._encoder.show(picture, at_ns)

    def news(self) -> list[FilmNews]:
        """Return what is to be told; each is told once."""
        with self._lock:
            told, self._news = list(self._news), deque()
        if self._writer is not None:
            told += self._writer.news()
        return told

    def close(self) -> None:
        """End the film that is being written, and wait for the disk for a while."""
        self._stop_encoder()
        with self._lock:
            self._is_on = False
            self._end(FilmEnd.SOURCE)
        if self._writer is not None:
            self._writer.stop()

    def _begin_keeping(self) -> None:
        if self._writer is None:
            self._writer = FilmWriter(self._means.waiting_bytes)
            self._writer.start()

    def _stop_encoder(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.stop()

    def _note_opened(self, is_copyable: bool) -> None:
        with self._lock:
            self._copies = is_copyable

    # On the thread that makes the pieces

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take pieces; never waits for the disk."""
        with self._lock:
            if not self._is_on:
                return
            for piece in pieces:
                self._ring.add(piece)
                if self._make is not None:
                    self._go_on(piece)
                else:
                    self._begin_if_due(piece.at_ns)

    # With the lock held

    def _follow(self, wish: FilmWish | None) -> None:
        """Take on another wish; one for the film that is being written only moves its end."""
        now = self._wish
        if wish is not None and now is not None and wish.path == now.path:
            self._wish = wish
            return
        self._end(FilmEnd.STOPPED)
        if wish is None:
            return
        if not self._copies and not self._may_encode:
            self._news.append(FilmNews(wish.path, FilmEnd.CANNOT, is_kept=False))
            return
        self._wish = wish
        newest = self._ring.newest
        if newest is not None:
            self._begin_if_due(newest.at_ns)

    def _begin_if_due(self, now_ns: int) -> None:
        wish = self._wish
        if wish is None:
            return
        pieces = self._material_for(wish)
        if pieces:
            self._begin(wish, pieces)
        elif now_ns > wish.until_ns:
            self._wish = None
            self._news.append(FilmNews(wish.path, FilmEnd.OVER, is_kept=False))

    def _material_for(self, wish: FilmWish) -> list[Piece]:
        """Return what is there of a film that is to begin, from a key picture on."""
        pieces = self._ring.since(wish.from_ns)
        if wish.follows:
            pieces = from_key([one for one in pieces if one.at_ns >= wish.from_ns])
        return pieces if pieces and pieces[0].at_ns <= wish.until_ns else []

    def _begin(self, wish: FilmWish, pieces: list[Piece]) -> None:
        assert self._writer is not None
        self._make = pieces[0].make
        self._writer.begin(Path(wish.path), self._make)
        for piece in pieces:
            if self._make is not None:  # or its end is among them
                self._go_on(piece)

    def _go_on(self, piece: Piece) -> None:
        """Write a piece to the film, or end that before it."""
        wish, writer = self._wish, self._writer
        assert wish is not None
        assert writer is not None
        if writer.failed == Path(wish.path):
            self._wish = self._make = None  # the writer tells of it
        elif piece.make != self._make:
            self._end(FilmEnd.CHANGED, piece.at_ns)
        elif wish.goes_on and self._is_long_enough(wish, piece):
            self._end(FilmEnd.LONG, piece.at_ns)
        elif not wish.goes_on and piece.at_ns > wish.until_ns:
            self._end(FilmEnd.OVER)
        else:
            writer.put(piece)

    def _is_long_enough(self, wish: FilmWish, piece: Piece) -> bool:
        assert self._writer is not None
        is_full = self._writer.size_bytes >= wish.limit_bytes
        if piece.is_key:
            return is_full or piece.at_ns > wish.until_ns
        return piece.at_ns > wish.until_ns + KEY_WAIT_NS

    def _end(self, why: str, ends_ns: int | None = None) -> None:
        wish, self._wish = self._wish, None
        is_writing, self._make = self._make is not None, None
        if is_writing and self._writer is not None:
            self._writer.end(why, ends_ns)
        elif wish is not None:
            self._news.append(FilmNews(wish.path, why, is_kept=False))


@dataclass(frozen=True, slots=True)
class _Beginning:
    path: Path
    make: Make


@dataclass(frozen=True, slots=True)
class _Ending:
    """The end of a film; `ends_ns` None: with its last picture."""

    why: str
    ends_ns: int | None
    left_out: int


class FilmWriter:
    """The thread that writes: films one after the other, pieces in order.

    Args:
        limit_bytes: So much may wait for the disk; what is more is left out, up to the next key
            picture.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._thread = threading.Thread(target=self._run, name="film-writer", daemon=True)
        # Of this thread.
        self._path = Path()
        self._film: FilmFile | None = None
        self._is_told = False
        self._changed = threading.Condition()  # guards every field below
        self._waiting: deque[_Beginning | _Ending | Piece] = deque()
        self._waiting_bytes = 0
        self._left_out = 0  # of the film whose pieces are put now
        self._put_bytes = 0  # the same
        self._is_lossy = False  # pieces are left out until the next key picture
        self._is_stopped = False
        self._news: deque[FilmNews] = deque()
        self.failed: Path | None = None  # the last film that was given up

    @property
    def size_bytes(self) -> int:
        """What the film whose pieces are put now takes, or will."""
        with self._changed:
            return self._put_bytes

    def start(self) -> None:
        self._thread.start()

    def begin(self, path: Path, make: Make) -> None:
        with self._changed:
            self._left_out, self._put_bytes, self._is_lossy = 0, 0, False
            self._waiting.append(_Beginning(path, make))
            self._changed.notify()

    def put(self, piece: Piece) -> None:
        """Hand a piece over, or leave it out; never waits."""
        with self._changed:
            is_room = self._waiting_bytes + len(piece.data) <= self._limit_bytes
            self._is_lossy = not is_room or (self._is_lossy and not piece.is_key)
            if self._is_lossy:
                self._left_out += 1
                return
            self._waiting.append(piece)
            self._waiting_bytes += len(piece.data)
            self._put_bytes += len(piece.data)
            self._changed.notify()

    def end(self, why: str, ends_ns: int | None = None) -> None:
        with self._changed:
            self._waiting.append(_Ending(why, ends_ns, self._left_out))
            self._changed.notify()

    def news(self) -> list[FilmNews]:
        with self._changed:
            told, self._news = list(self._news), deque()
            return told

    def stop(self) -> None:
        """Write what waits, and end; a disk that takes too long is not waited for."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify()
        self._thread.join(CLOSE_LIMIT_S)

    def _run(self) -> None:
        stand_back()
        while (job := self._next()) is not None:
            try:
                self._do(job)
            except Exception as error:
                # The safety net of this thread: a film is lost then, and never the camera.
                self._fail(error)

    def _next(self) -> _Beginning | _Ending | Piece | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._waiting) or self._is_stopped)
            if not self._waiting:
                return None
            job = self._waiting.popleft()
            if isinstance(job, Piece):
                self._waiting_bytes -= len(job.data)
            return job

    def _do(self, job: _Beginning | _Ending | Piece) -> None:
        if isinstance(job, _Beginning):
            from camera_app.capture.film_file import FilmFile

            self._path, self._is_told = job.path, False
            self._film = FilmFile(job.path, job.make)
            self._film.open()
        elif self._film is None:
            return  # it was given up
        elif isinstance(job, Piece):
            self._film.write(job)
            self._note_progress(self._film)
        else:
            self._film.finish()
            self._tell(self._news_of(self._film, job))
            self._film = None

    def _note_progress(self, film: FilmFile) -> None:
        if film.is_begun and not self._is_told:
            self._is_told = True
            self._tell(FilmNews(str(self._path), begins_ns=film.begins_ns))

    def _fail(self, error: Exception) -> None:
        """Give a film up; what of it is on the disk stays."""
        is_out_of_room = isinstance(error, OSError) and is_full(error)
        _log.warning("film %s: cannot be written on: %s", self._path.name, error)
        film, self._film = self._film, None
        self.failed = self._path
        why = FilmEnd.FULL if is_out_of_room else FilmEnd.FAILED
        if film is None:
            self._tell(FilmNews(str(self._path), why, is_kept=False))
            return
        film.give_up()
        news = self._news_of(film, _Ending(why, None, self._left_out))
        self._tell(replace(news, is_kept=film.is_begun))

    def _news_of(self, film: FilmFile, end: _Ending) -> FilmNews:
        return FilmNews(
            str(self._path),
            end.why,
            begins_ns=film.begins_ns,
            ends_ns=film.ends_ns if end.ends_ns is None else end.ends_ns,
            pictures=film.pictures,
            left_out=end.left_out,
        )

    def _tell(self, news: FilmNews) -> None:
        with self._changed:
            self._news.append(news)
