"""Stills that were kept before the machine knew the date: they are dated anew when it does.

What goes first is decided by when a file was written; films are dated anew by their keeper.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable
from pathlib import Path

from camera_app.clock import Clock

_log = logging.getLogger(__name__)

UNDATED_LIMIT = 1000  # a machine may never know the date; beyond it the oldest keep a wrong one


class StillDates:
    """Notes what was kept without a date, and corrects it.

    Args:
        clock: Time.
        is_dated: Whether the machine knows the date by now.
    """

    def __init__(self, clock: Clock, is_dated: Callable[[], bool]) -> None:
        self._clock = clock
        self._is_dated = is_dated
        # Files, and when they were written, monotonic. Any thread adds, only `correct` takes away.
        self._undated: deque[tuple[Path, int]] = deque(maxlen=UNDATED_LIMIT)

    def note(self, path: Path) -> None:
        """Take note of a still that was just written; any thread."""
        if not self._is_dated():
            self._undated.append((path, self._clock.monotonic_ns()))

    def correct(self) -> None:
        """Date anew what was noted, once the date is known; on one thread, now and then."""
        if not self._undated or not self._is_dated():
            return
        to_wall_ns = self._clock.wall_ns() - self._clock.monotonic_ns()
        while self._undated:
            path, written_ns = self._undated.popleft()
            _date(path, to_wall_ns + written_ns)


def _date(path: Path, wall_ns: int) -> None:
    try:
        os.utime(path, ns=(wall_ns, wall_ns))
    except FileNotFoundError:
        return  # it is gone
    except OSError as error:
        _log.warning("%s keeps a wrong date: %s", path, error)
