"""Which files go when space or time is over: it looks and decides, others delete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import seconds
from camera_app.store import TRUSTED_FROM_NS

_TRUSTED_FROM_S = seconds(TRUSTED_FROM_NS)


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file that may have to go.

    Attributes:
        path: Where it lies.
        written_s: When it was written, seconds since 1970.
        size_bytes: How much it takes.
    """

    path: Path
    written_s: float
    size_bytes: int


def stored_in(folder: Path, pattern: str) -> list[StoredFile]:
    """Return the files in a folder, which may be absent, that fit a pattern; in any order."""
    found = []
    for path in folder.glob(pattern):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue  # somebody else deleted it meanwhile
        found.append(StoredFile(path, status.st_mtime, status.st_size))
    return found


def files_to_delete(
    files: Iterable[StoredFile], limit_bytes: int, limit_age_s: float, wall_s: float
) -> list[StoredFile]:
    """Return the files that are too old, and the oldest of those that are too many.

    A stamp from a time before the machine knew the date tells nothing about age, of a file or now.

    Args:
        files: What there is.
        limit_bytes: Space they may take together.
        limit_age_s: Age, in seconds, at which a file goes.
        wall_s: Now, seconds since 1970.
    """
    newest_first = sorted(files, key=lambda file: (-file.written_s, file.path))
    doomed, kept_bytes = [], 0
    for file in newest_first:
        is_dated = min(file.written_s, wall_s) >= _TRUSTED_FROM_S
        if is_dated and wall_s - file.written_s > limit_age_s:
            doomed.append(file)
            continue
        kept_bytes += file.size_bytes
        if kept_bytes > limit_bytes:
            doomed.append(file)
    return doomed[::-1]
