"""What every device has been given and has not answered, and which of it takes too long. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

from camera_app.scheduling.load import Assignment, DeviceKind
from camera_app.scheduling.service_times import NS_PER_MS, ServiceTime

# A stick's answer is late when it takes this much longer than expected: four standard deviations,
# half of the mean, or what a busy interpreter lock can add, whichever is most, yet never longer
# than an answer may be held up without anybody noticing.
LATE_SIGMAS = 4.0
LATE_MEAN_SHARE = 0.5
LATE_AT_LEAST_NS = 20 * NS_PER_MS
LATE_AT_MOST_NS = 200 * NS_PER_MS

# Beyond its limit a stick is hung and its child is killed. Another device has answered long before,
# so there is time: a hiccup of the bus must not cost a restart.
LIMIT_MEANS = 20.0
LIMIT_AT_LEAST_NS = 500 * NS_PER_MS
LIMIT_AT_MOST_NS = 2000 * NS_PER_MS  # also for the first answer of all, which brings the weights
CPU_LIMIT_NS = 5000 * NS_PER_MS  # a thread cannot be killed; its answer is of no use by then


@dataclass(slots=True)
class Running:
    """A request that a device has under way.

    Attributes:
        assignment: What it was given.
        given_ns: When.
        ends_ns: When its answer is expected.
        late_ns: When it is late; infinite on a CPU, which has nobody to stand in for it.
        is_switch: The pack's weights have to be brought there first.
        is_doubted: Another device is to answer it as well, late or not.
        was_told: It was told that it is late.
    """

    assignment: Assignment
    given_ns: int
    ends_ns: float
    late_ns: float
    is_switch: bool
    is_doubted: bool = False
    was_told: bool = False

    @property
    def number(self) -> int:
        return self.assignment.request.number


@dataclass(slots=True)
class _Line:
    """What one device has under way, oldest first, and what is remembered of it.

    Attributes:
        running: What it has to answer.
        last_pack: That it was given last: the one whose weights a stick will hold.
        in_a_row: How many requests for that pack it was given one after the other.
        given_ns: When it was last given something; None if it never was.
        answered_ns: When it last answered.
    """

    running: list[Running] = field(default_factory=list)
    last_pack: str | None = None
    in_a_row: int = 0
    given_ns: int | None = None
    answered_ns: int = 0


class UnderWay:
    """Who has what."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}
        self._holders: dict[int, int] = {}  # by request: how many devices have it
        self._answered: set[int] = set()  # requests that were answered, and that somebody still has

    def of(self, device: str) -> list[Running]:
        """Return what a device has under way, oldest first."""
        return self._line(device).running

    def all(self) -> Iterator[Running]:
        """Yield everything that is under way."""
        for line in self._lines.values():
            yield from line.running

    def last_pack(self, device: str) -> str | None:
        """Return the pack that a device was given last."""
        return self._line(device).last_pack

    def in_a_row(self, device: str) -> int:
        """Return how many requests for that pack it was given one after the other."""
        return self._line(device).in_a_row

    def idle_since_ns(self, device: str) -> int | None:
        """Return when a device was last given something; None if it never was."""
        return self._line(device).given_ns

    def is_stalled(self, device: str, now_ns: int) -> bool:
        """Tell whether a device is late with something; it gets nothing more until it answers."""
        return any(now_ns >= running.late_ns for running in self._line(device).running)

    def is_open(self, number: int) -> bool:
        """Tell whether a request has no answer yet, and one device alone has it."""
        return self._holders.get(number) == 1 and number not in self._answered

    def begin(self, running: Running) -> None:
        """Take note that a device was given a request."""
        line = self._line(running.assignment.device)
        pack = running.assignment.pack
        line.in_a_row = line.in_a_row + 1 if pack == line.last_pack else 1
        line.last_pack = pack
        line.given_ns = running.given_ns
        line.running.append(running)
        self._holders[running.number] = self._holders.get(running.number, 0) + 1

    def answer(
        self, now_ns: int, device: str, kind: DeviceKind, number: int
    ) -> tuple[Running, float, bool]:
        """Take note of an answer.

        Returns:
            What was answered, the nanoseconds that the device took for it alone, and whether
            nobody had answered it before.

        Raises:
            KeyError: The device does not have that request.
        """
        line = self._line(device)
        running = self._take(line, number)
        began_ns = running.given_ns
        if kind is DeviceKind.EDGETPU:
            began_ns = max(began_ns, line.answered_ns)
            _delay(line.running, now_ns - running.ends_ns)
        line.answered_ns = now_ns
        is_first = number not in self._answered
        self._let_go(number, is_answered=True)
        return running, now_ns - began_ns, is_first

    def fail(self, device: str, number: int) -> bool:
        """Take note that a device will not answer a request.

        Returns:
            Whether it has no answer and nobody else has it: it has to be asked again.

        Raises:
            KeyError: The device does not have that request.
        """
        line = self._line(device)
        self._take(line, number)
        line.last_pack = None  # the device is opened anew, or its weights are not to be relied on
        is_answered = number in self._answered
        self._let_go(number, is_answered=is_answered)
        return not is_answered and number not in self._holders

    def _line(self, device: str) -> _Line:
        line = self._lines.get(device)
        if line is None:
            line = self._lines[device] = _Line()
        return line

    def _take(self, line: _Line, number: int) -> Running:
        for place, running in enumerate(line.running):
            if running.number == number:
                return line.running.pop(place)
        raise KeyError(number)

    def _let_go(self, number: int, *, is_answered: bool) -> None:
        left = self._holders[number] - 1
        if left:
            self._holders[number] = left
            if is_answered:
                self._answered.add(number)
        else:
            del self._holders[number]
            self._answered.discard(number)


def late_after_ns(expected: ServiceTime) -> float:
    """Return how long after its expected end a stick's answer is late."""
    if not expected.is_known:
        return LATE_AT_MOST_NS
    most = max(LATE_SIGMAS * expected.sigma_ns, LATE_MEAN_SHARE * expected.mean_ns)
    return min(max(most, LATE_AT_LEAST_NS), LATE_AT_MOST_NS)


def limit_ns(kind: DeviceKind, expected: ServiceTime, wait_ns: float) -> int:
    """Return how long a request may take on a device.

    Args:
        kind: Of the device.
        expected: What it takes alone.
        wait_ns: How long it waits there behind others.
    """
    if kind is DeviceKind.CPU:
        return CPU_LIMIT_NS
    if not expected.is_known:
        return LIMIT_AT_MOST_NS
    alone_ns = min(max(LIMIT_MEANS * expected.mean_ns, LIMIT_AT_LEAST_NS), LIMIT_AT_MOST_NS)
    return round(wait_ns + alone_ns)


def no_later_than(kind: DeviceKind, ends_ns: float, expected: ServiceTime) -> float:
    """Return when an answer expected at `ends_ns` is late."""
    return ends_ns + late_after_ns(expected) if kind is DeviceKind.EDGETPU else inf


def _delay(running: list[Running], by_ns: float) -> None:
    """Expect the answers behind a late one later: they waited for it."""
    if by_ns > 0:
        for one in running:
            one.ends_ns += by_ns
            one.late_ns += by_ns
