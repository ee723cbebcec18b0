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
from dataclasses import dataclass, field, replace
from typing import Protocol

from camera_app.capture import Doorway
from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.config import EventSettings
from camera_app.errors import DeviceError, ModelError
from camera_app.histogram import percentile
from camera_app.pipeline.asking import Asking, ModelChoice
from camera_app.pipeline.looking import LookPlan, ShedReason
from camera_app.pipeline.merging import Look
from camera_app.pipeline.sight import Sight
from camera_app.pipeline.times import FrameTimes, Step, Stopwatch
from camera_app.pipeline.watch import CameraWatch
from camera_app.scheduling import Answer, Demand, DemandShed
from camera_app.threads import Closed, Deadline, Worker
from camera_app.values import Detection, Event, EventChange, Frame, FrameCounts

_log = logging.getLogger(__name__)

TAKE_S = 0.5
FOREVER_NS = 1 << 62
NOTHING_WANTED = "nothing_wanted"  # why events end when no model is left to ask
LOOK_LIMIT_S = 5.0  # a frame that takes longer is given up; a network on the CPU cannot be killed
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


class Asked(Protocol):
    """Whom a look is asked of: the executor."""

    def ask(self, demands: Sequence[Demand]) -> list[Answer]:
        """Ask for all of a frame; each answer is there later, or an error in its place."""


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
        blind_s: Seconds in which frames came and nothing looked.
        unseen_since_ns: Capture of the first frame that nobody has seen since; None: all is seen.
        paused: Why nothing is to be looked at now: the owner's word; empty: it is.
        declined: Looks of which a device has said that it cannot do them, and why: that is no hang.
        times: Where the time of its frames went.
        regions: Of its frames that were looked at.
        changes: Of events, that its frames brought.
    """

    counts: FrameCounts
    open_events: int
    looked_at_fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    last_look_ns: int | None
    blind_s: float = 0.0
    unseen_since_ns: int | None = None
    paused: str = ""
    declined: int = 0
    times: FrameTimes = field(default_factory=FrameTimes)
    regions: int = 0
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Orders:
    """What the owner wants of a camera just now.

    Attributes:
        paused: Why nothing is to be looked at, a word for the events that end by it; empty: look.
        events: How tracks become events.
        keeps_newest: The newest frame may be asked for.
        variant: A smaller pack to look with instead of the model that names it; empty: none.
        muted: Classes that are not looked for.
    """

    paused: str
    events: EventSettings
    keeps_newest: bool = True
    variant: str = ""
    muted: frozenset[str] = frozenset()


class CameraWorker(Worker):
    """Drives one camera's watch.

    Args:
        watch: What becomes of the frames; belongs to this thread from `start` on.
        frames: Where the source leaves the newest frame.
        devices: Who looks.
        asking: What a look asks of them.
        choices: What else it can ask, by order.
        clock: Time.
        commit: Makes changes durable; must not lose them, may block when the disk is behind.
        concluded: Who else wants to know.
        moved: Is told on this thread whether anything moves: once at the start, then when that
            changes. Must not block. Never called where no motion gate looks.
    """

    def __init__(
        self,
        watch: CameraWatch,
        frames: Doorway,
        devices: Asked,
        *,
        asking: Asking,
        choices: Sequence[ModelChoice] = (),
        clock: Clock,
        commit: Callable[[Sequence[EventChange]], object],
        concluded: Concluded,
        moved: Callable[[bool], None] = lambda _: None,
    ) -> None:
        super().__init__(f"camera-app {watch.name}")
        self.camera = watch.name
        self._watch = watch
        self._frames = frames
        frames.attend(self._pass_by, self._note_still)
        self._devices = devices
        self._asking = asking
        self._choices = tuple(choices)
        self._clock = clock
        self._commit = commit
        self._concluded = concluded
        self._moved = moved
        # Owned by this thread; `stats` reads a frozen copy that it leaves behind.
        self._taken = 0
        self._declined = 0
        self._regions = 0
        self._changes = 0
        self._replaced = 0
        self._last_frame_ns: int | None = None
        self._last_look_ns: int | None = None
        self._has_seen = False
        self._told_moving: bool | None = None  # None: nothing yet
        self._orders: Orders | None = None  # None: as the watch was made
        self._wanted: Orders | None = None  # set from any thread, obeyed on this one
        self._paused = ""  # why nothing is to be looked at
        self._newest: Frame | None = None
        self._sight = Sight()
        self._blind_told_ns = 0  # of those who read; a lost update is made good by the next
        self._stopwatch = Stopwatch()
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._looks_ns: deque[int] = deque()  # those of the last `RATE_SPAN_S`
        self._stats = CameraStats(FrameCounts(), 0, 0.0, None, None, None)

    @property
    def stats(self) -> CameraStats:
        """What has been done so far; what tells a hang is of this moment, whoever reads."""
        return replace(
            self._stats,
            counts=self._watch.counts,
            unseen_since_ns=self._sight.unseen_since_ns,
            blind_s=self._blind_s(),
            times=self._stopwatch.times(),
            paused=self._paused_now(),
            declined=self._declined,
            regions=self._regions,
            changes=self._changes,
        )

    @property
    def newest_frame(self) -> Frame | None:
        """The last frame that was taken; None before the first, and while none may be had."""
        return self._newest

    def order(self, orders: Orders) -> None:
        """Go by other orders, from the next frame on or within `TAKE_S`; any thread."""
        self._wanted = orders
        self._frames.rest_until(0)

    def wake(self) -> None:
        """End the wait for a frame."""
        self._frames.close()

    def run_once(self) -> None:
        """Take the newest frame and see it through."""
        frame = self._frames.take(TAKE_S)
        self._count_replaced()
        self._obey()
        if frame is None:
            self._rest_if_nothing_comes()
            self._tell_motion(self._clock.monotonic_ns())
        else:
            self._take(frame)
        if frame is None or self._taken % FRAMES_A_REPORT == 0:
            self._stats = self._current_stats()
        if self._wanted is self._orders:
            self._rest()

    def _rest(self) -> None:
        """Do without frames that need no look, until the next one that does."""
        if self._paused:
            self._frames.rest_until(FOREVER_NS, whatever_moves=True)
        else:
            self._frames.rest_until(self._watch.still_until_ns)

    def closed(self) -> None:
        """End what is open: nobody watches from here on."""
        self._frames.rest_until(0)
        self._count_replaced()
        self._watch.pass_over(ShedReason.STOPPED, self._frames.discard())
        now_ns = self._clock.monotonic_ns()
        self._tell(None, self._watch.finish(now_ns, self._clock.wall_ns(), "stopped"))
        self._stats = self._current_stats()

    def _count_replaced(self) -> None:
        replaced = self._frames.replaced
        passed_over = replaced - self._replaced
        if passed_over:
            self._watch.pass_over(ShedReason.BUSY, passed_over)
            _log.debug("camera %s: %d frames shed: busy", self._watch.name, passed_over)
        self._replaced = replaced

    def _paused_now(self) -> str:
        """Return why nothing is to be looked at, from the moment that it is wanted."""
        wanted = self._wanted
        if wanted is not None and (wanted.paused or wanted is not self._orders):
            return wanted.paused
        return self._paused

    def _obey(self) -> None:
        """Take on what the owner wants since the last frame."""
        orders, before = self._wanted, self._orders
        if orders is None or orders is before:
            return
        self._frames.rest_until(0)  # a frame may be passing by just now
        self._orders = orders
        if self._choices:
            self._asking = self._asking.of(self._choices, orders.variant, orders.muted)
        self._watch.adjust(orders.events, orders.muted)
        if not orders.keeps_newest:
            self._newest = None
        was_paused = bool(self._paused)
        self._paused = orders.paused or ("" if self._asking.models else NOTHING_WANTED)
        if self._paused and not was_paused:
            now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
            self._sight.see(now_ns)  # not to look is no blindness
            self._tell(None, self._watch.begin_anew(now_ns, wall_ns, self._paused))

    def _pass_by(self, frame: Frame) -> None:
        """Do what is to be done for a frame that needs no look while nothing else is.

        On the source's thread, while this one waits, and only then.
        """
        self._stopwatch.begin(frame.captured_ns, self._clock.monotonic_ns())
        self._note_still(1)
        self._note_taken(frame)

    def _note_still(self, frames: int) -> None:
        """Count what needs no look; on the source's thread."""
        self._watch.pass_over(ShedReason.PAUSED if self._paused else ShedReason.STILL, frames)

    def _take(self, frame: Frame) -> None:
        self._taken += 1
        self._note_taken(frame)
        if self._paused:
            self._watch.pass_over(ShedReason.PAUSED, 1)
            self._tell_motion(frame.captured_ns)
        else:
            self._see_through(frame)

    def _note_taken(self, frame: Frame) -> None:
        self._last_frame_ns = frame.captured_ns
        orders = self._orders
        if orders is None or orders.keeps_newest:
            self._newest = frame

    def _see_through(self, frame: Frame) -> None:
        """Follow one frame to its fate; a bug on the way must not leave it without one."""
        try:
            self._follow(frame)
        finally:
            if self._watch.has_under_way:
                self._watch.give_up(ShedReason.FAILED)

    def _follow(self, frame: Frame) -> None:
        self._sight.take(frame.captured_ns)
        self._stopwatch.begin(frame.captured_ns, self._clock.monotonic_ns())
        plan = self._watch.plan(frame)
        planned_ns = self._clock.monotonic_ns()
        self._stopwatch.end(Step.GATE, planned_ns)
        self._tell_motion(frame.captured_ns)  # before the look: that takes a while
        if plan.shed is not None:
            self._sight.see(planned_ns)  # the gate has
            return
        looks = self._look(frame, plan)
        if isinstance(looks, ShedReason):
            self._watch.give_up(looks)
            _log.debug("camera %s: 1 frames shed: %s", frame.camera, looks)
            return
        self._stopwatch.end(Step.LOOK, self._clock.monotonic_ns())
        changes = self._watch.conclude(frame, looks, self._wall_of(frame.captured_ns))
        self._stopwatch.end(Step.TRACK, self._clock.monotonic_ns())
        self._tell(frame, changes)
        self._note_look(frame, looks)

    def _look(self, frame: Frame, plan: LookPlan) -> list[Look] | ShedReason:
        """Return what was found in each region that was looked at; if none was, why not."""
        try:
            answers = self._devices.ask(self._asking.demands(frame, plan))
        except Closed:
            return ShedReason.STOPPED
        deadline = Deadline(LOOK_LIMIT_S)
        outcomes = [self._outcome(answer, deadline) for answer in answers]
        found = [None if isinstance(one, ShedReason) else one for one in outcomes]
        looks = self._asking.looks(plan, found)
        return looks or next(one for one in outcomes if isinstance(one, ShedReason))

    def _outcome(self, answer: Answer, deadline: Deadline) -> Sequence[Detection] | ShedReason:
        """Return what was found, or why nothing looked."""
        try:
            return answer.result(deadline.remaining_s())
        except DemandShed as shed:
            return ShedReason(shed.cause.value)
        except (DeviceError, ModelError) as error:
            self._declined += 1
            _log.error("camera %s: a frame could not be looked at: %s", self._watch.name, error)
            return ShedReason.FAILED
        except LookTimeoutError:
            limit_s = LOOK_LIMIT_S
            _log.error("camera %s: no device answered in %.0f s", self._watch.name, limit_s)
            return ShedReason.FAILED
        except CancelledError:
            return ShedReason.STOPPED  # the devices are stopping, and so are we

    def _tell_motion(self, at_ns: int) -> None:
        is_moving = self._watch.is_moving(at_ns)
        if is_moving is not None and is_moving is not self._told_moving:
            self._told_moving = is_moving
            self._moved(is_moving)

    def _blind_s(self) -> float:
        """Return the blind seconds up to this moment; any thread may ask.

        Never less than was told before: between the box and this thread a frame is in neither.
        """
        waiting = self._frames.peek()
        came_ns = 0 if waiting is None else waiting.captured_ns
        blind_ns = self._sight.blind_ns(self._clock.monotonic_ns(), came_ns)
        self._blind_told_ns = max(self._blind_told_ns, blind_ns)
        return seconds(self._blind_told_ns)

    def _rest_if_nothing_comes(self) -> None:
        now_ns = self._clock.monotonic_ns()
        if self._last_frame_ns is None:
            return
        if now_ns - self._last_frame_ns < nanoseconds(BLIND_AFTER_S):
            return
        self._sight.rest()
        if self._watch.open_events:
            self._tell(None, self._watch.finish(now_ns, self._clock.wall_ns(), "source_lost"))

    def _tell(self, frame: Frame | None, changes: Sequence[EventChange]) -> None:
        if changes:
            self._changes += len(changes)
            self._commit(changes)
        self._concluded(frame, changes, self._watch.open_events)

    def _wall_of(self, moment_ns: int) -> int:
        return self._clock.wall_ns() - (self._clock.monotonic_ns() - moment_ns)

    def _note_look(self, frame: Frame, looks: Sequence[Look]) -> None:
        if not self._has_seen and any(found for _, found in looks):
            self._has_seen = True
            _log.info("camera %s sees its first object", self._watch.name)
        now_ns = self._clock.monotonic_ns()
        self._stopwatch.conclude(now_ns)
        self._sight.see(now_ns)
        self._last_look_ns = frame.captured_ns
        self._regions += len(looks)
        self._looks_ns.append(frame.captured_ns)
        self._latencies_ms.append((now_ns - frame.captured_ns) / 1e6)
        if _log.isEnabledFor(logging.DEBUG):
            ends = ", ".join(map(str, self._stopwatch.ends_ns()))
            text = "camera %s: frame of %d seen at %d; its steps ended at %s"
            _log.debug(text, frame.camera, frame.captured_ns, now_ns, ends)

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
            latency_p50_ms=percentile(ordered, 0.50),
            latency_p95_ms=percentile(ordered, 0.95),
            last_look_ns=self._last_look_ns,
        )
