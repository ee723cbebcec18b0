"""The thread that feeds systemd's watchdog while nothing hangs, and says how things are.

What hangs is `watchdog.py`'s to say, the words are `summary.py`'s, the socket is `systemd.py`'s. It
has a thread of its own, so that no other's hang can be taken for its silence, nor hide behind it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from camera_app.clock import Clock
from camera_app.health.status import DeviceFigures
from camera_app.health.summary import summary_of
from camera_app.health.systemd import Notifier
from camera_app.health.watchdog import Hang, Watchdog
from camera_app.threads import Worker

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
# systemd asks for two signs in its time; with four one may be late on a machine under load.
SIGNS_IN_TIME = 4


class Caretaker(Worker):
    """Looks for hangs, feeds the watchdog if there are none, and keeps the status line true.

    Args:
        figures: Reads every part's figures; called on this thread. Where that hangs, nothing is
            fed, as it should be.
        notifier: Whom to tell.
        clock: Time.
    """

    def __init__(
        self, figures: Callable[[], DeviceFigures], notifier: Notifier, clock: Clock
    ) -> None:
        super().__init__("camera-app caretaker")
        self._figures = figures
        self._notifier = notifier
        self._clock = clock
        self._every_s = look_every_s(notifier.watchdog_s)
        # Owned by this thread.
        self._watchdog = Watchdog(self._every_s)
        self._told = ""
        self._hanging: frozenset[str] = frozenset()

    def run_once(self) -> None:
        """Look once, feed or not, and wait for the next time."""
        figures = self._figures()
        hangs = self._watchdog.look(self._clock.monotonic_ns(), figures)
        self._report(hangs)
        if not hangs:
            self._notifier.feed()
        self._tell(summary_of(figures, hangs))
        self.rest(self._every_s)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._notifier.status(text)

    def _report(self, hangs: tuple[Hang, ...]) -> None:
        """Log what hangs, once; where every thread stands is logged when systemd ends us for it."""
        before, self._hanging = self._hanging, frozenset(hang.what for hang in hangs)
        if not self._hanging - before:
            if before and not hangs:
                _log.warning("nothing hangs any more")
            return
        _log.critical("the service hangs: %s", ", ".join(map(str, hangs)))


def look_every_s(watchdog_s: float | None) -> float:
    """Return how often to look, given within which time the watchdog wants a sign."""
    return LOOK_EVERY_S if watchdog_s is None else min(LOOK_EVERY_S, watchdog_s / SIGNS_IN_TIME)
