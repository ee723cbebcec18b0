"""How tests wait for what a thread or process does by itself: on the condition, within a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable

LIMIT_S = 30.0  # never reached by what works, even on a machine that is busy otherwise
PAUSE_S = 0.005


def wait_until(condition: Callable[[], bool], limit_s: float = LIMIT_S) -> bool:
    """Wait until a condition holds, and return whether it does; to be asserted."""
    pause = threading.Event()
    for _ in range(round(limit_s / PAUSE_S)):
        if condition():
            return True
        pause.wait(PAUSE_S)
    return condition()
