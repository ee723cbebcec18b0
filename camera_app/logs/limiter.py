"""How often the same thing is said: once, and then how often it would have been. Pure.

What is "the same" is decided here, too: the place in the program that says it, and what it says it
of. Numbers in it do not count, for a pause of 1.3 s and one of 2.6 s are the same news.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Hashable
from dataclasses import dataclass

WINDOW_S = 60.0
# So many different things are said by one place of the program in one window; then they are one.
SUBJECTS_AT_MOST = 20
_SUBJECT_LENGTH = 200
_NUMBER = re.compile(r"(?<![\w.:-])[0-9]+(?:\.[0-9]+)?(?![\w:-])")

Template = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Withheld:
    """Lines that were counted and not written.

    Attributes:
        record: The last of them.
        count: How many.
        over_s: In which time.
    """

    record: logging.LogRecord
    count: int
    over_s: float


@dataclass(slots=True)
class _Window:
    """The time from a line that was written until one like it may be written again."""

    ends_s: float
    last: logging.LogRecord
    withheld: int = 0


class Limiter:
    """Decides which lines are written; belongs to whoever holds the handler's lock.

    It keeps at most `SUBJECTS_AT_MOST` windows and one more for each place that logs.

    Args:
        window_s: How long the same thing is not said again.
    """

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._windows: dict[Hashable, _Window] = {}  # the one that ends first stands first
        self._subjects: dict[Template, int] = {}  # how many of those are of one template

    def takes(self, record: logging.LogRecord, now_s: float) -> bool:
        """Say whether to write a line; one that is not is counted."""
        template = (record.name, record.levelno, str(record.msg))
        key: Hashable = (template, subject_of(record))
        if key not in self._windows and self._subjects.get(template, 0) >= SUBJECTS_AT_MOST:
            key = template
        window = self._windows.get(key)
        if window is None:
            self._windows[key] = _Window(now_s + self._window_s, record)
            self._subjects[template] = self._subjects.get(template, 0) + 1
            return True
        window.withheld += 1
        window.last = record
        return False

    def due(self, now_s: float) -> list[Withheld]:
        """Return what was withheld in the windows that are over."""
        told = []
        while self._windows:
            key, window = next(iter(self._windows.items()))
            if window.ends_s > now_s:
                break
            del self._windows[key]
            self._forget(window)
            if window.withheld:
                told.append(Withheld(window.last, window.withheld, self._window_s))
                # It may go on: then it is said once a window.
                self._windows[key] = _Window(now_s + self._window_s, window.last)
                self._remember(window)
        return told

    def rest(self, now_s: float) -> list[Withheld]:
        """Return all that was withheld and not told; nothing more comes."""
        told = [
            Withheld(one.last, one.withheld, self._window_s - max(0.0, one.ends_s - now_s))
            for one in self._windows.values()
            if one.withheld
        ]
        self._windows.clear()
        self._subjects.clear()
        return told

    def _remember(self, window: _Window) -> None:
        template = _template(window.last)
        self._subjects[template] = self._subjects.get(template, 0) + 1

    def _forget(self, window: _Window) -> None:
        template = _template(window.last)
        left = self._subjects.get(template, 0) - 1
        if left > 0:
            self._subjects[template] = left
        else:
            self._subjects.pop(template, None)


def _template(record: logging.LogRecord) -> Template:
    return record.name, record.levelno, str(record.msg)


def subject_of(record: logging.LogRecord) -> Hashable:
    """Return what a line is about: its arguments, numbers left out, and the kind of its error."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else ""
    said = (str(one) for one in arguments if not isinstance(one, int | float))
    return kind, tuple(_without_numbers(text[:_SUBJECT_LENGTH]) for text in said)


def _without_numbers(text: str) -> str:
    """Return a text with # for its numbers; one word is a name, whose numbers tell it apart."""
    return _NUMBER.sub("#", text) if " " in text else text
