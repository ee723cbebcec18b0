"""Which film of a camera is wanted, as its events come and go. Pure: it is told, and decides.

An object that stands still is not filmed on: a parked car would fill the disk. It is filmed again
when it moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from camera_app.capture import FilmEnd, FilmNews, FilmOrder, FilmWish
from camera_app.clock import nanoseconds
from camera_app.config import RecordingSettings
from camera_app.values import ChangeType, EventChange

# After a film failed, the next is not begun at once: the disk needs its time too.
RETRY_S = 10.0
# A film that nobody has begun to write so long after its end will never be.
GIVE_UP_S = 10.0
# One film never takes more than this part of what all may: it would push out all others.
LARGEST_SHARE = 0.25

NewPath = Callable[[int, str], str]


@dataclass(slots=True)
class _Film:
    """A film that is being made.

    Attributes:
        path: The file.
        from_ns: What it begins with, monotonic.
        follows: It goes on where another ended.
        event_ids: What it shows, in order.
        is_begun: Something of it is on the disk.
        begins_ns: Its first picture, once it is begun.
    """

    path: str
    from_ns: int
    follows: bool
    event_ids: dict[str, None] = field(default_factory=dict)
    is_begun: bool = False
    begins_ns: int = 0


@dataclass(frozen=True, slots=True)
class EndedFilm:
    """A film that nobody writes on any more.

    Attributes:
        path: The file, as it is called when it is finished.
        begins_ns: Its first picture, monotonic; as was wished where nobody told.
        ends_ns: Its last picture; None: nobody told.
        left_out: Pictures that it lacks.
        event_ids: What it shows.
        is_finished: The file is closed in good order and has its name.
    """

    path: str
    begins_ns: int
    ends_ns: int | None
    left_out: int
    event_ids: tuple[str, ...]
    is_finished: bool


class FilmPlan:
    """The films of one camera. Times are monotonic, as in the events.

    Args:
        settings: How long, and how much.
        new_path: Gives a film its path, from the time of its beginning and its first event.

    Attributes:
        is_on: The owner wants films.
        has_space: The disk has room for them.
        cannot: What the camera sends cannot be filmed the way that the owner wants it.
    """

    def __init__(self, settings: RecordingSettings, new_path: NewPath) -> None:
        self._before_ns = nanoseconds(settings.before_s)
        self._after_ns = nanoseconds(settings.after_s)
        self._longest_ns = nanoseconds(settings.max_s)
        self._limit_bytes = round(settings.max_megabytes * 1_000_000 * LARGEST_SHARE)
        self._new_path = new_path
        self._moving: dict[str, int] = {}  # events to be filmed -> from when on
        self._until_ns = 0
        self._film: _Film | None = None
        self._closing: dict[str, _Film] = {}  # no longer wanted, not yet closed
        # Open events -> newest film of theirs that is closed; empty: none is.
        self._last: dict[str, str] = {}
        self._retry_ns = 0
        self.is_on = False
        self.has_space = True
        self.cannot = False

    @property
    def order(self) -> FilmOrder:
        """What the source's child is to do now."""
        return FilmOrder(self.is_on, self._wish())

    @property
    def is_filming(self) -> bool:
        """Whether a film is being written."""
        return self._film is not None and self._film.is_begun

    @property
    def is_at_rest(self) -> bool:
        """Whether there is no film whose end is still to come."""
        return self._film is None and not self._closing

    def note(self, change: EventChange) -> str | None:
        """Take note of what happened; return the newest film on the disk that shows it, if any."""
        event = change.event
        is_over = change.change is ChangeType.ENDED
        self._last.setdefault(event.event_id, "")
        if is_over or event.is_stationary:
            self._calm_down(event.event_id, event.ended_ns or change.at_ns)
        elif self.is_on:
            since_ns = event.started_ns if change.change is ChangeType.STARTED else change.at_ns
            self._film_on(event.event_id, since_ns - self._before_ns, change.at_ns)
        film = self._film_of(event.event_id)
        if is_over:
            del self._last[event.event_id]
        return film or None

    def _film_of(self, event_id: str) -> str:
        film = self._film
        if film is not None and film.is_begun and event_id in film.event_ids:
            return film.path
        return self._last[event_id]

    def switch(self, is_on: bool) -> None:
        """Make films or make none; one that is being made ends at once."""
        self.is_on = is_on
        if not is_on:
            self._moving.clear()
            self._until_ns = 0
            self._dismiss()

    def look_at_space(self, has_space: bool, now_ns: int) -> None:
        """Go by whether the disk has room; with none a film ends at once."""
        self.has_space = has_space
        if not has_space and self._film is not None:
            self._dismiss()
            self._begin_anew(now_ns)  # once there is space
        self.pass_time(now_ns)

    def pass_time(self, now_ns: int) -> None:
        """Give up what nobody has begun in time, and try again what failed."""
        film = self._film
        if film is None:
            self._begin_if_due(now_ns)
            return
        is_late = now_ns > self._until_ns + nanoseconds(GIVE_UP_S)
        if is_late and not film.is_begun and not self._moving:
            self._film = None

    def hear(self, news: FilmNews, now_ns: int) -> EndedFilm | None:
        """Take news of a film; return it if it is over and there is one."""
        film = self._film
        if film is None or film.path != news.path:
            film = self._closing.get(news.path)
        if film is None:
            return None
        if not news.why:
            film.is_begun, film.begins_ns = True, news.begins_ns
            return None
        self._note_on_disk(film, news)
        self._closing.pop(news.path, None)
        if film is self._film:
            self._film = None
            self._succeed(film, news, now_ns)
        if not news.is_kept:
            return None
        return EndedFilm(
            path=film.path,
            begins_ns=news.begins_ns,
            ends_ns=news.ends_ns,
            left_out=news.left_out,
            event_ids=tuple(film.event_ids),
            is_finished=news.why not in (FilmEnd.FULL, FilmEnd.FAILED),
        )

    def lose(self, now_ns: int) -> list[EndedFilm]:
        """Take note that whoever wrote is gone; return what it left unfinished."""
        films = [*self._closing.values(), *([self._film] if self._film else [])]
        self._closing.clear()
        self._film, self.cannot = None, False
        self._begin_anew(now_ns)
        return [
            EndedFilm(
                path=film.path,
                begins_ns=film.begins_ns or film.from_ns,
                ends_ns=None,
                left_out=0,
                event_ids=tuple(film.event_ids),
                is_finished=False,
            )
            for film in films
        ]

    def _wish(self) -> FilmWish | None:
        film = self._film
        if film is None:
            return None
        return FilmWish(
            path=film.path,
            from_ns=film.from_ns,
            until_ns=film.from_ns + self._longest_ns if self._moving else self._until_ns,
            goes_on=bool(self._moving),
            follows=film.follows,
            limit_bytes=self._limit_bytes,
        )

    def _film_on(self, event_id: str, from_ns: int, now_ns: int) -> None:
        self._moving.setdefault(event_id, from_ns)
        if self._film is None:
            self._begin_if_due(now_ns)
        if self._film is not None:
            self._film.event_ids[event_id] = None

    def _calm_down(self, event_id: str, ended_ns: int) -> None:
        if self._moving.pop(event_id, None) is not None:
            self._until_ns = max(self._until_ns, ended_ns + self._after_ns)

    def _begin_if_due(self, now_ns: int) -> None:
        """Begin a film if something moves; it begins before the first of that."""
        is_possible = self.is_on and self.has_space and not self.cannot
        if self._moving and is_possible and now_ns >= self._retry_ns:
            self._begin(min(self._moving.values()), self._moving, follows=False)

    def _begin_anew(self, now_ns: int) -> None:
        """Begin the next film after one that was lost, as soon as may be.

        What that had need not be in both, and the next must not have its name.
        """
        for event_id in self._moving:
            self._moving[event_id] = now_ns
        self._begin_if_due(now_ns)

    def _succeed(self, film: _Film, news: FilmNews, now_ns: int) -> None:
        """Begin the film that follows one that is closed, if there is more to film."""
        if news.why in (FilmEnd.FULL, FilmEnd.FAILED):
            self._retry_ns = now_ns + nanoseconds(RETRY_S)
            self._begin_anew(now_ns)  # by then
        if news.why == FilmEnd.CANNOT:
            self.cannot = True
        if news.why in (FilmEnd.LONG, FilmEnd.CHANGED):
            if self._moving or self._until_ns > news.ends_ns:
                self._begin(news.ends_ns, self._moving or film.event_ids, follows=True)
        elif news.why == FilmEnd.OVER and news.is_kept:  # something began to move just then
            self._begin_if_due(now_ns)
        elif news.why == FilmEnd.OVER:  # it was to begin too long ago: nothing of that was there
            self._begin_anew(now_ns)

    def _begin(self, from_ns: int, event_ids: Iterable[str], *, follows: bool) -> None:
        shown = dict.fromkeys(event_ids)
        path = self._new_path(from_ns, next(iter(shown)))
        self._film = _Film(path, from_ns, follows, shown)

    def _dismiss(self) -> None:
        film, self._film = self._film, None
        if film is not None:
            self._closing[film.path] = film

    def _note_on_disk(self, film: _Film, news: FilmNews) -> None:
        if news.is_kept:
            for event_id in film.event_ids.keys() & self._last.keys():
                self._last[event_id] = film.path
