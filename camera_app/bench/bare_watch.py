"""The least that it takes to watch a still scene: one loop that decodes and looks for motion.

The loop runs in a process of its own, beside the service that is measured: on a shared machine, or
one that saves power, the same work may take twice the time an hour later.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from camera_app.capture import ClipReader, MotionGate
from camera_app.clock import NS_PER_S
from camera_app.config import MotionSettings
from camera_app.errors import UsageError
from camera_app.values import Pixels

FPS = 10
END_LIMIT_S = 60.0
_LOOP = f"import sys; from {__name__} import tell_of; tell_of(*sys.argv[1:])"


class BareWatch:
    """The loop in a process of its own, begun now.

    Args:
        film: A film of a still scene; played over and over.
        settle_s: What it takes before that is not counted.
        seconds: Length of the measurement.
    """

    def __init__(self, film: Path, settle_s: float, seconds: float) -> None:
        self._words = ["-c", _LOOP, str(film), str(settle_s), str(seconds)]
        self._seconds = seconds

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, *self._words], stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def cpu_s_per_minute(self) -> float:
        """Wait for its end, and return the processor time that it took.

        Raises:
            UsageError: It did not come to its end.
        """
        told, _ = self._process.communicate(timeout=self._seconds + END_LIMIT_S)
        if self._process.returncode:
            raise UsageError("the bare loop beside the service ended early", where=__name__)
        return float(told) * 60 / self._seconds


def watch(film: Path, settle_s: float, seconds: float) -> float:
    """Decode a film as it would come, look for motion, and return the processor time of it."""
    gate, before_s = MotionGate(MotionSettings()), 0.0
    began_s = time.monotonic()
    for number, luma in enumerate(_pictures(film)):
        time.sleep(max(0.0, began_s + number / FPS - time.monotonic()))
        gate.look(luma, number * NS_PER_S // FPS)
        if number == round(settle_s * FPS):
            before_s = time.process_time()
        elif number == round((settle_s + seconds) * FPS):
            break
    return time.process_time() - before_s


def _pictures(film: Path) -> Iterator[Pixels]:
    while True:
        with ClipReader(film) as reader:
            for frame in reader.frames():
                yield frame.picture.luma


def tell_of(film: str, settle_s: str, seconds: str) -> None:
    """Run in the process: watch, and print the processor time that it took."""
    print(watch(Path(film), float(settle_s), float(seconds)))
