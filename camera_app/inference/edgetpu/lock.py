"""One stick, one process: our own lock, taken before the library touches the stick.

A second process that opens a USB stick makes the library of the first one abort. So whoever of this
house wants a stick takes its lock first. The kernel gives it back when its holder ends, however.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from pathlib import Path

from camera_app.inference.edgetpu.places import system_root

LOCK_FOLDER = "run/lock"
# Somebody who only asks who holds a lock holds it for a moment, shared.
TRIES = 3
PAUSE_S = 0.02


class LockTaken(Exception):
    """Another process has the stick.

    Attributes:
        holder: Its process id; None if it has not said.
    """

    def __init__(self, holder: int | None) -> None:
        super().__init__(holder)
        self.holder = holder


class StickLock:
    """The lock of one place; kept until `release` or the end of the process."""

    def __init__(self, place: str, *, root: Path | None = None) -> None:
        self._path = lock_path(place, root=root)
        self._descriptor: int | None = None

    def take(self, holder: int) -> None:
        """Take it and write down for whom.

        Args:
            holder: Process id that an owner will be told: of the program, not of its child.

        Raises:
            LockTaken: Another process has it.
            OSError: The lock's file cannot be made.
        """
        descriptor = _opened(self._path)
        try:
            _lock(descriptor)
        except BlockingIOError as error:
            taken = LockTaken(_read_holder(descriptor))
            os.close(descriptor)
            raise taken from error
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, f"{holder}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back; may be called twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def holder_of(place: str, *, root: Path | None = None) -> int | None:
    """Return the process that has the stick, 0 if it has not said; None if nobody has it."""
    try:
        descriptor = os.open(lock_path(place, root=root), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # never locked
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(descriptor) or 0
    else:
        return None
    finally:
        os.close(descriptor)


def lock_path(place: str, *, root: Path | None = None) -> Path:
    """Return the file of a place's lock."""
    return _folder(root or system_root()) / f"camera-app-edgetpu-{place.replace(':', '-')}.lock"


def _folder(root: Path) -> Path:
    """Return a folder that all programs of this machine share and that a restart empties."""
    folder = root / LOCK_FOLDER
    if root != Path("/"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder if os.access(folder, os.W_OK) else Path(tempfile.gettempdir())


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    # In a folder that everybody writes to, Linux refuses O_CREAT for a file of somebody else.
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    descriptor = os.open(path, flags | os.O_CREAT, 0o666)
    with contextlib.suppress(OSError):  # the file of another user is that user's
        # Whatever the umask: the next user of the stick may be another, and the file holds nothing.
        os.fchmod(descriptor, 0o666)  # nosec B103
    return descriptor


def _lock(descriptor: int) -> None:
    for _ in range(TRIES - 1):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(PAUSE_S)
    return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read_holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None
