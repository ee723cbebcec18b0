"""Films in a source's child: when they begin and end, and what a slow disk costs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from camera_app.capture import film_file
from camera_app.capture.filming import FilmDesk, FilmMeans, FilmWriter
from camera_app.capture.pieces import Piece
from camera_app.capture.wire import FilmEnd, FilmNews, FilmOrder, FilmWish, unfinished
from camera_app.clock import NS_PER_S
from camera_app.values import Yuv420
from tests.capture.test_film_file import brightness, pieces
from tests.waiting import wait_until

S = NS_PER_S


class Filmed:
    """A desk that is fed pieces of ten flat pictures a second, a key picture every two seconds."""

    def __init__(self, folder: Path, means: FilmMeans | None = None) -> None:
        self.folder = folder
        self.desk = FilmDesk(means or FilmMeans(before_s=3.0), is_masked=False)
        self.desk._note_opened(True)  # as a source that can be copied does
        self.heard: list[FilmNews] = []
        self._pieces = pieces(1000)

    def wish(self, name: str, from_s: float, until_s: float, **options: bool | int) -> FilmWish:
        path = str(self.folder / name)
        return FilmWish(path, round(from_s * S), round(until_s * S), **options)

    def order(self, film: FilmWish | None = None, *, is_on: bool = True) -> None:
        self.desk.obey(FilmOrder(is_on, film))

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.desk.add([next(self._pieces)])

    def add(self, piece: Piece) -> None:
        self.desk.add([piece])

    def news(self, why: str) -> FilmNews:
        """Wait for a piece of news of this kind."""

        def has_come() -> bool:
            self.heard += self.desk.news()
            return any(one.why == why for one in self.heard)

        assert wait_until(has_come), self.heard
        return next(one for one in self.heard if one.why == why)


@pytest.fixture
def filmed(tmp_path: Path) -> Iterator[Callable[..., Filmed]]:
    made: list[Filmed] = []

    def make(means: FilmMeans | None = None) -> Filmed:
        made.append(Filmed(tmp_path, means))
        return made[-1]

    yield make
    for one in made:
        one.desk.close()


def test_a_film_begins_before_it_was_asked_for_and_ends_when_it_is_over(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    film = filmed()
    film.order()
    film.run(6.0)
    film.order(film.wish("a.mp4", 3.0, 8.0))
    film.run(4.0)
    news = film.news(FilmEnd.OVER)
    # From the key picture before 3.0 s, which is at 2.0, until the last picture at or before 8.0.
    assert (news.begins_ns, news.ends_ns, news.pictures) == (2 * S, 8 * S, 61)
    assert brightness(tmp_path / "a.mp4") == [number % 24 for number in range(20, 81)]
    begun = film.heard[0]
    assert (begun.why, begun.is_kept, begun.begins_ns) == ("", True, 2 * S)


def test_the_end_of_a_film_can_be_moved_while_it_is_written(
    filmed: Callable[..., Filmed],
) -> None:
    film = filmed()
    film.order()
    film.run(1.0)
    film.order(film.wish("a.mp4", 0.0, 3.0))
    film.run(1.0)
    film.order(film.wish("a.mp4", 0.0, 5.0))
    film.run(6.0)
    assert film.news(FilmEnd.OVER).ends_ns == 5 * S


def test_a_long_film_goes_on_in_the_next_without_a_hole_and_without_a_repeat(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    film = filmed()
    film.order()
    film.run(1.0)
    film.order(film.wish("a.mp4", 0.0, 4.5, goes_on=True))
    film.run(7.0)
    first = film.news(FilmEnd.LONG)
    assert first.ends_ns == 6 * S  # the key picture after 4.5 s
    film.order(film.wish("b.mp4", first.ends_ns / S, 9.0, follows=True))
    film.run(3.0)
    film.news(FilmEnd.OVER)
    shown = brightness(tmp_path / "a.mp4") + brightness(tmp_path / "b.mp4")
    assert shown == [number % 24 for number in range(91)]


def test_a_film_that_takes_too_much_is_ended_as_if_it_were_long(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    film = filmed()
    film.order()
    film.run(1.0)
    film.order(film.wish("a.mp4", 0.0, 1000.0, goes_on=True, limit_bytes=2000))
    film.run(9.0)
    assert film.news(FilmEnd.LONG).ends_ns < 10 * S


def test_the_film_after_one_that_took_too_much_is_measured_by_itself(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    """It once ended at once, without a picture, by the size of the film before it."""
    film = filmed()
    film.order()
    film.order(film.wish("a.mp4", 0.0, 1000.0, goes_on=True, limit_bytes=2000))
    film.run(10.0)
    first = film.news(FilmEnd.LONG)
    film.order(
        film.wish("b.mp4", first.ends_ns / S, 1000.0, goes_on=True, follows=True, limit_bytes=2000)
    )
    film.run(20.0)
    film.heard.clear()
    second = film.news(FilmEnd.LONG)
    assert Path(second.path).name == "b.mp4"
    assert second.pictures > 20
    assert len(brightness(tmp_path / "b.mp4")) == second.pictures


def test_a_change_of_size_ends_a_film_and_begins_the_next(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    film = filmed()
    film.order()
    film.run(2.0)
    film.order(film.wish("a.mp4", 0.0, 100.0, goes_on=True))
    large = [
        replace(
            one, at_ns=one.at_ns + 2 * S, decoded=one.decoded + 180_000, shown=one.shown + 180_000
        )
        for one in pieces(30, size=(96, 64))
    ]
    for one in large:
        film.add(one)
    news = film.news(FilmEnd.CHANGED)
    assert (news.pictures, news.ends_ns) == (20, 2 * S)
    film.order(film.wish("b.mp4", news.ends_ns / S, 4.0, follows=True))
    film.add(replace(large[-1], at_ns=5 * S, decoded=2_000_000, shown=2_000_000))
    film.news(FilmEnd.OVER)
    assert brightness(tmp_path / "a.mp4") == list(range(20))
    assert brightness(tmp_path / "b.mp4") == list(range(21))


def test_nothing_is_kept_of_the_time_in_which_nobody_wanted_it(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    """As while a camera's privacy is on, and shortly after."""
    film = filmed()
    film.order()
    film.run(4.0)
    film.order(is_on=False)
    film.run(2.0)
    film.order()
    film.order(film.wish("a.mp4", 0.0, 100.0))
    film.run(3.0)
    film.order()
    news = film.news(FilmEnd.STOPPED)
    assert news.begins_ns == 6 * S  # the first key picture after it was wanted again
    assert brightness(tmp_path / "a.mp4") == [number % 24 for number in range(60, 90)]


def test_a_film_that_is_not_wanted_any_more_ends_at_once(filmed: Callable[..., Filmed]) -> None:
    film = filmed()
    film.order()
    film.run(3.0)
    film.order(film.wish("a.mp4", 0.0, 100.0, goes_on=True))
    film.run(1.0)
    film.order(is_on=False)
    assert film.news(FilmEnd.STOPPED).ends_ns == 3.9 * S


def test_a_film_for_which_nothing_is_there_any_more_is_said_to_be_none(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    film = filmed()
    film.order()
    film.run(30.0)
    film.order(film.wish("a.mp4", 1.0, 2.0))
    film.run(0.1)
    assert not film.news(FilmEnd.OVER).is_kept
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_copied_is_refused_where_nothing_else_is_allowed(tmp_path: Path) -> None:
    desk = FilmDesk(FilmMeans(method="copy"), is_masked=False)
    desk.obey(FilmOrder(True, FilmWish(str(tmp_path / "a.mp4"), 0, S)))
    assert [(one.why, one.is_kept) for one in desk.news()] == [(FilmEnd.CANNOT, False)]
    desk.close()


@pytest.mark.parametrize("method", ["auto", "copy", "encode"])
def test_what_a_masked_camera_sends_is_never_tapped(method: str) -> None:
    assert FilmDesk(FilmMeans(method=method), is_masked=True).tap() is None


def test_a_disk_that_takes_nothing_holds_up_nobody_and_what_is_left_out_is_counted(
    tmp_path: Path,
) -> None:
    writer = FilmWriter(limit_bytes=6000)  # not started: a disk that never comes back
    made = list(pieces(300))
    writer.begin(tmp_path / "a.mp4", made[0].make)
    for one in made:
        writer.put(one)
    waiting = [one for one in writer._waiting if isinstance(one, Piece)]
    assert sum(len(one.data) for one in waiting) <= 6000
    assert writer._left_out == 300 - len(waiting) > 0
    # A hole ends with a key picture: what comes before it could not be decoded.
    for before, after in pairwise(waiting):
        assert after.is_key or after.at_ns - before.at_ns == S // 10


def test_a_slow_disk_leaves_holes_that_the_news_tell_of(
    filmed: Callable[..., Filmed], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_slow, goes_on = threading.Event(), threading.Event()
    fdatasync = film_file.os.fdatasync

    def slow_sync(descriptor: int) -> None:
        is_slow.set()
        assert goes_on.wait(30)
        fdatasync(descriptor)

    monkeypatch.setattr(film_file.os, "fdatasync", slow_sync)
    film = filmed(FilmMeans(before_s=3.0, buffer_bytes=1500))
    film.order()
    film.order(film.wish("a.mp4", 0.0, 60.0))
    film.run(5.0)
    assert is_slow.wait(30)
    film.run(45.0)  # comes back at once: more than can wait, and nobody waits
    goes_on.set()
    wait_until(lambda: not film.desk._writer._waiting)
    film.run(15.0)
    news = film.news(FilmEnd.OVER)
    assert news.left_out > 100
    assert news.pictures + news.left_out == 601
    assert len(brightness(tmp_path / "a.mp4")) == news.pictures


def test_a_disk_that_fails_costs_the_film_and_nothing_else(
    filmed: Callable[..., Filmed], tmp_path: Path
) -> None:
    (tmp_path / "blocked").write_text("no folder")
    film = filmed()
    film.order()
    film.run(3.0)
    film.order(replace(film.wish("a.mp4", 0.0, 9.0), path=str(tmp_path / "blocked" / "a.mp4")))
    film.run(1.0)
    news = film.news(FilmEnd.FAILED)
    assert not news.is_kept
    film.order(film.wish("b.mp4", 0.0, 6.0))
    film.run(4.0)
    assert film.news(FilmEnd.OVER).path == str(tmp_path / "b.mp4")


def test_a_child_that_ends_closes_its_film(filmed: Callable[..., Filmed], tmp_path: Path) -> None:
    film = filmed()
    film.order()
    film.run(3.0)
    film.order(film.wish("a.mp4", 0.0, 100.0, goes_on=True))
    film.run(1.0)
    film.desk.close()
    assert film.news(FilmEnd.SOURCE).pictures == 40
    assert len(brightness(tmp_path / "a.mp4")) == 40
    assert not unfinished(tmp_path / "a.mp4").exists()


def test_pictures_are_encoded_where_nothing_can_be_copied(tmp_path: Path) -> None:
    desk = FilmDesk(FilmMeans(encode_fps=5.0), is_masked=True)
    desk.obey(FilmOrder(True, FilmWish(str(tmp_path / "a.mp4"), 0, 100 * S)))
    luma, chroma = np.full((49, 65), 200, np.uint8), np.full((25, 33), 128, np.uint8)
    for number in range(60):
        desk.show(Yuv420(luma, chroma, chroma), number * S // 10)
        wait_until(lambda: desk._encoder._box._value is None)
    desk.obey(FilmOrder(True))
    heard: list[FilmNews] = []

    def is_closed() -> bool:
        heard.extend(desk.news())
        return any(one.why == FilmEnd.STOPPED for one in heard)

    assert wait_until(is_closed)
    # Ten a second were shown, five a second are wanted; an odd size is made even.
    assert 28 <= heard[-1].pictures <= 30
    assert set(brightness(tmp_path / "a.mp4")) == {20}
    desk.close()
