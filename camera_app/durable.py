"""Files that are there whole or as before, whatever is cut off; and when a disk is full."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o600  # read and written by its owner alone
USUAL = 0o666  # what the process's mask leaves of it


def replace_text(path: Path, text: str, mode: int = USUAL, *, is_to_last: bool = True) -> None:
    """Put a text in place of what a file held; as `replace_bytes`."""
    replace_bytes(path, text.encode(), mode, is_to_last=is_to_last)


def replace_bytes(
    path: Path, content: bytes, mode: int = USUAL, *, is_to_last: bool = True
) -> None:
    """Put something in place of what a file held; when this returns, it survives a power cut.

    Args:
        path: The file; its folder is there.
        content: What it is to hold.
        mode: Who may read it; the process's mask takes away from that.
        is_to_last: Whether it has to survive one; what is of this moment only wears no disk.

    Raises:
        OSError: It cannot be written; what was there is still there.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.unlink(missing_ok=True)  # one that was left behind has rights of its own
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            if is_to_last:
                os.fsync(opened.fileno())
        part.replace(path)
        if is_to_last:
            sync_folder(path.parent)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: a new one survives a power cut from here on."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_full(error: OSError) -> bool:
    """Say whether it was for want of room, on the disk or in what its owner may take."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
