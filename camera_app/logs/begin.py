"""Where logging begins: one handler at the root, that limits, formats and counts."""

from __future__ import annotations

import copy
import faulthandler
import logging
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, TextIO

from camera_app.logs.formats import HumanFormat, JsonFormat
from camera_app.logs.limiter import WINDOW_S, Limiter, Withheld
from camera_app.logs.redaction import keep_file_secret
from camera_app.logs.tap import StderrTap

Format = Literal["auto", "human", "json"]

_log = logging.getLogger(__name__)

# What systemd says of the stream that it gave: device and inode.
JOURNAL_VARIABLE = "JOURNAL_STREAM"
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
NO_COLOUR_VARIABLE = "NO_COLOR"


@dataclass(frozen=True, slots=True)
class LogCounts:
    """What was logged since the start.

    Attributes:
        lines: Lines written, by level.
        withheld: Lines like one that was just written, and so only counted.
    """

    lines: Mapping[str, int] = field(default_factory=dict)
    withheld: int = 0


class LogHandler(logging.StreamHandler[TextIO]):
    """Writes what is new, and says how much was not.

    Args:
        stream: Where to.
        form: How a line looks.
        window_s: How long the same thing is not said again.
        now_s: Time; monotonic.
    """

    def __init__(
        self,
        stream: TextIO,
        form: logging.Formatter,
        *,
        window_s: float = WINDOW_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(stream)
        self.setFormatter(form)
        self._now_s = now_s
        # The handler's own lock, which `handle` takes, guards all below.
        self._limiter = Limiter(window_s)
        self._lines: Counter[str] = Counter()
        self._withheld = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, if it is not as one before; called with the lock held.

        Whoever asks for debug lines wants all of all.
        """
        now_s = self._now_s()
        self._tell(self._limiter.due(now_s))
        # Not `isEnabledFor`: from Python 3.13 on, no logger is while a record is handled.
        is_all_wanted = logging.getLogger().getEffectiveLevel() <= logging.DEBUG
        if is_all_wanted or self._limiter.takes(record, now_s):
            self._write(record)
        else:
            self._withheld += 1

    def tell_withheld(self) -> None:
        """Say what was withheld in the time that is over; to be called now and then."""
        with _held(self):
            self._tell(self._limiter.due(self._now_s()))

    def close(self) -> None:
        """Say what was withheld and is not told yet."""
        with _held(self):
            self._tell(self._limiter.rest(self._now_s()))
        super().close()

    def counts(self) -> LogCounts:
        """Return what was logged; from any thread."""
        with _held(self):
            return LogCounts(dict(self._lines), self._withheld)

    def _write(self, record: logging.LogRecord) -> None:
        self._lines[record.levelname.lower()] += 1
        super().emit(record)

    def _tell(self, withheld: list[Withheld]) -> None:
        for one in withheld:
            self._write(_summary(one))


@contextmanager
def _held(handler: logging.Handler) -> Iterator[None]:
    handler.acquire()
    try:
        yield
    finally:
        handler.release()


def _summary(withheld: Withheld) -> logging.LogRecord:
    """Return the line that stands for those that were not written."""
    record = copy.copy(withheld.record)
    text = record.getMessage()
    record.msg = f"{text} (and {withheld.count} more like it in {withheld.over_s:.0f} s)"
    record.args = ()
    record.exc_info = None  # its stack was written with the first
    record.exc_text = None
    record.repeats = withheld.count
    record.created = time.time()
    record.msecs = (record.created % 1) * 1000
    return record


_handlers: list[LogHandler] = []  # the one that is at work; changed by `begin_logging` only


def counts() -> LogCounts:
    """Return what was logged since logging began; nothing, where it has not."""
    return _handlers[0].counts() if _handlers else LogCounts()


@contextmanager
def begin_logging(
    *, level: str, form: Format = "auto", window_s: float = WINDOW_S
) -> Iterator[None]:
    """Log to standard error until left: our lines, and what native code and children write there.

    Args:
        level: Least important kind of line that is written.
        form: `auto`: JSON where systemd's journal reads, else for a person.
        window_s: How long the same thing is not said again.
    """
    keep_credentials()
    tap = StderrTap(_tell_withheld)
    tap.start()
    handler = LogHandler(tap.stream, _chosen(form, tap.stream), window_s=window_s)
    root = logging.getLogger()
    before, level_before = root.handlers[:], root.level
    root.setLevel(level.upper())
    root.handlers[:] = [handler]
    _handlers[:] = [handler]
    faulthandler.enable(tap.stream)  # what a crash in here leaves must not wait in a pipe
    try:
        with _uncaught_are_logged():
            yield
    finally:
        tap.stop()  # logs what came until now
        faulthandler.disable()
        _handlers.clear()
        root.handlers[:] = before
        root.setLevel(level_before)
        handler.close()
        tap.close()


def _tell_withheld() -> None:
    for handler in _handlers:
        handler.tell_withheld()


def keep_credentials() -> None:
    """Keep what systemd has handed over as credentials out of everything."""
    folder = os.environ.get(CREDENTIALS_VARIABLE)
    if folder:
        for path in Path(folder).glob("*"):
            keep_file_secret(path)


def _chosen(form: Format, stream: TextIO) -> logging.Formatter:
    is_journal = reads_journal(stream.fileno(), os.environ.get(JOURNAL_VARIABLE, ""))
    if form == "json" or (form == "auto" and is_journal):
        return JsonFormat(has_priority=is_journal)
    has_colour = stream.isatty() and not os.environ.get(NO_COLOUR_VARIABLE)
    return HumanFormat(has_colour=has_colour)


def reads_journal(descriptor: int, told: str) -> bool:
    """Say whether systemd's journal reads what is written there.

    Args:
        descriptor: The stream.
        told: What systemd said of the stream that it gave: `device:inode`. A service may have been
            given another since, so that is held against what the stream is.
    """
    status = os.fstat(descriptor)
    return told == f"{status.st_dev}:{status.st_ino}"


@contextmanager
def _uncaught_are_logged() -> Iterator[None]:
    """Have errors that nobody catches logged as all else, and not printed past it."""

    def main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log.critical("ended by an error that nobody foresaw", exc_info=(kind, error, trace))

    def thread(told: threading.ExceptHookArgs) -> None:
        if told.exc_value is not None:
            name = told.thread.name if told.thread is not None else "?"
            error = (told.exc_type, told.exc_value, told.exc_traceback)
            _log.critical("thread %s ended by an error that nobody foresaw", name, exc_info=error)

    before = sys.excepthook, threading.excepthook
    sys.excepthook, threading.excepthook = main, thread
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        sys.excepthook, threading.excepthook = before
