"""Small files of the data folder that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

from camera_app.errors import StoreError, StoreFull


def read_small(path: Path, limit_bytes: int) -> str | None:
    """Return the text of a file, or None where there is none.

    Raises:
        StoreError: It cannot be read, is no text, or is longer than anything we write.
    """
    try:
        with path.open("rb") as opened:
            data = opened.read(limit_bytes + 1)
        if len(data) > limit_bytes:
            raise StoreError("is longer than any that was written here", where=str(path))
        return data.decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot be read: {error}", where=str(path)) from error


def write_small(path: Path, text: str) -> None:
    """Put a text in place of what a file held, durably; a power cut leaves the one or the other.

    Raises:
        StoreFull: There is no space.
        StoreError: It cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        kind = StoreFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(f"cannot be written: {error.strerror}", where=str(path)) from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
