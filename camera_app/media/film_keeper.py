"""The thread that looks after films on the disk: those that are closed, cut off, or too many.

It is the only one in the service that waits for the disk of the films: neither a camera nor its
source does.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camera_app.capture import unfinished
from camera_app.clock import Clock, nanoseconds
from camera_app.media.film_plan import EndedFilm
from camera_app.media.films import (
    FilmFolder,
    FilmName,
    FolderContent,
    films_in,
    films_to_delete,
    look_at,
    settle,
    unfinished_in,
)
from camera_app.media.mp4 import NotPlayable, Playable
from camera_app.roster import ROUND_LIMIT_S
from camera_app.store import FilmNote, GoneFilm, StoredFilm
from camera_app.threads import Worker

_log = logging.getLogger(__name__)

TIDY_S = 60.0
TIDY_LIMIT_S = 120.0  # films are large, and a worn card is slow to read and to delete
WAIT_S = 5.0
_NOTHING = "nothing of it can be played; it is deleted"
UNDATED_LIMIT = 1000  # a machine may never know the date; beyond it the oldest keep a wrong one


@dataclass(frozen=True, slots=True)
class _Closed:
    """A film that nobody writes on any more, and when it was made by the wall clock."""

    folder: FilmFolder
    film: EndedFilm
    began_wall_ns: int


@dataclass(frozen=True, slots=True)
class _Undated:
    """A film that was registered before the date was known; `began_ns` is monotonic."""

    path: Path
    film: StoredFilm
    began_ns: int


class FilmKeeper(Worker):
    """Registers films, mends those that were cut off, and deletes what is over the limits.

    Args:
        clock: Time.
        note: Has it written down which films there are.
        known: Returns the names of the films that are written down; asked once, at the start.
        is_dated: Whether the machine knows the date by now.
    """

    def __init__(
        self,
        clock: Clock,
        note: Callable[[Iterable[FilmNote]], None],
        known: Callable[[], frozenset[str]],
        is_dated: Callable[[], bool],
    ) -> None:
        super().__init__("camera-app films")
        self._clock = clock
        self._note = note
        self._known = known
        self._is_dated = is_dated
        self._something = threading.Event()
        self._jobs: deque[_Closed] = deque()  # bounded by the films that are closed
        self._folders: Mapping[str, FilmFolder] = {}  # replaced, never changed
        self._content: Mapping[str, FolderContent] = {}  # the same
        self._made_bytes: Mapping[str, int] = {}  # the same; by camera
        self._lost: Mapping[str, int] = {}  # the same
        # Owned by this thread.
        self._left_behind: Sequence[tuple[FilmFolder, Path]] = ()
        self._undated: deque[_Undated] = deque(maxlen=UNDATED_LIMIT)
        self._tidied_ns: int | None = None

    def look_after(self, folders: Iterable[FilmFolder]) -> None:
        """Look after these folders from now on; any thread."""
        self._folders = {folder.camera: folder for folder in folders}
        self._tidied_ns = None

    def content(self, camera: str) -> FolderContent:
        """Return what a camera's folder held when it was last looked at; any thread."""
        return self._content.get(camera, FolderContent())

    def made_bytes(self, camera: str) -> int:
        """Return the size of all films of a camera made since the start; any thread."""
        return self._made_bytes.get(camera, 0)

    def lost(self, camera: str) -> int:
        """Return of how many films of a camera nothing could be kept; any thread."""
        return self._lost.get(camera, 0)

    def take(self, folder: FilmFolder, film: EndedFilm) -> None:
        """Look after a film that is closed or cut off; any thread, never waits."""
        age_ns = self._clock.monotonic_ns() - film.begins_ns
        self._jobs.append(_Closed(folder, film, self._clock.wall_ns() - age_ns))
        self._something.set()

    def start(self) -> None:
        """Note what an earlier run left behind, before this one begins to film; then look on."""
        self._left_behind = [
            (folder, path)
            for folder in self._folders.values()
            for path in unfinished_in(folder.folder)
        ]
        super().start()

    def wake(self) -> None:
        self._something.set()

    def opened(self) -> None:
        left_behind, self._left_behind = self._left_behind, ()
        for folder, part in left_behind:
            self.promise(TIDY_LIMIT_S)
            self._find(folder, part)
        self.promise(TIDY_LIMIT_S)
        self._compare(self._known())

    def run_once(self) -> None:
        self.promise(WAIT_S + ROUND_LIMIT_S)
        self._something.wait(WAIT_S)
        self._something.clear()
        self.promise(TIDY_LIMIT_S)
        if self._undated and self._is_dated():
            self._date_anew()  # before anything goes by its age
        self._work_off()
        now_ns = self._clock.monotonic_ns()
        if self._tidied_ns is None or now_ns - self._tidied_ns >= nanoseconds(TIDY_S):
            self._tidied_ns = now_ns
            self._tidy()

    def closed(self) -> None:
        self._work_off()

    def _work_off(self) -> None:
        while self._jobs:
            job = self._jobs.popleft()
            self._register(job)
            self._tidy_folder(job.folder)

    def _register(self, job: _Closed) -> None:
        path, film = Path(job.film.path), job.film
        if not path.exists() and not unfinished(path).exists():
            return  # its writer was gone before the first picture
        try:
            found = (path, look_at(path)) if film.is_finished else settle(unfinished(path))
        except (NotPlayable, OSError) as error:
            self._lose(job.folder, path, str(error))
            return
        if found is None:
            self._lose(job.folder, path, _NOTHING)
            return
        path, of_it = found
        lasted_ns = nanoseconds(of_it.lasts_s)
        if film.ends_ns is not None:
            lasted_ns = film.ends_ns - film.begins_ns
        stored = StoredFilm(
            name=job.folder.name_of(path),
            camera=job.folder.camera,
            began_wall_ns=job.began_wall_ns,
            ended_wall_ns=job.began_wall_ns + max(0, lasted_ns),
            size_bytes=of_it.size_bytes,
            left_out=film.left_out,
            is_whole=film.is_finished or of_it.is_whole,
            event_ids=film.event_ids,
        )
        self._enter(stored)
        if not self._is_dated():
            self._undated.append(_Undated(path, stored, film.begins_ns))

    def _date_anew(self) -> None:
        """Correct when films were made; their names stay, which others have been told."""
        to_wall_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        while self._undated:
            one = self._undated.popleft()
            began_ns = to_wall_ns + one.began_ns
            ended_ns = began_ns + one.film.ended_wall_ns - one.film.began_wall_ns
            try:
                os.utime(one.path, ns=(ended_ns, ended_ns))
            except FileNotFoundError:
                continue  # it is gone
            self._note([replace(one.film, began_wall_ns=began_ns, ended_wall_ns=ended_ns)])

    def _lose(self, folder: FilmFolder, path: Path, why: str) -> None:
        _log.warning("film %s is lost: %s", path.name, why)
        self._lost = {**self._lost, folder.camera: self.lost(folder.camera) + 1}

    def _enter(self, film: StoredFilm) -> None:
        self._note([film])
        made_bytes = self._made_bytes.get(film.camera, 0) + film.size_bytes
        self._made_bytes = {**self._made_bytes, film.camera: made_bytes}
        _log.debug("film %s is kept: %d bytes", film.name, film.size_bytes)

    # After an earlier run

    def _find(self, folder: FilmFolder, part: Path) -> None:
        """Keep what can be played of a film that an earlier run did not finish."""
        try:
            found = settle(part)
        except OSError as error:
            _log.warning("%s: an unfinished film cannot be mended: %s", part, error)
            return
        if found is None:
            self._lose(folder, part, _NOTHING)
            return
        path, of_it = found
        _log.info("film %s was cut off; %.1f s of it are kept", path.name, of_it.lasts_s)
        self._enter_found(folder, path, of_it)

    def _compare(self, known: frozenset[str]) -> None:
        """Bring what is written down and what is there together."""
        there = {
            folder.name_of(film.path): (folder, film.path)
            for folder in self._folders.values()
            for film in films_in(folder.folder)
        }
        for name in there.keys() - known:
            self.promise(TIDY_LIMIT_S)
            folder, path = there[name]
            try:
                self._enter_found(folder, path, look_at(path))
            except (NotPlayable, OSError) as error:
                _log.warning("%s: is no film that can be played: %s", path, error)
        cameras = self._folders.keys()
        gone = [name for name in known - there.keys() if name.partition("/")[0] in cameras]
        if gone:
            _log.warning("%d films are not there any more", len(gone))
            self._note([GoneFilm(name) for name in gone])

    def _enter_found(self, folder: FilmFolder, path: Path, of_it: Playable) -> None:
        name = FilmName.read(path.name)
        if name is None:
            return  # none of ours
        self._enter(
            StoredFilm(
                name=folder.name_of(path),
                camera=folder.camera,
                began_wall_ns=name.began_wall_ns,
                ended_wall_ns=name.began_wall_ns + nanoseconds(of_it.lasts_s),
                size_bytes=of_it.size_bytes,
                is_whole=of_it.is_whole,
                event_ids=(name.event_id,),
                is_found=True,
            )
        )

    # Limits

    def _tidy(self) -> None:
        for folder in self._folders.values():
            self._tidy_folder(folder)

    def _tidy_folder(self, folder: FilmFolder) -> None:
        doomed = films_to_delete(folder, self._clock.wall_ns() / 1e9)
        for film in doomed:
            film.path.unlink(missing_ok=True)
        if doomed:
            self._note([GoneFilm(folder.name_of(film.path)) for film in doomed])
        left = films_in(folder.folder)
        content = FolderContent(len(left), sum(film.size_bytes for film in left))
        self._content = {**self._content, folder.camera: content}
