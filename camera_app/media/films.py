"""The folder of the films: names, what is found in it after a crash, and what has to go."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from camera_app.capture import UNFINISHED
from camera_app.clock import NS_PER_S
from camera_app.config import RecordingSettings
from camera_app.durable import sync_folder
from camera_app.media.mp4 import NotPlayable, Playable, playable
from camera_app.media.retention import StoredFile, files_to_delete, stored_in

SUFFIX = ".mp4"

_NAME = re.compile(r"(\d{8}-\d{6})-(\d{3})_([0-9a-f-]{36})\.mp4")


@dataclass(frozen=True, slots=True)
class FilmName:
    """What the name of a film says.

    Attributes:
        began_wall_ns: When it was to begin, nanoseconds since 1970.
        event_id: The event that it was begun for.
    """

    began_wall_ns: int
    event_id: str

    @property
    def file(self) -> str:
        """The name of the file."""
        second, rest_ns = divmod(self.began_wall_ns, NS_PER_S)
        stamp = datetime.fromtimestamp(second, UTC).strftime("%Y%m%d-%H%M%S")
        return f"{stamp}-{rest_ns // 1_000_000:03d}_{self.event_id}{SUFFIX}"

    @classmethod
    def read(cls, file: str) -> FilmName | None:
        """Return what a name says; None: it is none of ours."""
        match = _NAME.fullmatch(file)
        if match is None:
            return None
        moment = datetime.strptime(match[1], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
        wall_ns = round(moment.timestamp()) * NS_PER_S + int(match[2]) * 1_000_000
        return cls(wall_ns, match[3])


@dataclass(frozen=True, slots=True)
class FilmFolder:
    """One camera's films and their limits."""

    camera: str
    folder: Path
    settings: RecordingSettings

    def name_of(self, path: Path) -> str:
        """Return what a film is called everywhere but here: its path below all films."""
        return f"{self.camera}/{path.name}"


@dataclass(frozen=True, slots=True)
class FolderContent:
    """The finished films of one camera.

    Attributes:
        films: How many.
        size_bytes: What they take together.
    """

    films: int = 0
    size_bytes: int = 0


def films_in(folder: Path) -> list[StoredFile]:
    """Return the finished films in a folder, which may be absent; in any order."""
    return stored_in(folder, f"*{SUFFIX}")


def unfinished_in(folder: Path) -> list[Path]:
    """Return the films that somebody did not finish, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}{UNFINISHED}"))


def settle(part: Path) -> tuple[Path, Playable] | None:
    """Make a film of what its writer left behind; None: there was nothing, and it is deleted.

    What is not whole at its end is cut off. Where the writer was done but for the last step,
    that is taken.

    Raises:
        OSError: The disk does not take that.
    """
    path = part.with_name(part.name.removesuffix(UNFINISHED))
    try:
        with part.open("r+b") as file:
            found = playable(file)
            file.truncate(found.size_bytes)
            os.fsync(file.fileno())
    except NotPlayable:
        part.unlink(missing_ok=True)
        return None
    except FileNotFoundError:
        return (path, look_at(path)) if path.exists() else None
    part.rename(path)
    sync_folder(path.parent)
    return path, found


def look_at(path: Path) -> Playable:
    """Return what can be played of a finished film.

    Raises:
        NotPlayable: Nothing.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        return playable(file)


def films_to_delete(folder: FilmFolder, wall_s: float) -> list[StoredFile]:
    """Return the films of a camera that are over its limits, the oldest first."""
    settings = folder.settings
    return files_to_delete(
        films_in(folder.folder),
        settings.max_megabytes * 1_000_000,
        settings.max_days * 86_400,
        wall_s,
    )
