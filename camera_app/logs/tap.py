"""Catches what is written to standard error past the log: by native code, and by children.

FFmpeg and LiteRT write there as they please, and a child that crashes leaves its stack. What they
write is made lines of the log, with secrets taken out as in all others. Pipes do not wait: should
nobody read for so long that one is full, what comes then is lost, and nothing hangs.
"""

from __future__ import annotations

import logging
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TextIO

from camera_app.logs.redaction import redact
from camera_app.roster import ROSTER

_log = logging.getLogger(__name__)

_STDERR = 2
_READ_BYTES = 64 * 1024
# Lines that come without a pause are one message, as a stack is; up to so many bytes.
BLOCK_BYTES = 16 * 1024
BLOCK_PAUSE_S = 0.1
LINE_BYTES = 4 * BLOCK_BYTES
TICK_S = 1.0
STOP_LIMIT_S = 2.0
OURSELVES = "this process"

_LEVELS = (
    (re.compile(r"^(?:INFO|DEBUG|VERBOSE|I[0-9]{4})\b", re.M), logging.INFO),
    (
        re.compile(r"^(?:ERROR|FATAL|Traceback|Fatal Python error|[EF][0-9]{4})\b", re.M),
        logging.ERROR,
    ),
)
_CAMERA_CHILD = "cam-"


@dataclass(slots=True)
class _Source:
    """A pipe that somebody writes to.

    Attributes:
        name: Who.
        pending: What has come and is not logged yet.
        since_s: When the last of it came.
    """

    name: str
    pending: bytearray = field(default_factory=bytearray)
    since_s: float = 0.0


class StderrTap:
    """Puts itself in the place of standard error; one a process.

    Args:
        now_and_then: Called about once a second, on the tap's thread.

    Attributes:
        stream: What standard error was before; the log goes there.
    """

    stream: TextIO

    def __init__(self, now_and_then: Callable[[], None]) -> None:
        self._now_and_then = now_and_then
        self._guard = threading.Lock()  # guards `_sources`
        self._sources: dict[int, _Source] = {}  # by descriptor to read
        self._wake = -1
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera-app log", daemon=True)

    def start(self) -> None:
        sys.stderr.flush()
        saved = os.dup(_STDERR)  # not inherited
        self.stream = os.fdopen(saved, "w", encoding="utf-8", errors="backslashreplace")
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        entry = self.open(OURSELVES)
        os.dup2(entry, _STDERR)
        os.close(entry)
        self._thread.start()
        _taps[:] = [self]

    def stop(self) -> None:
        """Give standard error back, and log what came until then."""
        _taps.clear()
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        os.dup2(self.stream.fileno(), _STDERR)
        self._stopping.set()
        os.eventfd_write(self._wake, 1)
        self._thread.join(STOP_LIMIT_S)
        if not self._thread.is_alive():
            os.close(self._wake)

    def close(self) -> None:
        """Let go of what standard error was; nothing is logged there from here on."""
        self.stream.close()

    def open(self, name: str) -> int:
        """Return where somebody may write whose lines are to be logged under that name."""
        read_end, write_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        with self._guard:
            self._sources[read_end] = _Source(name)
        os.eventfd_write(self._wake, 1)
        return write_end

    def _run(self) -> None:
        vital = ROSTER.enter(self._thread.name)
        while not self._stopping.is_set():
            vital.promise()
            try:
                self._listen(TICK_S)
                self._now_and_then()
            except Exception:
                # The safety net of the thread: without it the next child's crash is told by nobody.
                _log.exception("what was written to standard error cannot be read")
                self._stopping.wait(TICK_S)
        self._read_the_rest()
        ROSTER.leave(vital)

    def _listen(self, timeout_s: float) -> None:
        with self._guard:
            sources = dict(self._sources)
        is_pending = any(source.pending for source in sources.values())
        poll = select.poll()
        for descriptor in (self._wake, *sources):
            poll.register(descriptor, select.POLLIN)
        ready = poll.poll((BLOCK_PAUSE_S if is_pending else timeout_s) * 1000)
        for descriptor, _ in ready:
            if descriptor == self._wake:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            else:
                self._read(descriptor, sources[descriptor])
        self._log_what_is_whole(sources)

    def _read(self, descriptor: int, source: _Source) -> None:
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        source.pending += data
        source.since_s = time.monotonic()
        if not data:
            self._forget(descriptor, source)

    def _forget(self, descriptor: int, source: _Source) -> None:
        with self._guard:
            del self._sources[descriptor]
        os.close(descriptor)
        _say(source.name, bytes(source.pending))
        source.pending.clear()

    def _log_what_is_whole(self, sources: dict[int, _Source]) -> None:
        now_s = time.monotonic()
        for source in sources.values():
            if not source.pending:
                continue
            is_quiet = now_s - source.since_s >= BLOCK_PAUSE_S
            if is_quiet or len(source.pending) >= BLOCK_BYTES:
                _say(source.name, _taken(source.pending, is_quiet=is_quiet))

    def _read_the_rest(self) -> None:
        with self._guard:
            sources, self._sources = self._sources, {}
        for descriptor, source in sources.items():
            with suppress(OSError):
                source.pending += os.read(descriptor, _READ_BYTES)
            os.close(descriptor)
            _say(source.name, bytes(source.pending))


def _taken(pending: bytearray, *, is_quiet: bool) -> bytes:
    """Take the whole lines out; all of it, when nothing more comes or a line has no end.

    A line is not cut while it may go on: half a secret would not be known for one.
    """
    end = pending.rfind(b"\n") + 1
    if is_quiet or len(pending) >= LINE_BYTES:
        end = len(pending)
    block = bytes(pending[:end])
    del pending[:end]
    return block


def _say(name: str, block: bytes) -> None:
    text = block.decode("utf-8", "replace").strip()
    if not text:
        return
    level = next((level for pattern, level in reversed(_LEVELS) if pattern.search(text)), None)
    extra = {"camera": name.removeprefix(_CAMERA_CHILD)} if name.startswith(_CAMERA_CHILD) else {}
    _log.log(level or logging.WARNING, "%s: %s", name, redact(text)[:BLOCK_BYTES], extra=extra)


_taps: list[StderrTap] = []  # the one that is at work; changed by its `start` and `stop` only


@contextmanager
def error_output_of(name: str) -> Iterator[int | None]:
    """Give a child that is about to start its standard error; None: it has ours.

    Args:
        name: What the child is called in the log.
    """
    if not _taps:
        yield None
        return
    entry = _taps[0].open(name)
    try:
        yield entry
    finally:
        os.close(entry)
