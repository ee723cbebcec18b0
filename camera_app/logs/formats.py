"""How a line looks: for a person at a terminal, or one JSON object for a program.

Either takes the secrets out itself, last of all, so that nothing comes past it: arguments, the text
of an error, its stack.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from camera_app.logs.redaction import redact

HUMAN_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_COLOURS = {
    logging.DEBUG: "\033[2m",
    logging.WARNING: "\033[33m",
    logging.ERROR: "\033[31m",
    logging.CRITICAL: "\033[1;31m",
}
_PLAIN = "\033[0m"
# What a terminal would obey, in a text that may come from a stranger; a tab and a new line are not.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

# From syslog.h: systemd takes such a number in angle brackets for the importance of a line.
_SYSLOG = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_SYSLOG_DEBUG = 7

_CAMERA_TEMPLATE = "camera %s"
_thread = threading.local()


@contextmanager
def about_camera(name: str) -> Iterator[None]:
    """Have all that this thread says marked as said of a camera."""
    before = getattr(_thread, "camera", "")
    _thread.camera = name
    try:
        yield
    finally:
        _thread.camera = before


def camera_of(record: logging.LogRecord) -> str:
    """Return the camera that a line is about, as far as can be told; to be asked on its thread."""
    named = getattr(record, "camera", "")
    if named:
        return str(named)
    is_template = str(record.msg).startswith(_CAMERA_TEMPLATE)
    if is_template and isinstance(record.args, tuple) and record.args:
        return str(record.args[0])
    return str(getattr(_thread, "camera", ""))


class HumanFormat(logging.Formatter):
    """A line for a person.

    Args:
        has_colour: What is amiss has a colour; for terminals only.
    """

    def __init__(self, *, has_colour: bool = False) -> None:
        super().__init__(HUMAN_FORMAT)
        self._has_colour = has_colour

    def format(self, record: logging.LogRecord) -> str:
        text = _CONTROLS.sub("�", redact(super().format(record)))
        colour = _COLOURS.get(record.levelno) if self._has_colour else None
        return f"{colour}{text}{_PLAIN}" if colour else text


class JsonFormat(logging.Formatter):
    """One JSON object, on one line.

    Fields are `time` (UTC), `level`, `logger`, `thread`, `message`; where there is one, `camera`,
    `error` (its stack), and `repeats` (how many lines like it were not written).

    Args:
        has_priority: The importance stands before it, as systemd takes it.
    """

    def __init__(self, *, has_priority: bool = False) -> None:
        super().__init__()
        self._has_priority = has_priority

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        told: dict[str, object] = {
            "time": at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": redact(record.getMessage()),
        }
        camera = camera_of(record)
        if camera:
            told["camera"] = camera
        if record.exc_info:
            told["error"] = redact(self.formatException(record.exc_info))
        repeats = getattr(record, "repeats", 0)
        if repeats:
            told["repeats"] = repeats
        line = json.dumps(told, ensure_ascii=False)
        return f"<{_priority(record.levelno)}>{line}" if self._has_priority else line


def _priority(level: int) -> int:
    return next((number for at_least, number in _SYSLOG if level >= at_least), _SYSLOG_DEBUG)
