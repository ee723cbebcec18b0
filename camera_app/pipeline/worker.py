"""The thread of one live camera: newest frame in, looks asked for, changes committed.

It holds no rule: what to look at and what it means is `CameraWatch`'s. A camera has one frame
under way; the next is whatever is newest by then, and what was passed over is counted as busy.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from concurrent.futures import TimeoutError as LookTimeoutError
from dataclasses import dataclass, replace
from typing import Protocol

from camera_app.clock import Clock, nanoseconds
from camera_app.errors import DeviceError, ModelError
from camera_app.pipeline.asking import Asking
from camera_app.pipeline.looking import LookPlan, ShedReason
from camera_app.pipeline.merging import Look
from camera_app.pipeline.watch import CameraWatch
from camera_app.scheduling import CpuSeats
from camera_app.threads import Closed, LatestBox, Worker
from camera_app.values import Event, EventChange, Frame, FrameCounts

_log = logging.getLogger(__name__)

TAKE_S = 0.5
LOOK_LIMIT_S = 5.0  # a network that takes longer on a CPU is as good as hung
BLIND_AFTER_S = 10.0  # without a frame for so long, what was seen cannot be called there any more
LATENCIES_KEPT = 500
RATE_SPAN_S = 10.0
FRAMES_A_REPORT = 5  # figures are put together this often, and whenever no frame comes


class Concluded(Protocol):
    """Is told what a look brought, on the camera's thread; must not block.

    The frame is None when events ended because no more frames come.
    """

    def __call__(
        self, frame: Frame | None, changes: Sequence[EventChange], open_events: Sequence[Event]
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class CameraStats:
    """What one camera has done so far.

    Attributes:
        counts: Frames by fate.
        open_events: Events that have started and not ended.
        looked_at_fps: Frames a second that were looked at lately.
        latency_p50_ms: From capture to conclusion of recent frames that were looked at.
        latency_p95_ms: The same, nineteen of twenty are faster.
        last_look_ns: Monotonic time of the last frame that was looked at; None before the first.
    """

    counts: FrameCounts
    open_events: int
    looked_at_fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    last_look_ns: int | None


class CameraWorker(Worker):
    """Drives one camera's watch.

    Args:
        watch: What becomes of the frames; belongs to this thread from `start` on.
        frames: Where the source leaves the newest frame.
        seats: Who looks.
        asking: What a look asks of them.
        clock: Time.
        commit: Makes changes durable; must not lose them, may block when the disk is behind.
        concluded: Who else wants to know.
    """

    def __init__(
        self,
        watch: CameraWatch,
        frames: LatestBox[Frame],
        seats: CpuSeats,
        *,
        asking: Asking,
        clock: Clock,
        commit: Callable[[Sequence[EventChange]], object],
        concluded: Concluded,
    ) -> None:
        super().__init__(f"camera-app {watch.name}")
        self._watch = watch
        self._frames = frames
        self._seats = seats
        self._asking = asking
        self._clock = clock
        self._commit = commit
        self._concluded = concluded
        # Owned by this thread; `stats` reads a frozen copy that it leaves behind.
        self._taken = 0
        self._replaced = 0
        self._last_frame_ns: int | None = None
        self._last_look_ns: int | None = None
        self._has_seen = False
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._looks_ns: deque[int] = deque()  # those of the last `RATE_SPAN_S`
        self._stats = CameraStats(FrameCounts(), 0, 0.0, None, None, None)

    @property
    def stats(self) -> CameraStats:
        """What has been done so far; the frames are counted up to this moment."""
        return replace(self._stats, counts=self._watch.counts)

    def wake(self) -> None:
        """End the wait for a frame."""
        self._frames.close()

    def run_once(self) -> None:
        """Take the newest frame and see it through."""
        frame = self._frames.take(TAKE_S)
        self._count_replaced()
        if frame is None:
            self._end_events_if_blind()
        else:
            self._taken += 1
            self._last_frame_ns = frame.captured_ns
            self._see_through(frame)
        if frame is None or self._taken % FRAMES_A_REPORT == 0:
            self._stats = self._current_stats()

    def closed(self) -> None:
        """End what is open: nobody watches from here on."""
        self._count_replaced()
        self._watch.pass_over(ShedReason.STOPPED, self._frames.discard())
        now_ns = self._clock.monotonic_ns()
        self._tell(None, self._watch.finish(now_ns, self._clock.wall_ns(), "stopped"))
        self._stats = self._current_stats()

    def _count_replaced(self) -> None:
        replaced = self._frames.replaced
        self._watch.pass_over(ShedReason.BUSY, replaced - self._replaced)
        self._replaced = replaced

    def _see_through(self, frame: Frame) -> None:
        """Follow one frame to its fate; a bug on the way must not leave it without one."""
        try:
            self._follow(frame)
        finally:
            if self._watch.counts.under_way:
                self._watch.give_up(ShedReason.FAILED)

    def _follow(self, frame: Frame) -> None:
        plan = self._watch.plan(frame)
        if plan.shed is not None:
            return
        looks = self._look(frame, plan)
        if looks is None:
            self._watch.give_up(ShedReason.FAILED)
            return
        changes = self._watch.conclude(frame, looks, self._wall_of(frame.captured_ns))
        self._tell(frame, changes)
        self._note_look(frame, looks)

    def _look(self, frame: Frame, plan: LookPlan) -> list[Look] | None:
        """Return what was found in each region, or None when the networks could not answer."""
        try:
            demands = self._asking.demands(frame.picture, plan)
            answers = [self._seats.submit(demand) for demand in demands]
            found = [answer.result(LOOK_LIMIT_S) for answer in answers]
        except (DeviceError, ModelError, LookTimeoutError) as error:
            _log.error("camera %s: a frame could not be looked at: %s", self._watch.name, error)
            return None
        except (CancelledError, Closed):
            return None  # the seats are stopping, and so are we
        return self._asking.looks(plan, found)

    def _end_events_if_blind(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._last_frame_ns is None or not self._watch.open_events:
            return
        if now_ns - self._last_frame_ns >= nanoseconds(BLIND_AFTER_S):
            self._tell(None, self._watch.finish(now_ns, self._clock.wall_ns(), "source_lost"))

    def _tell(self, frame: Frame | None, changes: Sequence[EventChange]) -> None:
        if changes:
            self._commit(changes)
        self._concluded(frame, changes, self._watch.open_events)

    def _wall_of(self, moment_ns: int) -> int:
        return self._clock.wall_ns() - (self._clock.monotonic_ns() - moment_ns)

    def _note_look(self, frame: Frame, looks: Sequence[Look]) -> None:
        if not self._has_seen and any(found for _, found in looks):
            self._has_seen = True
            _log.info("camera %s sees its first object", self._watch.name)
        self._last_look_ns = frame.captured_ns
        self._looks_ns.append(frame.captured_ns)
        self._latencies_ms.append((self._clock.monotonic_ns() - frame.captured_ns) / 1e6)

    def _looked_at_fps(self) -> float:
        oldest_ns = self._clock.monotonic_ns() - nanoseconds(RATE_SPAN_S)
        while self._looks_ns and self._looks_ns[0] < oldest_ns:
            self._looks_ns.popleft()
        return len(self._looks_ns) / RATE_SPAN_S

    def _current_stats(self) -> CameraStats:
        ordered = sorted(self._latencies_ms)
        return CameraStats(
            counts=self._watch.counts,
            open_events=len(self._watch.open_events),
            looked_at_fps=self._looked_at_fps(),
            latency_p50_ms=_percentile(ordered, 0.50),
            latency_p95_ms=_percentile(ordered, 0.95),
            last_look_ns=self._last_look_ns,
        )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
