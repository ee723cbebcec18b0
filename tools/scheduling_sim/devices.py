"""Simulated devices: how long they take, and how they fail. They know nothing of the policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import DeviceKind
from tools.scheduling_sim.timeline import Timeline

NS_PER_MS = 1_000_000

JITTER_SHARE = 0.03  # standard deviation of a service time, of its mean
OUTLIER_SHARE = 0.005  # of answers, that take
OUTLIER_FACTOR = 2.5  # times as long: another program had the bus or the core

OPEN_NS = 200 * NS_PER_MS  # a child's start to its first answer: 0.1 to 0.23 s were measured
PLUG_SEEN_NS = 500 * NS_PER_MS  # plugs are looked for this often

Answered = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What a device is like when nothing is wrong.

    Attributes:
        name: Its name.
        kind: What it is.
        places: Requests that it can have under way.
        ms: Milliseconds that each pack takes.
        switch_ms: Milliseconds to bring another pack's weights to a stick.
    """

    name: str
    kind: DeviceKind
    places: int
    ms: Mapping[str, float]
    switch_ms: float = 0.0


class SimulatedDevice:
    """Takes requests and answers them, unless something is wrong with it.

    Attributes:
        plan: What it is like.
        is_plugged: It is there.
        is_hung: It takes requests and never answers.
        slowness: What every service time is multiplied by.
        is_refusing: It fails each request at once.
        busy_ns: How long it has worked, places of a CPU together.
    """

    def __init__(self, plan: DevicePlan, timeline: Timeline, random: Random) -> None:
        self.plan = plan
        self.is_plugged = True
        self.is_hung = False
        self.is_refusing = False
        self.slowness = 1.0
        self.busy_ns = 0
        self.resident: str | None = None
        self._timeline = timeline
        self._random = random
        self._free_at_ns = 0  # of a stick
        self._life = 0  # answers of an earlier life never come

    @property
    def can_open(self) -> bool:
        """Tell whether a child could open it and get the known answers from it."""
        return self.is_plugged and not self.is_hung and not self.is_refusing

    def give(self, number: int, pack: str, answered: Answered, failed: Answered) -> None:
        """Give it a request; at most one of the two is called, later."""
        if self.is_refusing or not self.is_plugged:
            self._timeline.at(self._timeline.now_ns, lambda: failed(number))
            return
        ends_ns = self._ends_ns(pack)
        life = self._life

        def answer() -> None:
            if life == self._life and not self.is_hung:
                answered(number)

        self._timeline.at(ends_ns, answer)

    def reset(self) -> None:
        """Forget all that is under way: its child died, or was killed."""
        self._life += 1
        self._free_at_ns = 0
        self.resident = None

    def _ends_ns(self, pack: str) -> int:
        begins_ns, takes_ns = self._timeline.now_ns, self._takes_ns(pack)
        if self.plan.kind is DeviceKind.EDGETPU:
            begins_ns = max(begins_ns, self._free_at_ns)
            self._free_at_ns = begins_ns + takes_ns
            self.resident = pack
        self.busy_ns += takes_ns
        return begins_ns + takes_ns

    def _takes_ns(self, pack: str) -> int:
        takes_ms = self.plan.ms[pack] * max(0.5, self._random.gauss(1.0, JITTER_SHARE))
        if self._random.random() < OUTLIER_SHARE:
            takes_ms *= OUTLIER_FACTOR
        if self.plan.kind is DeviceKind.EDGETPU and pack != self.resident:
            takes_ms += self.plan.switch_ms
        return round(takes_ms * self.slowness * NS_PER_MS)


def stick(number: int, ms: Mapping[str, float], switch_ms: float = 20.0) -> DevicePlan:
    """Return an Edge TPU."""
    return DevicePlan(f"usb:{number}", DeviceKind.EDGETPU, 2, ms, switch_ms)


def cpu(seats: int, ms: Mapping[str, float]) -> DevicePlan:
    """Return a CPU with so many seats."""
    return DevicePlan("cpu", DeviceKind.CPU, seats, ms)


def seconds_ns(span_s: float) -> int:
    """Return seconds in nanoseconds."""
    return round(span_s * NS_PER_S)
