"""Wakes a thread that waits on a socket."""

from __future__ import annotations

import contextlib
import os
import threading


class Waker:
    """A descriptor that becomes readable when somebody calls `wake`, from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # no wake may hit a number that is closed and used anew
        self._descriptor = -1  # guarded by the lock

    def open(self) -> None:
        with self._lock:
            self._descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def close(self) -> None:
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                os.close(descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def wake(self) -> None:
        """Make the wait end, the one now or the next; does nothing while closed."""
        with self._lock:
            if self._descriptor >= 0:
                os.eventfd_write(self._descriptor, 1)

    def clear(self) -> None:
        """Make the next wait wait again; for the thread that waits."""
        with self._lock, contextlib.suppress(BlockingIOError):  # nobody woke us
            os.eventfd_read(self._descriptor)
