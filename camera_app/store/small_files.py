"""Small files of the data folder that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

from camera_app.durable import USUAL, is_full, replace_text
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


def write_small(path: Path, text: str, mode: int = USUAL) -> None:
    """Put a text in place of what a file held, durably; a power cut leaves the one or the other.

    Args:
        path: The file; its folder is made.
        text: What it is to hold.
        mode: Who may read it; the process's mask takes away from that.

    Raises:
        StoreFull: There is no space.
        StoreError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, text, mode)
    except OSError as error:
        kind = StoreFull if is_full(error) else StoreError
        raise kind(f"cannot be written: {error.strerror}", where=str(path)) from error
