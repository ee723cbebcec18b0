"""Counts what a service does to its disk and its broker, and ends the process at one such step.

Put around sqlite3 and the publisher's socket in a process made to die: the product has no hook.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camera_app.publish import link
from camera_app.publish.buffered import BufferedSocket


class Steps:
    """The steps of each thread, in order; one of them is the last thing that this process does.

    Args:
        fatal: Name of a thread and number of its step, from 1; None: none.
    """

    def __init__(self, fatal: tuple[str, int] | None) -> None:
        self._fatal = fatal
        self._lock = threading.Lock()  # guards the names
        self._names: dict[str, list[str]] = {}

    def reach(self, name: str, do_half: Callable[[], object] | None = None) -> None:
        """Note a step, and die if it is the one; half of what it is about is done before."""
        thread = threading.current_thread().name
        with self._lock:
            names = self._names.setdefault(thread, [])
            names.append(name)
            number = len(names)
        if (thread, number) == self._fatal:
            if do_half is not None:
                do_half()
            die()

    def write(self, path: Path) -> None:
        """Leave the names of all steps by thread, for who chooses where to die next."""
        with self._lock:
            path.write_text(json.dumps(self._names), encoding="utf-8")


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def watch_database(steps: Steps) -> None:
    """Make a step before and after each statement of connections that can write."""

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            return around(sql, lambda: super(Connection, self).execute(sql, *arguments))

        def executemany(self, sql: str, *arguments: Any) -> sqlite3.Cursor:
            return around(sql, lambda: super(Connection, self).executemany(sql, *arguments))

        def executescript(self, sql: str) -> sqlite3.Cursor:
            return around("script", lambda: super(Connection, self).executescript(sql))

    def around(sql: str, run: Callable[[], sqlite3.Cursor]) -> sqlite3.Cursor:
        name = " ".join(sql.split()[:3])
        steps.reach(f"before {name}")
        cursor = run()
        steps.reach(f"after {name}")
        return cursor

    connect = sqlite3.connect

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        if options.get("uri"):  # reads only
            return connect(*arguments, **options)
        return connect(*arguments, factory=Connection, **options)

    sqlite3.connect = watched  # type: ignore[assignment]


def watch_network(steps: Steps) -> None:
    """Make a step before, in the middle of and after each write to the broker, and at each read."""

    class Watched:
        def __init__(self, opened: Any) -> None:
            self._opened = opened

        def __getattr__(self, name: str) -> Any:
            return getattr(self._opened, name)

        def send(self, data: bytes) -> int:
            steps.reach("before send")
            steps.reach("half sent", lambda: self._opened.send(bytes(data[: len(data) // 2])))
            sent: int = self._opened.send(data)
            steps.reach("after send")
            return sent

        def recv(self, size: int) -> bytes:
            steps.reach("before read")
            data: bytes = self._opened.recv(size)
            steps.reach("after read")
            return data

    class WatchedBuffer(BufferedSocket):
        def __init__(self, opened: Any) -> None:
            super().__init__(Watched(opened))  # type: ignore[arg-type]

    link.BufferedSocket = WatchedBuffer  # type: ignore[misc]
