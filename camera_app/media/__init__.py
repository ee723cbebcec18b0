"""Pictures that are kept: snapshots, films of events, and what goes first when space ends."""

from camera_app.media.colour import bgr
from camera_app.media.film_keeper import FilmKeeper
from camera_app.media.films import FilmFolder
from camera_app.media.recorder import Recorder, RecordingStats
from camera_app.media.retention import StoredFile, files_to_delete
from camera_app.media.snapshots import (
    SnapshotKeeper,
    SnapshotStats,
    encode_jpeg,
    tidy,
    write_still,
)
from camera_app.media.space import (
    Space,
    SpaceGuard,
    SpaceLevel,
    level_of,
    nearest,
    used_bytes,
)
from camera_app.media.still_dates import StillDates

__all__ = [
    "FilmFolder",
    "FilmKeeper",
    "Recorder",
    "RecordingStats",
    "SnapshotKeeper",
    "SnapshotStats",
    "Space",
    "SpaceGuard",
    "SpaceLevel",
    "StillDates",
    "StoredFile",
    "bgr",
    "encode_jpeg",
    "files_to_delete",
    "level_of",
    "nearest",
    "tidy",
    "used_bytes",
    "write_still",
]
