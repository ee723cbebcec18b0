"""The devices during one decision: what they can run, how soon, and who takes what. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import (
    Condition,
    DeviceKind,
    DeviceState,
    Ladder,
    Pressure,
    Request,
)
from camera_app.scheduling.service_times import NS_PER_MS, ServiceTimes
from camera_app.scheduling.under_way import UnderWay

# So many requests for the pack whose weights a stick holds go before others, and no more: eight
# answers of 7 ms cost those that wait about what two changes of weights would.
BATCH_AT_MOST = 8

# A stick that is slower than the rest gets no work, and nobody would see that it has recovered, or
# that it hangs; so it is given a request this often, which another device answers as well.
TRY_SLOW_STICK_NS = 2000 * NS_PER_MS

# The CPU has films to decode and more to do, an idle stick has not. So the stick is asked even
# where the CPU would answer sooner by up to so long.
SPARE_CPU_NS = 10 * NS_PER_MS

# A seat is used for as much as this of a core that other programs leave. With two cores the second
# is then given up where they take three quarters of a core: to give it up for less would halve what
# can be looked at.
WORTH_A_SEAT = 0.25


def cpu_seats(places: int, pressure: Pressure, *, is_pressed: bool) -> int:
    """Return how many networks may run on the CPU at a time; one at least.

    Args:
        places: How many it has.
        pressure: What the machine suffers from.
        is_pressed: By heat or a weak supply: half of them are left empty.
    """
    left_by_others = places * (1.0 - pressure.cpu_busy_share)
    left = left_by_others / 2 if is_pressed else left_by_others
    return max(1, ceil(left - WORTH_A_SEAT))


@dataclass(slots=True)
class Seat:
    """One device that can be given work, now or when it has answered.

    Attributes:
        name: Of the device.
        kind: What it is.
        side_by_side: Requests that it works on at the same time.
        free: Places that are free.
        free_at_ns: When it could begin another request.
        last_pack: Whose weights it will hold by then.
        in_a_row: How many requests for that pack it was given one after the other.
        is_doubted: What it answers is to be answered by another device as well.
        idle_since_ns: When it was last given something; None if it never was.
    """

    name: str
    kind: DeviceKind
    side_by_side: int
    free: int
    free_at_ns: float
    last_pack: str | None
    in_a_row: int
    is_doubted: bool
    idle_since_ns: int | None

    @property
    def is_stick(self) -> bool:
        return self.kind is DeviceKind.EDGETPU

    def give(self, pack: str, now_ns: int, ends_ns: float) -> None:
        """Take note that it was given a request."""
        self.free -= 1
        self.in_a_row = self.in_a_row + 1 if pack == self.last_pack else 1
        self.last_pack = pack
        self.idle_since_ns = now_ns
        if self.is_stick or not self.free:
            self.free_at_ns = ends_ns


@dataclass(frozen=True, slots=True)
class Placing:
    """A request and the device that takes it.

    Attributes:
        request: The request.
        seat: The device.
        is_doubted: Another device is to answer it as well.
    """

    request: Request
    seat: Seat
    is_doubted: bool


def seat_of(device: DeviceState, under_way: UnderWay, now_ns: int, seats: int) -> Seat:
    """Return a usable device as this decision finds it.

    Args:
        device: As the executor sees it.
        under_way: What devices have.
        now_ns: Now.
        seats: How many places of a CPU may be used.
    """
    running = under_way.of(device.name)
    free_at_ns = float(now_ns)
    if device.kind is DeviceKind.EDGETPU:
        free = device.free_places
        if device.condition is Condition.PROBATION:
            free = min(free, 1 - len(running))
        free_at_ns = max([free_at_ns, *(one.ends_ns for one in running)])
    else:
        free = min(device.free_places, seats - len(running))
        if free <= 0 and running:
            free_at_ns = max(free_at_ns, min(one.ends_ns for one in running))
    return Seat(
        name=device.name,
        kind=device.kind,
        side_by_side=seats if device.kind is DeviceKind.CPU else 1,
        free=max(0, free),
        free_at_ns=free_at_ns,
        last_pack=under_way.last_pack(device.name) or device.resident,
        in_a_row=under_way.in_a_row(device.name),
        is_doubted=device.condition is Condition.PROBATION,
        idle_since_ns=under_way.idle_since_ns(device.name),
    )


class Fleet:
    """The devices that can be given work, as one decision finds and fills them.

    Args:
        now_ns: Now.
        seats: The devices.
        times: How long packs take.
        ladders: By model.
        rung: How far down the ladders.
    """

    def __init__(
        self,
        now_ns: int,
        seats: Sequence[Seat],
        times: ServiceTimes,
        ladders: Mapping[str, Ladder],
        rung: int,
    ) -> None:
        self._seats = seats
        self._rung = rung
        self._now_ns = now_ns
        self._times = times
        self._ladders = ladders
        # Looked up many times in one decision, so kept; all at the rung.
        self._packs: dict[tuple[DeviceKind, str], str | None] = {}  # by kind and model
        self._means_ns: dict[tuple[str, str], float] = {}  # by device and model
        self._cost_ns: dict[str, float] = {}  # these two by model
        self._drain_ns: dict[str, float] = {}

    def load_at(self, rung: int, per_s: Mapping[str, float]) -> float:
        """Return the share of all devices' time that requests would take.

        Args:
            rung: How far down the ladders.
            per_s: Requests a second, by model.
        """
        load = 0.0
        for model, rate in per_s.items():
            answered = sum(
                seat.side_by_side / self._mean_at(seat, model, rung) for seat in self._seats
            )
            load += rate / (answered * NS_PER_S) if answered else 0.0
        return load

    def drain_ns(self, model: str) -> float:
        """Return how long all devices together take for a request; 0 if none can just now."""
        drain_ns = self._drain_ns.get(model)
        if drain_ns is None:
            answered = sum(self._answers_per_ns(seat, model) for seat in self._seats)
            drain_ns = self._drain_ns[model] = 1 / answered if answered else 0.0
        return drain_ns

    def cost_ns(self, model: str) -> float:
        """Return what a request takes on the device that is quickest at it; 0 if none can."""
        cost_ns = self._cost_ns.get(model)
        if cost_ns is None:
            least = min((self._mean_ns(seat, model) for seat in self._seats), default=inf)
            cost_ns = self._cost_ns[model] = 0.0 if least == inf else least
        return cost_ns

    def pack(self, seat: Seat, model: str) -> str | None:
        """Return the pack that a device runs for a model; None if it cannot."""
        key = seat.kind, model
        if key not in self._packs:
            self._packs[key] = self._ladders[model].pack_for(seat.kind, self._rung)
        return self._packs[key]

    def takes_ns(self, seat: Seat, request: Request) -> float:
        """Return what a request takes on a device; infinite if it cannot run it."""
        if seat.name in request.avoid:
            return inf
        takes_ns = self._mean_ns(seat, request.model)
        if self.is_switch(seat, request):
            takes_ns += self._times.switch_ns(seat.name)
        return takes_ns

    def is_switch(self, seat: Seat, request: Request) -> bool:
        """Tell whether a stick would have to be brought other weights for a request."""
        return seat.is_stick and self.pack(seat, request.model) != seat.last_pack

    def place_next(
        self, order: Sequence[Request], is_due: Callable[[Request], bool]
    ) -> Placing | None:
        """Return who takes what next; None when nobody can or should take anything now.

        The device that would answer the first request soonest chooses first; before it, a slow
        stick that is to be tried once more.

        Args:
            order: What waits, whose turn it is first.
            is_due: Tells which of it goes before all else.
        """
        free = [seat for seat in self._seats if seat.free > 0]
        for seat in free:
            if order and self._is_to_be_tried(seat, order[0]):
                return Placing(order[0], seat, is_doubted=True)
            if order and self._spares_cpu(seat, order[0]):
                return Placing(order[0], seat, seat.is_doubted)
        while free and order:
            seat = min(free, key=lambda one: one.free_at_ns + self.takes_ns(one, order[0]))
            placing = self._choice(seat, order, is_due)
            if placing is not None:
                return placing
            free.remove(seat)
        return None

    def stand_in(self, request: Request, holder: str) -> Seat | None:
        """Return the device that would soonest answer what another has; None if all are full."""
        others = [
            seat
            for seat in self._seats
            if seat.free > 0 and seat.name != holder and self.takes_ns(seat, request) < inf
        ]
        return min(
            others, key=lambda seat: seat.free_at_ns + self.takes_ns(seat, request), default=None
        )

    def _choice(
        self, seat: Seat, order: Sequence[Request], is_due: Callable[[Request], bool]
    ) -> Placing | None:
        faster = self._faster(seat, order[0].model)
        if faster:
            request = self._not_sooner_elsewhere(seat, faster, order)
        else:
            request = self._of_batch(seat, order, is_due)
        return None if request is None else Placing(request, seat, seat.is_doubted)

    def _faster(self, seat: Seat, model: str) -> list[Seat]:
        own_ns = self._mean_ns(seat, model)
        return [
            other
            for other in self._seats
            if other is not seat and self._mean_ns(other, model) < own_ns
        ]

    def _is_to_be_tried(self, seat: Seat, request: Request) -> bool:
        """Tell whether a stick has long had nothing because it is slow, as far as is known.

        One on probation need not wait for that: what it takes is learned within a few requests.
        """
        return (
            seat.is_stick
            and (seat.is_doubted or self._was_long_idle(seat))
            and self.takes_ns(seat, request) < inf
            and bool(self._faster(seat, request.model))
        )

    def _spares_cpu(self, seat: Seat, request: Request) -> bool:
        """Tell whether a stick is idle, and hardly slower than the CPU if it is slower at all."""
        if not seat.is_stick or seat.free_at_ns > self._now_ns:
            return False
        others = (self.takes_ns(one, request) for one in self._seats if not one.is_stick)
        cpu_ns = min(others, default=inf)
        return cpu_ns < inf and cpu_ns <= self.takes_ns(seat, request) <= cpu_ns + SPARE_CPU_NS

    def _of_batch(
        self, seat: Seat, order: Sequence[Request], is_due: Callable[[Request], bool]
    ) -> Request | None:
        """Return the first request, or the first for the weights that a stick holds."""
        runnable = (one for one in order if self.takes_ns(seat, one) < inf)
        first = next(runnable, None)
        if first is None or not self.is_switch(seat, first) or is_due(first):
            return first
        if seat.in_a_row >= BATCH_AT_MOST:
            return first
        return next((one for one in runnable if not self.is_switch(seat, one)), first)

    def _not_sooner_elsewhere(
        self, seat: Seat, faster: Sequence[Seat], order: Sequence[Request]
    ) -> Request | None:
        """Return the first request that would be answered later by the faster devices.

        They take what is before it first: so a slow device has no work when little waits, and its
        full share when much does.
        """
        ready_ns = min(other.free_at_ns for other in faster)
        for ahead, request in enumerate(order):
            takes_ns = self.takes_ns(seat, request)
            if takes_ns == inf:
                continue
            answered = sum(
                self._answers_per_ns(other, request.model)
                for other in faster
                if other.name not in request.avoid
            )
            if not answered or seat.free_at_ns + takes_ns <= ready_ns + (ahead + 1) / answered:
                return request
        return None

    def _was_long_idle(self, seat: Seat) -> bool:
        since_ns = seat.idle_since_ns
        return since_ns is None or self._now_ns - since_ns >= TRY_SLOW_STICK_NS

    def _mean_ns(self, seat: Seat, model: str) -> float:
        key = seat.name, model
        mean_ns = self._means_ns.get(key)
        if mean_ns is None:
            mean_ns = self._means_ns[key] = self._mean_at(seat, model, self._rung)
        return mean_ns

    def _mean_at(self, seat: Seat, model: str, rung: int) -> float:
        pack = self._ladders[model].pack_for(seat.kind, rung)
        return inf if pack is None else self._times.mean_ns(seat.name, seat.kind, pack)

    def _answers_per_ns(self, seat: Seat, model: str) -> float:
        return seat.side_by_side / self._mean_ns(seat, model)
