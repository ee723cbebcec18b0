"""Threads that can be stopped, and bounded ways to hand a value from one to another.

Every hand-over here has a bound, and says what happens at it. Every thread gives the signs of life
that `roster.py` keeps, so that one that hangs is found out.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Generic, Protocol, TypeVar

from camera_app.kernel import numbers_of
from camera_app.logs import about_camera
from camera_app.roster import ROSTER, ROUND_LIMIT_S, Vital

T = TypeVar("T")

_log = logging.getLogger(__name__)

STOP_LIMIT_S = 5.0
STAND_BACK_BY = 5  # in units of `nice`: where both want a core, it has a quarter of it


def stand_back() -> bool:
    """Let the calling thread have the processor less than all other threads of ours.

    For what computes long and is in no hurry by the millisecond.

    Returns:
        Whether that is so now; it may be forbidden.
    """
    try:
        os.nice(STAND_BACK_BY)  # Linux: of the calling thread alone, whatever its manual says
    except OSError:
        return False
    return True


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
        # Rung once for an unread value, and by `close`. It is in C: a condition would take several
        # times as long, and frames come by here all day.
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._guard = threading.Lock()  # guards every field below
        self._value: T | None = None
        self._closed = False
        self.replaced = 0  # unread values overwritten: shed frames

    def put(self, value: T) -> None:
        """Offer a value; one that nobody took is counted in `replaced` and gone."""
        with self._guard:
            before, self._value = self._value, value
            if before is None:
                self._bell.put(None)
            else:
                self.replaced += 1

    def take(self, timeout_s: float | None = None) -> T | None:
        """Return the newest value, or None when the time is over.

        Raises:
            Closed: The box was closed and holds nothing.
        """
        if not self._closed:
            try:
                self._bell.get(timeout=timeout_s)
            except Empty:
                return None
        with self._guard:
            value, self._value = self._value, None
        if value is None and self._closed:
            raise Closed
        return value

    def peek(self) -> T | None:
        """Return the unread value, which stays; None if there is none."""
        return self._value

    def discard(self) -> int:
        """Throw away an unread value; return how many there were, 0 or 1. The consumer's."""
        with self._guard:
            if self._value is None:
                return 0
            self._value = None
            self._bell.get()
            return 1

    def close(self) -> None:
        """Wake whoever waits; a value still inside can be taken."""
        with self._guard:
            self._closed = True
            self._bell.put(None)


def see_out(thread: threading.Thread) -> None:
    """Wait for a thread that was told to end; one that stays is logged by name."""
    thread.join(STOP_LIMIT_S)
    if thread.is_alive():
        _log.error("thread %s did not end within %.0f s", thread.name, STOP_LIMIT_S)


class Worker:
    """A thread that calls `run_once` until it is told to stop.

    An error in `run_once` is logged with its stack and followed by a pause that grows up to
    `retry_max_s`: the thread is the last safety net and does not die of a bug. Subclasses
    override `run_once`, which must return within a second, or wait with `rest`, or say with
    `promise` that it will take longer; `opened` and `closed` run on the thread, before the first
    and after the last call.
    """

    retry_first_s = 0.5
    retry_max_s = 30.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.camera = ""  # that it works for, if it is only one: its log lines say so
        self.stopping = threading.Event()
        self._thread: threading.Thread | None = None  # owned by the caller of start and stop
        self._vital = Vital(name, -1)  # of the thread; this first one is for calls without one

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
        see_out(thread)

    @property
    def is_running(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive()

    def promise(self, within_s: float = ROUND_LIMIT_S) -> None:
        """Give a sign of life, and promise the next within that time; on the thread only.

        Each round begins with one, so only what takes longer needs another.
        """
        self._vital.promise(within_s)

    def rest(self, rest_s: float) -> None:
        """Wait for that time or until this is told to stop; on the thread only."""
        self.promise(rest_s + ROUND_LIMIT_S)
        self.stopping.wait(rest_s)

    @property
    def written_bytes(self) -> int | None:
        """What this thread has handed to the kernel to write; None: it does not run, or none tells.

        That is files and whatever else is written to: pipes, sockets.
        """
        thread = self._thread
        if thread is None or thread.native_id is None:
            return None
        return numbers_of(f"/proc/self/task/{thread.native_id}/io").get("wchar")

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
        vital = self._vital = ROSTER.enter(self.name)
        with about_camera(self.camera):
            try:
                self._repeat(self.opened, once=True)
                self._repeat(self.run_once)
            finally:
                self.closed()
        ROSTER.leave(vital)  # not where an error came this far: then it is missed, as it should be

    def _repeat(self, step: Callable[[], None], *, once: bool = False) -> None:
        pause_s = self.retry_first_s
        while not self.stopping.is_set():
            try:
                self.promise()
                step()
                pause_s = self.retry_first_s
                if once:
                    return
            except Closed:
                return
            except Exception:
                # The safety net of the thread: a bug in one round must not end the camera.
                _log.exception("%s failed, trying again in %.1f s", self.name, pause_s)
                self.rest(pause_s)
                pause_s = min(pause_s * 2, self.retry_max_s)
