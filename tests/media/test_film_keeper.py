"""What becomes of films on the disk: registered, mended after a crash, deleted when too many."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camera_app.capture.film_file import FilmFile
from camera_app.capture.wire import unfinished
from camera_app.clock import NS_PER_S, ManualClock
from camera_app.config import RecordingSettings, RetentionSettings
from camera_app.media import FilmFolder, FilmKeeper, Recorder
from camera_app.media.film_plan import EndedFilm
from camera_app.media.films import FilmName, films_to_delete
from camera_app.store import (
    DATABASE_NAME,
    FILMS_FOLDER,
    EventFilter,
    EventQueries,
    EventStore,
    StoredFilm,
    known_films,
)
from tests.capture.test_film_file import pieces
from tests.store.conftest import EPOCH_NS, make_change
from tests.waiting import wait_until

ID = make_change(1).event.event_id
DAY_S = 86_400


class Kept:
    """A store, a folder of films, and who looks after them."""

    def __init__(self, folder: Path, **limits: float) -> None:
        self.database = folder / DATABASE_NAME
        settings = RecordingSettings.model_validate(limits)
        self.folder = FilmFolder("front", folder / FILMS_FOLDER / "front", settings)
        self.clock = ManualClock(100 * NS_PER_S, EPOCH_NS)
        self.store = EventStore(self.database, self.clock, RetentionSettings(max_days=1e5))
        self.is_dated = True
        self.keeper = self.new_keeper()

    def new_keeper(self) -> FilmKeeper:
        keeper = FilmKeeper(
            self.clock,
            self.store.note_films,
            lambda: known_films(self.database),
            lambda: self.is_dated,
        )
        keeper.look_after([self.folder])
        return keeper

    def written(self, began_s: float, *, is_cut: bool = False, count: int = 50) -> Path:
        """Write a film of so many pictures, ten a second."""
        name = FilmName(EPOCH_NS + round(began_s * NS_PER_S), ID)
        path = self.folder.folder / name.file
        made = list(pieces(count))
        film = FilmFile(path, made[0].make)
        film.open()
        for one in made:
            film.write(one)
        if not is_cut:
            film.finish()
        return path

    def ended(self, path: Path, began_s: float, *, is_finished: bool = True) -> EndedFilm:
        began_ns = round(began_s * NS_PER_S)
        ends_ns = began_ns + 5 * NS_PER_S if is_finished else None
        return EndedFilm(str(path), began_ns, ends_ns, 0, (ID,), is_finished)

    def films(self) -> list[StoredFilm]:
        """Return what is written down of the films of the event."""
        with EventQueries(self.database) as queries:
            return queries.films(ID)

    def has(self, count: int) -> bool:
        return wait_until(lambda: len(known_films(self.database)) == count)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    made: list[Kept] = []

    def make(**limits: float) -> Kept:
        one = Kept(tmp_path, **limits)
        made.append(one)
        one.store.start()
        return one

    yield make
    for one in made:
        one.keeper.stop()
        one.store.stop()


def test_a_name_tells_time_and_event() -> None:
    name = FilmName(1_767_225_600_123_000_000, ID)
    assert name.file == f"20260101-000000-123_{ID}.mp4"
    assert FilmName.read(name.file) == name
    assert FilmName.read("holiday.mp4") is None
    assert FilmName.read(f"../{name.file}") is None


def test_a_closed_film_is_written_down_with_its_events(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.keeper.start()
    path = one.written(90)
    one.keeper.take(one.folder, one.ended(path, 90))
    assert one.has(1)
    (film,) = one.films()
    assert film.name == f"front/{path.name}"
    assert (film.began_wall_ns, film.ended_wall_ns) == (
        EPOCH_NS + 90 * NS_PER_S,
        EPOCH_NS + 95 * NS_PER_S,
    )
    assert (film.size_bytes, film.is_whole) == (path.stat().st_size, True)
    assert one.keeper.content("front").size_bytes == path.stat().st_size


def test_a_film_made_before_the_date_was_known_is_dated_anew_and_keeps_its_name(
    kept: Callable[..., Kept],
) -> None:
    """A clock without a battery stood still for a month; the film once went for its age."""
    one = kept(max_days=10)
    one.clock.wall_offset_ns -= 30 * DAY_S * NS_PER_S
    one.is_dated = False
    one.keeper.start()
    path = one.written(90)
    wrong_ns = one.clock.wall_ns()
    os.utime(path, ns=(wrong_ns, wrong_ns))
    one.keeper.take(one.folder, one.ended(path, 90))
    assert one.has(1)
    assert one.films()[0].began_wall_ns < EPOCH_NS
    one.clock.wall_offset_ns = EPOCH_NS
    one.is_dated = True
    one.clock.advance(120)
    one.keeper.wake()
    began_ns = EPOCH_NS + 90 * NS_PER_S
    assert wait_until(lambda: [film.began_wall_ns for film in one.films()] == [began_ns])
    (film,) = one.films()
    assert (film.name, film.ended_wall_ns) == (f"front/{path.name}", began_ns + 5 * NS_PER_S)
    later = one.written(100)
    one.keeper.take(one.folder, one.ended(later, 100))
    assert wait_until(lambda: one.keeper.content("front").films == 2)  # it was tidied meanwhile
    assert path.stat().st_mtime_ns == film.ended_wall_ns


def test_a_film_that_was_cut_off_is_mended(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.keeper.start()
    path = one.written(90, is_cut=True)
    one.keeper.take(one.folder, one.ended(path, 90, is_finished=False))
    assert one.has(1)
    (film,) = one.films()
    assert not film.is_whole
    assert film.ended_wall_ns - film.began_wall_ns >= 3 * NS_PER_S
    assert path.exists()
    assert not unfinished(path).exists()


def test_a_film_of_which_nothing_can_be_kept_is_counted_and_logged(
    kept: Callable[..., Kept], caplog: pytest.LogCaptureFixture
) -> None:
    """Its writer was killed before the first picture was on the disk."""
    one = kept()
    one.keeper.start()
    path = one.folder.folder / FilmName(EPOCH_NS, ID).file
    path.parent.mkdir(parents=True)
    unfinished(path).write_bytes(b"\0\0\0\x18ftyp")
    recorder = Recorder(one.folder, one.keeper, one.clock, lambda: True)
    one.keeper.take(one.folder, one.ended(path, 90, is_finished=False))
    assert wait_until(lambda: recorder.stats.failed == 1)
    assert "is lost" in caplog.text
    assert not unfinished(path).exists()


def test_what_an_earlier_run_left_is_kept_or_deleted_and_brought_together(
    kept: Callable[..., Kept],
) -> None:
    """One film cut off, one never written down, one with nothing in it, one deleted by hand."""
    one = kept()
    one.store.commit([make_change(1, at_s=92)]).wait(30)
    one.keeper.start()
    gone = one.written(10)
    one.keeper.take(one.folder, one.ended(gone, 10))
    assert one.has(1)
    one.keeper.stop()
    gone.unlink()
    cut, unknown = one.written(90, is_cut=True), one.written(91)
    empty = unfinished(one.folder.folder / FilmName(EPOCH_NS, ID).file)
    empty.write_bytes(b"\0\0\0\x18ftyp")
    (one.folder.folder / "holiday.mp4").write_bytes(b"none of ours")
    one.keeper = one.new_keeper()
    one.keeper.start()
    assert wait_until(
        lambda: known_films(one.database) == {f"front/{path.name}" for path in (cut, unknown)}
    )
    assert (one.keeper.lost("front"), empty.exists()) == (1, False)
    assert [film.is_whole for film in one.films()] == [False, True]
    with EventQueries(one.database) as queries:
        (event,) = queries.events(EventFilter())
    assert event.films == (f"front/{cut.name}", f"front/{unknown.name}")
    assert (one.folder.folder / "holiday.mp4").exists()


def test_the_oldest_films_go_when_they_take_too_much_and_are_forgotten(
    kept: Callable[..., Kept],
) -> None:
    one = kept(max_megabytes=10)
    one.keeper.start()
    paths = [one.written(second) for second in range(90, 95)]
    for number, path in enumerate(paths):
        with path.open("ab") as file:  # what a real camera makes of it
            file.write(bytes(3_000_000))
        os.utime(path, (EPOCH_NS // NS_PER_S + number,) * 2)
        one.keeper.take(one.folder, one.ended(path, 90 + number))
    kept_names = {f"front/{path.name}" for path in paths[2:]}
    assert wait_until(lambda: known_films(one.database) == kept_names)
    assert [path.exists() for path in paths] == [False, False, True, True, True]
    assert len(one.films()) == 3


def test_age_counts_only_where_the_date_is_known(tmp_path: Path) -> None:
    settings = RecordingSettings(max_days=10, max_megabytes=10)
    folder = FilmFolder("front", tmp_path, settings)
    now_s = 1_800_000_000
    ages = {"old.mp4": now_s - 11 * DAY_S, "new.mp4": now_s - DAY_S, "undated.mp4": 1000}
    for name, written_s in ages.items():
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (written_s, written_s))
    assert [film.path.name for film in films_to_delete(folder, now_s)] == ["old.mp4"]
    assert films_to_delete(folder, 2000) == []


def test_a_folder_that_is_taken_away_is_no_reason_to_stop(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.keeper.start()
    path = one.written(90)
    one.keeper.take(one.folder, one.ended(path, 90))
    assert one.has(1)
    shutil.rmtree(one.folder.folder)
    one.keeper.take(one.folder, one.ended(path, 90))
    one.keeper.look_after([one.folder])
    later = one.written(95)
    one.keeper.take(one.folder, one.ended(later, 95))
    assert one.has(2)
