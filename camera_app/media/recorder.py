"""One camera's films, in the service: between its events, its source's child, and the disk."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camera_app.capture import FilmEnd, FilmNews, FilmOrder
from camera_app.clock import Clock
from camera_app.media.film_keeper import FilmKeeper
from camera_app.media.film_plan import FilmPlan
from camera_app.media.films import FilmFolder, FilmName
from camera_app.values import EventChange

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordingStats:
    """How a camera's films do.

    Attributes:
        state: `off`, `ready`, `filming`, `no_space`, `no_stream` (the camera's stream for films is
            not there), or `impossible` (what the camera sends can neither be copied nor may be
            encoded).
        films: How many are kept.
        size_bytes: What they take.
        failed: How many were given up by a disk that was full or failed, or had nothing to be kept.
        left_out: Pictures that are missing in films because the disk was too slow.
        made_bytes: Size of all that were finished since the start.
    """

    state: str = "off"
    films: int = 0
    size_bytes: int = 0
    failed: int = 0
    left_out: int = 0
    made_bytes: int = 0


class Recorder:
    """Has films made of a camera's events.

    Args:
        folder: Where they go, and their limits.
        keeper: Looks after what is closed.
        clock: Time.
        has_space: Whether the disk has room for films.
    """

    def __init__(
        self,
        folder: FilmFolder,
        keeper: FilmKeeper,
        clock: Clock,
        has_space: Callable[[], bool],
    ) -> None:
        self._folder = folder
        self._keeper = keeper
        self._clock = clock
        self._has_space = has_space
        self._give: Callable[[FilmOrder], None] = _to_nobody  # set once, before anything runs
        self._changed = threading.Condition()  # guards every field below
        self._plan = FilmPlan(folder.settings, self._new_path)
        self._failed = 0
        self._left_out = 0
        self._lacks_stream = False

    @property
    def folder(self) -> FilmFolder:
        """Where the films go."""
        return self._folder

    def direct(self, give: Callable[[FilmOrder], None]) -> None:
        """Have orders obeyed by this source; before it is started."""
        self._give = give

    def switch(self, is_on: bool) -> None:
        """Make films or make none; one that is being made ends at once. Any thread."""
        with self._changed:
            if is_on != self._plan.is_on:
                self._plan.switch(is_on)
            self._give(self._plan.order)

    def noted(self, changes: Sequence[EventChange]) -> list[EventChange]:
        """Take note of what happened; return it with the names of films. The camera's thread."""
        with self._changed:
            noted = [self._with_film(change, self._plan.note(change)) for change in changes]
            self._give(self._plan.order)
        return noted

    def note_stream(self, is_there: bool) -> None:
        """Take note whether the stream that films are made of is there; any thread."""
        with self._changed:
            self._lacks_stream = not is_there

    def hear(self, news: FilmNews | None) -> None:
        """Take news of a film, or that whoever makes them is gone. The source's thread."""
        now_ns = self._clock.monotonic_ns()
        with self._changed:
            if news is None:
                ended = self._plan.lose(now_ns)
            else:
                self._count(news)
                film = self._plan.hear(news, now_ns)
                ended = [] if film is None else [film]
            self._give(self._plan.order)
            self._changed.notify_all()
        for film in ended:
            self._keeper.take(self._folder, film)

    def look(self) -> None:
        """Look at the time and at the space on the disk; now and then, from one thread."""
        has_space, now_ns = self._has_space(), self._clock.monotonic_ns()
        with self._changed:
            self._plan.look_at_space(has_space, now_ns)
            self._give(self._plan.order)

    def finish(self, limit_s: float) -> None:
        """End what is being made, and wait until it is closed, but not for long."""
        with self._changed:
            is_on = self._plan.is_on
            self._plan.switch(False)
            self._give(self._plan.order)
            self._changed.wait_for(lambda: self._plan.is_at_rest, limit_s)
            self._plan.is_on = is_on

    @property
    def stats(self) -> RecordingStats:
        """How the films do; any thread."""
        content = self._keeper.content(self._folder.camera)
        with self._changed:
            return RecordingStats(
                state=self._state(),
                films=content.films,
                size_bytes=content.size_bytes,
                failed=self._failed + self._keeper.lost(self._folder.camera),
                left_out=self._left_out,
                made_bytes=self._keeper.made_bytes(self._folder.camera),
            )

    # With the lock held

    def _state(self) -> str:
        plan = self._plan
        if not plan.is_on:
            return "off"
        if plan.cannot:
            return "impossible"
        if not plan.has_space:
            return "no_space"
        if self._lacks_stream:
            return "no_stream"
        return "filming" if plan.is_filming else "ready"

    def _count(self, news: FilmNews) -> None:
        self._left_out += news.left_out
        if news.left_out:
            text = "camera %s: the disk is too slow: %d pictures are missing in film %s"
            _log.warning(text, self._folder.camera, news.left_out, Path(news.path).name)
        if news.why in (FilmEnd.FULL, FilmEnd.FAILED):
            self._failed += 1
        if news.why == FilmEnd.CANNOT:
            text = (
                "camera %s: what it sends cannot be kept as it is (only H.264 and H.265 can), and "
                "may not be compressed anew: no films are made"
            )
            _log.error(text, self._folder.camera)

    def _with_film(self, change: EventChange, path: str | None) -> EventChange:
        if path is None:
            return change
        name = self._folder.name_of(Path(path))
        return replace(change, event=replace(change.event, film=name))

    def _new_path(self, from_ns: int, event_id: str) -> str:
        age_ns = self._clock.monotonic_ns() - from_ns
        name = FilmName(self._clock.wall_ns() - age_ns, event_id)
        return str(self._folder.folder / name.file)


def _to_nobody(_: FilmOrder) -> None:
    """Nobody films yet."""
