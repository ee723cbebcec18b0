"""Several things done at once, each of which may fail or hang without harm to the others."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from camera_app.threads import Deadline

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Undone:
    """Something that brought nothing.

    Attributes:
        error: How it failed; empty: it was not done in time.
    """

    error: str = ""

    def __str__(self) -> str:
        return f"failed with {self.error}" if self.error else "was not done in time"


def done_together(tasks: Mapping[str, Callable[[], T]], limit_s: float) -> dict[str, T | Undone]:
    """Do all tasks at once, a thread each, and return what each brought.

    A thread that hangs is left behind: it ends with the process.
    """
    done: queue.SimpleQueue[tuple[str, T | Undone]] = queue.SimpleQueue()
    for name, task in tasks.items():
        arguments = (name, task, done)
        threading.Thread(target=_do, args=arguments, name=f"doctor-{name}", daemon=True).start()
    outcomes: dict[str, T | Undone] = dict.fromkeys(tasks, Undone())
    deadline = Deadline(limit_s)
    for _ in tasks:
        try:
            name, outcome = done.get(timeout=deadline.remaining_s())
        except queue.Empty:
            break
        outcomes[name] = outcome
    return outcomes


def _do(name: str, task: Callable[[], T], done: queue.SimpleQueue[tuple[str, T | Undone]]) -> None:
    try:
        done.put((name, task()))
    except Exception as error:
        # The safety net: what one cannot do must not keep the others from being told.
        _log.debug("%s failed", name, exc_info=True)
        done.put((name, Undone(f"{type(error).__name__}: {error}")))
