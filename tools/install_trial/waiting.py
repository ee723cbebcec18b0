"""Waiting for something in another process, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

STEP_S = 0.2


class NeverCame(Exception):
    """What was waited for did not come in its time."""


def wait_for(holds: Callable[[], bool], limit_s: float, what: str) -> float:
    """Wait until something holds; return how long that took, in seconds.

    Raises:
        NeverCame: It did not.
    """
    began_s = time.monotonic()
    while not holds():
        if time.monotonic() - began_s > limit_s:
            raise NeverCame(f"{what} did not come in {limit_s:.0f} s")
        time.sleep(STEP_S)
    return time.monotonic() - began_s
