"""Films of a camera's events from end to end: a real source, its child, a real disk."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.capture import LiveSource
from camera_app.capture.backoff import BackOff
from camera_app.clock import NS_PER_S, SystemClock
from camera_app.config import CameraSettings, RetentionSettings
from camera_app.media import FilmFolder, FilmKeeper, Recorder
from camera_app.store import DATABASE_NAME, FILMS_FOLDER, EventStore, known_films
from camera_app.threads import LatestBox
from camera_app.values import ChangeType, EventChange, Frame
from tests.capture.conftest import make_clip
from tests.store.conftest import make_change
from tests.waiting import wait_until

__all__ = ["make_clip"]  # a fixture

LIMIT_S = 60.0


class Recorded:
    """A camera whose events are filmed, with all that stands behind it in the service."""

    def __init__(self, folder: Path, clip: Path) -> None:
        self.clock = SystemClock()
        settings = CameraSettings.model_validate(
            {
                "source": f"{clip}?loop=1",
                "recording": {"enabled": True, "before_s": 0.5, "after_s": 0.2},
            }
        )
        database = folder / DATABASE_NAME
        self.films = folder / FILMS_FOLDER / "front"
        self.store = EventStore(database, self.clock, RetentionSettings())
        self.keeper = FilmKeeper(
            self.clock,
            self.store.note_films,
            lambda: known_films(database),
            lambda: self.store.is_dated,
        )
        of_films = FilmFolder("front", self.films, settings.recording)
        self.keeper.look_after([of_films])
        self.recorder = Recorder(of_films, self.keeper, self.clock, lambda: True)
        self.box: LatestBox[Frame] = LatestBox()
        self.source = LiveSource(
            "front",
            settings,
            self.clock,
            self.box,
            on_film=self.recorder.hear,
            back_off=BackOff(random=lambda: 0.01),
        )
        self.recorder.direct(self.source.film)
        self.recorder.switch(True)

    def start(self) -> None:
        self.store.start()
        self.keeper.start()
        self.source.start()

    def stop(self) -> None:
        self.source.stop()
        self.keeper.stop()
        self.store.stop()

    def begin_film(self, number: int) -> EventChange:
        """Let an event begin, and return once two key pictures more are on the disk."""
        change = self._change(number, ChangeType.STARTED)
        self.recorder.noted([change])
        assert wait_until(lambda: any(self._size(part) for part in self._parts()), LIMIT_S)
        before = sum(map(self._size, self._parts()))
        assert wait_until(lambda: sum(map(self._size, self._parts())) > before, LIMIT_S)
        return change

    def end_film(self, number: int) -> None:
        """Let an event end, and return once its film is looked after."""
        made = self.recorder.stats.made_bytes
        self.recorder.noted([self._change(number, ChangeType.ENDED)])
        assert wait_until(lambda: self.recorder.stats.made_bytes > made, LIMIT_S)

    def film(self, number: int) -> None:
        self.begin_film(number)
        self.end_film(number)

    @property
    def sizes(self) -> list[int]:
        """What the finished films take on the disk, one by one."""
        return [self._size(path) for path in self.films.glob("*.mp4")]

    def kill_child(self) -> None:
        child = self.source._child
        assert child is not None
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)

    def see(self) -> None:
        assert self.box.take(LIMIT_S) is not None

    def _change(self, number: int, kind: ChangeType) -> EventChange:
        now_ns = self.clock.monotonic_ns()
        made = make_change(number, change=kind, at_s=now_ns / NS_PER_S)
        event = replace(made.event, started_ns=min(now_ns, made.event.last_seen_ns))
        ended_ns = now_ns if kind is ChangeType.ENDED else None
        return replace(made, event=replace(event, ended_ns=ended_ns))

    def _parts(self) -> list[Path]:
        return list(self.films.glob("*.part")) if self.films.exists() else []

    def _size(self, path: Path) -> int:
        return path.stat().st_size if path.exists() else 0


@pytest.fixture
def recorded(tmp_path: Path, make_clip: Callable[..., Path]) -> Iterator[Recorded]:
    clip = make_clip("steps.mp4", size=(320, 240), options={"g": "2", "bf": "0"})
    one = Recorded(tmp_path, clip)
    one.start()
    yield one
    one.stop()


def test_what_films_are_said_to_have_written_is_what_their_files_hold(recorded: Recorded) -> None:
    assert recorded.recorder.stats.made_bytes == 0
    recorded.see()
    recorded.film(1)
    assert recorded.recorder.stats.made_bytes == sum(recorded.sizes)
    recorded.film(2)
    assert len(recorded.sizes) == 2
    assert recorded.recorder.stats.made_bytes == sum(recorded.sizes)


def test_a_film_that_is_cut_off_counts_by_what_is_left_of_it(recorded: Recorded) -> None:
    recorded.see()
    recorded.begin_film(1)
    recorded.kill_child()
    assert wait_until(lambda: recorded.recorder.stats.made_bytes > 0, LIMIT_S)
    assert len(recorded.sizes) == 1
    assert recorded.recorder.stats.made_bytes == sum(recorded.sizes)


def test_what_was_written_stays_written_when_a_film_is_deleted(recorded: Recorded) -> None:
    recorded.see()
    recorded.film(1)
    made = recorded.recorder.stats.made_bytes
    for path in recorded.films.glob("*.mp4"):
        path.unlink()
    recorded.film(2)
    assert recorded.recorder.stats.made_bytes == made + sum(recorded.sizes)
