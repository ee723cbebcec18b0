"""Threads that can be stopped, and bounded ways to hand a value from one to another.

Every hand-over here has a bound, and says what happens at it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from camera_app.logs import about_camera

T = TypeVar("T")

_log = logging.getLogger(__name__)

STOP_LIMIT_S = 5.0


class Part(Protocol):
    """Something that `app` starts and stops."""

    def start(self) -> None:
        """Touch the world: open files, start threads."""

    def stop(self) -> None:
        """Undo `start`; returns within a limit; may be called twice."""


class Deadline:
    """Time shared by several steps. Waiting only; decisions take their time from a `Clock`."""

    def __init__(self, timeout_s: float) -> None:
        self._ends_s = time.monotonic() + timeout_s

    def remaining_s(self) -> float:
        """Return the seconds left, never below zero."""
        return max(0.0, self._ends_s - time.monotonic())

    @property
    def is_over(self) -> bool:
        return self.remaining_s() == 0.0


class Closed(Exception):
    """The other side of a hand-over is closed and nothing is left in it."""


class LatestBox(Generic[T]):
    """Hands the newest value from one producer to one consumer; an unread one is replaced.

    `put` never waits. `take` waits until there is a value, the time is over, or `close`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()  # guards every field below
        self._value: T | None = None
        self._closed = False
        self.replaced = 0  # unread values overwritten: shed frames

    def put(self, value: T) -> None:
        """Offer a value; one that nobody took is counted in `replaced` and gone."""
        with self._changed:
            if self._value is not None:
                self.replaced += 1
            self._value = value
            self._changed.notify()

    def take(self, timeout_s: float | None = None) -> T | None:
        """Return the newest value, or None when the time is over.

        Raises:
            Closed: The box was closed and holds nothing.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._value is not None or self._closed, timeout_s)
            value, self._value = self._value, None
            if value is None and self._closed:
                raise Closed
            return value

    def discard(self) -> int:
        """Throw away an unread value; return how many there were, 0 or 1."""
        with self._changed:
            count = int(self._value is not None)
            self._value = None
            return count

    def close(self) -> None:
        """Wake whoever waits; a value still inside can be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class BoundedQueue(Generic[T]):
    """A queue in which the producer waits for room: nothing is dropped.

    For recorded clips, where every frame counts and time can wait.
    """

    def __init__(self, limit: int) -> None:
        self._changed = threading.Condition()  # guards every field below
        self._values: deque[T] = deque()
        self._limit = limit
        self._closed = False

    def put(self, value: T) -> None:
        """Append a value, waiting for room.

        Raises:
            Closed: The queue was closed; the value was not taken.
        """
        with self._changed:
            self._changed.wait_for(lambda: len(self._values) < self._limit or self._closed)
            if self._closed:
                raise Closed
            self._values.append(value)
            self._changed.notify_all()

    def take(self, timeout_s: float | None = None) -> T | None:
        """Return the oldest value, or None when the time is over.

        Raises:
            Closed: The queue was closed and is empty.
        """
        with self._changed:
            self._changed.wait_for(lambda: bool(self._values) or self._closed, timeout_s)
            if self._values:
                value = self._values.popleft()
                self._changed.notify_all()
                return value
            if self._closed:
                raise Closed
            return None

    def close(self) -> None:
        """Refuse new values and wake whoever waits; values inside can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Worker:
    """A thread that calls `run_once` until it is told to stop.

    An error in `run_once` is logged with its stack and followed by a pause that grows up to
    `retry_max_s`: the thread is the last safety net and does not die of a bug. Subclasses
    override `run_once`, which must return within a second or wait on `self.stopping`; `opened`
    and `closed` run on the thread, before the first and after the last call.
    """

    retry_first_s = 0.5
    retry_max_s = 30.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.camera = ""  # that it works for, if it is only one: its log lines say so
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None  # owned by the caller of start and stop

    def start(self) -> None:
        """Start the thread."""
        self.stopping.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end and wait for it; a thread that stays is logged by name."""
        self.stopping.set()
        self.wake()
        thread, self._thread = self._thread, None
        if thread is None or thread is threading.current_thread():
            return
        thread.join(STOP_LIMIT_S)
        if thread.is_alive():
            _log.error("thread %s did not end within %.0f s", self.name, STOP_LIMIT_S)

    @property
    def is_running(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    def wake(self) -> None:
        """Interrupt whatever `run_once` waits on besides `self.stopping`; nothing by default."""

    def opened(self) -> None:
        """Run on the thread before the first `run_once`; nothing by default."""

    def run_once(self) -> None:
        """Do one round of work."""
        raise NotImplementedError

    def closed(self) -> None:
        """Run on the thread after the last `run_once`; nothing by default."""

    def _run(self) -> None:
        with about_camera(self.camera):
            try:
                self._repeat(self.opened, once=True)
                self._repeat(self.run_once)
            finally:
                self.closed()

    def _repeat(self, step: Callable[[], None], *, once: bool = False) -> None:
        pause_s = self.retry_first_s
        while not self.stopping.is_set():
            try:
                step()
                pause_s = self.retry_first_s
                if once:
                    return
            except Closed:
                return
            except Exception:
                # The safety net of the thread: a bug in one round must not end the camera.
                _log.exception("%s failed, trying again in %.1f s", self.name, pause_s)
                self.stopping.wait(pause_s)
                pause_s = min(pause_s * 2, self.retry_max_s)
