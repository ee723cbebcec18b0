"""Pictures that are kept: snapshots, annotated films, and what goes first when space ends."""

from camera_app.media.annotate import FilmWriter, draw
from camera_app.media.colour import bgr
from camera_app.media.retention import StoredFile, files_to_delete
from camera_app.media.snapshots import (
    SnapshotKeeper,
    SnapshotStats,
    encode_jpeg,
    tidy,
    write_still,
)
from camera_app.media.space import Space, SpaceGuard, SpaceLevel

__all__ = [
    "FilmWriter",
    "SnapshotKeeper",
    "SnapshotStats",
    "Space",
    "SpaceGuard",
    "SpaceLevel",
    "StoredFile",
    "bgr",
    "draw",
    "encode_jpeg",
    "files_to_delete",
    "tidy",
    "write_still",
]
