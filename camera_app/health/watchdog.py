"""Whether the service hangs: the rule by which systemd's watchdog is fed. Pure.

It judges by frozen figures and by the signs of life of every thread, and asks one question: would
a restart help? So three things stop the feeding:

- a thread of ours gives no sign of life in the time that it has promised;
- changes wait for the store's writer, and none is written;
- pictures of a camera come, and nothing becomes of them: none is looked at or left out by the
  motion gate, and neither the scheduler nor a device says why.

A camera that is unplugged, a broker that is away, a full disk, a lost Edge TPU, too much to do: all
that is told elsewhere and gets better without us, or by its owner. A restart would only make every
other camera blind for some seconds, and then again. A child process that hangs is no hang of ours
either: the thread that looks after it has a deadline for it, kills it and starts another; it is
that thread which must go on giving signs.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from camera_app.clock import seconds
from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.pipeline import ShedReason

# Beyond what a frame may take and a worn card may need (the writer promises a minute).
CAMERA_LIMIT_S = 60.0
STORE_LIMIT_S = 90.0

# What is said of a frame by whoever has just let it go is no sign that anybody looks.
_NO_PROGRESS = frozenset({ShedReason.BUSY, ShedReason.FAILED, ShedReason.STOPPED})


@dataclass(frozen=True, slots=True)
class Hang:
    """Something that stands still and should not.

    Attributes:
        what: What it is, for the log: `thread camera-app store`, `camera front`.
        silent_s: For how long nothing has come of it.
    """

    what: str
    silent_s: float

    def __str__(self) -> str:
        return f"{self.what}: nothing for {self.silent_s:.0f} s"


@dataclass(frozen=True, slots=True)
class _Owed:
    """Something that has to move.

    Attributes:
        key: Tells it from all others.
        what: As in `Hang`.
        mark: Differs whenever it has moved.
        limit_s: How long it may stand still; infinite: nothing is owed now.
    """

    key: Hashable
    what: str
    mark: object
    limit_s: float


@dataclass(slots=True)
class _Stillness:
    """For how long one thing has not moved."""

    mark: object
    silent_s: float = 0.0


class Watchdog:
    """Looks at the figures again and again, and says what hangs. Belongs to one thread.

    Args:
        look_every_s: How often it is asked. Time in which it was not asked, because the machine
            slept or the whole process stood still, counts for no more than twice that: then
            nobody could have moved.
    """

    def __init__(self, look_every_s: float) -> None:
        self._most_s = 2 * look_every_s
        self._looked_ns: int | None = None
        self._known: dict[Hashable, _Stillness] = {}

    def look(self, now_ns: int, figures: DeviceFigures) -> tuple[Hang, ...]:
        """Return what hangs now, by these figures and those of earlier looks.

        Args:
            now_ns: Monotonic time.
            figures: Of every part.
        """
        passed_s = self._passed_s(now_ns)
        owed = list(_owed(figures))
        self._known = {one.key: self._stillness(one, passed_s) for one in owed}
        return tuple(
            Hang(one.what, self._known[one.key].silent_s)
            for one in owed
            if self._known[one.key].silent_s > one.limit_s
        )

    def _passed_s(self, now_ns: int) -> float:
        before_ns, self._looked_ns = self._looked_ns, now_ns
        return 0.0 if before_ns is None else min(self._most_s, seconds(now_ns - before_ns))

    def _stillness(self, one: _Owed, passed_s: float) -> _Stillness:
        before = self._known.get(one.key)
        if before is None or before.mark != one.mark or one.limit_s == math.inf:
            return _Stillness(one.mark)
        return _Stillness(one.mark, before.silent_s + passed_s)


def _owed(figures: DeviceFigures) -> Iterator[_Owed]:
    for sign in figures.signs:
        yield _Owed(("thread", sign.key), f"thread {sign.thread}", sign.count, sign.within_s)
    store = figures.store
    is_writing = store.state == "open" and store.waiting > 0
    yield _Owed("store", "store", store.committed, STORE_LIMIT_S if is_writing else math.inf)
    for name, camera in figures.cameras.items():
        limit_s = CAMERA_LIMIT_S if _is_to_be_seen(camera) else math.inf
        yield _Owed(("camera", name), f"camera {name}", _progress(camera), limit_s)


def _is_to_be_seen(camera: CameraFigures) -> bool:
    """Say whether pictures of this camera come that nobody has seen yet."""
    watch = camera.watch
    return camera.source.is_delivering and not watch.paused and watch.unseen_since_ns is not None


def _progress(camera: CameraFigures) -> int:
    """Return how many frames were looked at, or left out for a reason that somebody gave."""
    watch = camera.watch
    told = sum(count for reason, count in watch.counts.shed.items() if reason not in _NO_PROGRESS)
    return watch.counts.looked_at + told + watch.declined
