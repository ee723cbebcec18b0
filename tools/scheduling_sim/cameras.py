"""Simulated cameras: when they want a look, of how many regions, and what becomes of each frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from random import Random

from camera_app.clock import NS_PER_S, nanoseconds
from camera_app.scheduling.load import CameraShare, Request, ShedCause, Worth
from tools.scheduling_sim.timeline import Timeline

BUSY = "busy"  # a newer frame came before the one before it was through
FAILED = "failed"  # every device failed it

# How many regions a frame has, and how often: 2.2 on average.
REGIONS = (1, 2, 3, 4)
REGION_SHARES = (0.25, 0.40, 0.25, 0.10)
WORTHS = (Worth.STANDING, Worth.MOTION, Worth.TRACK, Worth.RULE)
WORTH_SHARES = (0.20, 0.35, 0.30, 0.15)

FRAME_JITTER_SHARE = 0.05  # of the interval; frames do not come like clockwork

Ask = Callable[[Sequence[Request]], None]


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """How a camera behaves.

    Attributes:
        name: Its name.
        fps: Frames a second, while something moves.
        share: What the policy promises it.
        model: What is wanted for each region.
        answer_within_s: Age of a frame at which an answer is of no use any more.
        is_open: Every frame is asked for at once, whatever is under way: no real camera does, it
            shows what the policy sheds by itself. Else one frame is under way, the newest waits.
        bursts_a_day: How often something begins to move; 0: it always moves.
        burst_s: For how long, on average.
    """

    name: str
    fps: float = 5.0
    share: CameraShare = field(default_factory=CameraShare)
    model: str = "large"
    answer_within_s: float = 1.0
    is_open: bool = False
    bursts_a_day: float = 0.0
    burst_s: float = 10.0


@dataclass(slots=True)
class Frame:
    """One frame that a look is wanted of.

    Attributes:
        captured_ns: When it was captured.
        open: Requests without an answer.
        answered: Requests that were answered.
        causes: Why others were not.
    """

    captured_ns: int
    open: int
    answered: int = 0
    causes: list[str] = field(default_factory=list)


class SimulatedCamera:
    """One camera: makes frames, asks, and counts what becomes of them.

    Attributes:
        plan: How it behaves.
        captured: Frames that a look was wanted of.
        looked_at: Frames of which a region at least was answered.
        shed: Frames that were not looked at, by cause.
        regions_shed: Regions that were not, though their frame was, by cause.
        latencies_ns: From capture to the last answer, of frames that were looked at.
        longest_gap_ns: Between two frames looked at, while frames came.
    """

    def __init__(
        self,
        plan: CameraPlan,
        timeline: Timeline,
        random: Random,
        ask: Ask,
        new_number: Callable[[], int],
    ) -> None:
        self.plan = plan
        self.captured = 0
        self.looked_at = 0
        self.shed: Counter[str] = Counter()
        self.regions_shed: Counter[str] = Counter()
        self.latencies_ns: list[int] = []
        self.longest_gap_ns = 0
        self._timeline = timeline
        self._random = random
        self._ask = ask
        self._new_number = new_number
        self._under_way: dict[int, Frame] = {}  # by number of request
        self._frames = 0  # under way
        self._box: int | None = None  # capture time of the newest frame, while one is under way
        self._is_still = bool(plan.bursts_a_day)
        self._burst_ends_ns = inf
        self._seen_ns: int | None = None  # when a frame was last looked at, or a burst began

    def start(self) -> None:
        """Begin; cameras do not begin at the same moment."""
        if self.plan.bursts_a_day:
            self._plan_burst()
        else:
            self._seen_ns = self._timeline.now_ns
            self._timeline.at(self._random.random() / self.plan.fps * NS_PER_S, self._capture)

    def stir(self, length_s: float) -> None:
        """Let something move before this camera for a while, from now on."""
        was_still = self._is_still
        ends_ns = self._timeline.now_ns + length_s * NS_PER_S
        self._burst_ends_ns = ends_ns if was_still else max(ends_ns, self._burst_ends_ns)
        if was_still:
            self._is_still = False
            self._seen_ns = self._timeline.now_ns
            self._capture()

    def forget_figures(self) -> None:
        """Count from now on: what was so far is warming up."""
        self.captured = self._frames + (self._box is not None)
        self.looked_at = 0
        self.shed.clear()
        self.regions_shed.clear()
        self.latencies_ns.clear()
        self.longest_gap_ns = 0

    def answered(self, request: Request) -> None:
        """Take an answer."""
        frame = self._under_way.pop(request.number)
        frame.answered += 1
        self._settle(frame)

    def not_answered(self, request: Request, cause: str) -> None:
        """Take note that there will be no answer."""
        frame = self._under_way.pop(request.number)
        frame.causes.append(cause)
        self._settle(frame)

    @property
    def under_way(self) -> int:
        """Return the frames that have no fate yet."""
        return self._frames + (self._box is not None)

    def _plan_burst(self) -> None:
        per_s = self.plan.bursts_a_day / 86_400
        self._timeline.at(
            self._timeline.now_ns + self._random.expovariate(per_s) * NS_PER_S, self._begin_burst
        )

    def _begin_burst(self) -> None:
        self.stir(self._random.expovariate(1 / self.plan.burst_s))
        self._plan_burst()

    def _capture(self) -> None:
        now_ns = self._timeline.now_ns
        if now_ns > self._burst_ends_ns:
            self._is_still = True
            self._note_gap()
            return
        jitter = 1 + FRAME_JITTER_SHARE * (2 * self._random.random() - 1)
        self._timeline.at(now_ns + jitter / self.plan.fps * NS_PER_S, self._capture)
        self.captured += 1
        if self.plan.is_open or not self._frames:
            self._ask_for(now_ns)
            return
        if self._box is not None:
            self.shed[BUSY] += 1
        self._box = now_ns

    def _ask_for(self, captured_ns: int) -> None:
        (regions,) = self._random.choices(REGIONS, REGION_SHARES)
        worths = self._random.choices(WORTHS, WORTH_SHARES, k=regions)
        frame = Frame(captured_ns, open=regions)
        deadline_ns = captured_ns + nanoseconds(self.plan.answer_within_s)
        requests = []
        for region, worth in enumerate(worths):
            number = self._new_number()
            self._under_way[number] = frame
            requests.append(
                Request(
                    number=number,
                    camera=self.plan.name,
                    region=region,
                    model=self.plan.model,
                    worth=worth,
                    captured_ns=captured_ns,
                    deadline_ns=deadline_ns,
                )
            )
        self._frames += 1
        self._ask(requests)

    def _settle(self, frame: Frame) -> None:
        frame.open -= 1
        if frame.open:
            return
        self._frames -= 1
        if frame.answered:
            self.looked_at += 1
            self.regions_shed.update(frame.causes)
            self.latencies_ns.append(self._timeline.now_ns - frame.captured_ns)
            self._note_gap()
        else:
            self.shed[frame.causes[0]] += 1
        box, self._box = self._box, None
        if box is not None:
            self._ask_for(box)

    def _note_gap(self) -> None:
        now_ns = self._timeline.now_ns
        if self._seen_ns is not None:
            self.longest_gap_ns = max(self.longest_gap_ns, now_ns - self._seen_ns)
        self._seen_ns = now_ns


SHED_CAUSES = (BUSY, FAILED, *(str(cause) for cause in ShedCause))
