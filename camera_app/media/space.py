"""What may still be written while the disk fills: films first stop, then stills, then events.

The rule is pure; the guard reads the disk and keeps its last word.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path

from camera_app.media.retention import StoredFile, stored_in

_log = logging.getLogger(__name__)

# Below this nothing can be relied on: a transaction of the event store may need as much.
FULL_BELOW_BYTES = 1 << 20
STILLS_SHARE = 0.5  # of the reserve; below it stills stop
BETTER_BY = 1.1  # so much above a limit it is over, or every file would turn it over again


class SpaceLevel(StrEnum):
    """How far the disk has filled; each stops what the one before stops, and more."""

    AMPLE = "ample"
    NO_MEDIA = "no_media"  # no films are kept
    NO_SNAPSHOTS = "no_snapshots"  # and no stills; the oldest of them go
    FULL = "full"  # and events wait in memory


_WORSE = (SpaceLevel.AMPLE, SpaceLevel.NO_MEDIA, SpaceLevel.NO_SNAPSHOTS, SpaceLevel.FULL)


@dataclass(frozen=True, slots=True)
class Space:
    """What is known of the disk.

    Attributes:
        level: What stops.
        free_bytes: What is free for us.
    """

    level: SpaceLevel = SpaceLevel.AMPLE
    free_bytes: int = 0


def level_of(free_bytes: int, reserve_bytes: int, was: SpaceLevel) -> SpaceLevel:
    """Return the level for so much free space; it gets better only well above a limit.

    Args:
        free_bytes: Free space.
        reserve_bytes: What the owner wants kept free of pictures.
        was: The level until now.
    """
    strict = _level(free_bytes, reserve_bytes)
    if _WORSE.index(strict) >= _WORSE.index(was):
        return strict
    lenient = _level(int(free_bytes / BETTER_BY), reserve_bytes)
    return min(was, lenient, key=_WORSE.index)


def _level(free_bytes: int, reserve_bytes: int) -> SpaceLevel:
    if free_bytes < FULL_BELOW_BYTES:
        return SpaceLevel.FULL
    if free_bytes < reserve_bytes * STILLS_SHARE:
        return SpaceLevel.NO_SNAPSHOTS
    return SpaceLevel.NO_MEDIA if free_bytes < reserve_bytes else SpaceLevel.AMPLE


def nearest(folder: Path) -> Path:
    """Return a folder, or the nearest thing above it that is there and can be seen."""
    return next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))


def used_bytes(folder: Path, most_files: int | None = None) -> int:
    """Return what the files in a folder and below take.

    Args:
        folder: It need not be there.
        most_files: Look at no more than these; None: at all.
    """
    total = count = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            count += 1
            if most_files is not None and count > most_files:
                return total
            try:
                total += (Path(parent) / name).lstat().st_size
            except OSError:  # deleted meanwhile
                continue
    return total


def oldest_worth(files: Iterable[StoredFile], needed_bytes: int) -> list[StoredFile]:
    """Return the oldest files that take so much space together; all, if they take less."""
    doomed: list[StoredFile] = []
    gained = 0
    for file in sorted(files, key=lambda file: (file.written_s, file.path)):
        if gained >= needed_bytes:
            break
        doomed.append(file)
        gained += file.size_bytes
    return doomed


def _files(folders: Iterable[Path], pattern: str) -> Iterator[StoredFile]:
    return chain.from_iterable(stored_in(folder, pattern) for folder in folders)


class SpaceGuard:
    """Watches the disk of the data folder; one thread looks, any reads `space`.

    Args:
        folder: On the disk to watch.
        reserve_bytes: What the owner wants kept free of pictures.
        stills: Folders whose pictures go, oldest first, to make room for events.
        films: Folders whose films go before that, oldest first.
        gone: Is told which films went; on the thread that looks.

    Attributes:
        space: As last seen.
        made_room: Films and pictures that went to make room for events.
    """

    def __init__(
        self,
        folder: Path,
        reserve_bytes: int,
        stills: Sequence[Path] = (),
        films: Sequence[Path] = (),
        gone: Callable[[Sequence[Path]], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes  # this and the next two are replaced, never changed
        self._stills = tuple(stills)
        self._films = tuple(films)
        self._gone = gone
        self.space = Space()
        self.made_room = 0

    def change(
        self, reserve_bytes: int, stills: Sequence[Path], films: Sequence[Path] = ()
    ) -> None:
        """Go by another reserve and other folders from the next look on; any thread."""
        self._reserve_bytes = reserve_bytes
        self._stills = tuple(stills)
        self._films = tuple(films)

    @property
    def takes_films(self) -> bool:
        """Whether films may be written."""
        return self.space.level is SpaceLevel.AMPLE

    @property
    def takes_snapshots(self) -> bool:
        """Whether stills may be written."""
        return self.space.level in (SpaceLevel.AMPLE, SpaceLevel.NO_MEDIA)

    def look(self) -> Space:
        """Look at the disk; make room if stills have stopped; tell the log of a change."""
        try:
            free_bytes = shutil.disk_usage(self._folder).free
        except OSError as error:
            _log.warning("%s: the disk cannot be looked at: %s", self._folder, error)
            return self.space
        before = self.space.level
        level = level_of(free_bytes, self._reserve_bytes, before)
        self.space = Space(level, free_bytes)
        if level is not before:
            self._tell(level, free_bytes)
        if level is not SpaceLevel.AMPLE:
            free_bytes += self._make_room(_files(self._films, "*.mp4"), 1.0, free_bytes, self._gone)
        if level in (SpaceLevel.NO_SNAPSHOTS, SpaceLevel.FULL):
            self._make_room(_files(self._stills, "*.jpg"), STILLS_SHARE, free_bytes)
        return self.space

    def _make_room(
        self,
        files: Iterable[StoredFile],
        share: float,
        free_bytes: int,
        gone: Callable[[Sequence[Path]], None] = lambda _: None,
    ) -> int:
        """Delete the oldest files until such may be written again: events are worth more.

        Args:
            files: What may go.
            share: How much of the reserve has to be free then.
            free_bytes: How much is.
            gone: Is told what went.

        Returns:
            How much was gained.
        """
        wanted = int(self._reserve_bytes * share * BETTER_BY) + 1
        doomed = oldest_worth(files, wanted - free_bytes)
        for file in doomed:
            file.path.unlink(missing_ok=True)
        self.made_room += len(doomed)
        if doomed:
            gone([file.path for file in doomed])
        return sum(file.size_bytes for file in doomed)

    def _tell(self, level: SpaceLevel, free_bytes: int) -> None:
        free = f"{free_bytes / 1e6:.1f} MB are free"
        match level:
            case SpaceLevel.AMPLE:
                _log.warning("%s: there is space again, %s: all is kept", self._folder, free)
            case SpaceLevel.NO_MEDIA:
                _log.warning("%s: %s: no films are made, and the oldest go", self._folder, free)
            case SpaceLevel.NO_SNAPSHOTS:
                _log.error("%s: %s: snapshots are not kept any more", self._folder, free)
            case SpaceLevel.FULL:
                _log.critical("%s: the disk is full: events wait in memory", self._folder)
