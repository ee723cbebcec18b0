"""What runs where, when, and what is not done at all. Pure: no thread, clock, sleep or device.

    waiting requests, devices, pressure ──decide──> assignments, sheds, rung, when to ask again
    answers and failures ──finished, failed──> what is known of service times

In one decision:

1. What can no longer be answered, or was replaced by a newer frame, is shed.
2. What a stick is late with is given to another device too, before anything new: a hedge.
3. What is left is put in order: frames that a camera is promised first, then fair shares by weight,
   then deadlines, and within a frame what is worth most.
4. Each free device takes the first request that the others would not answer sooner (`fleet.py`).
   As long as no device is free, 2 to 5 wait: nothing could be done about them.
5. If more still waits than can be answered soon, what is worth least is shed; a frame that its
   camera is promised keeps a region in any case.

The executor owns it, under its lock, and calls `decide` whenever something came, was answered or
failed, when `wake_ns` has come, and once a second besides until everything is at rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import inf

from camera_app.scheduling.fleet import Fleet, Placing, Seat, cpu_seats, seat_of
from camera_app.scheduling.load import (
    Assignment,
    CameraShare,
    Decision,
    DeviceKind,
    DeviceState,
    Ladder,
    Pressure,
    Reason,
    Request,
    Shed,
    ShedCause,
)
from camera_app.scheduling.rungs import RequestRates, Rungs
from camera_app.scheduling.service_times import NS_PER_MS, ServiceTimes
from camera_app.scheduling.shares import FairShares
from camera_app.scheduling.under_way import Running, UnderWay, limit_ns, no_later_than

# What would wait longer than this behind others is better asked anew with the newest frame. It
# bounds how old an answer is under any load.
BACKLOG_AT_MOST_NS = 250 * NS_PER_MS

# A rung is thought about this often, not with each of hundreds of requests a second.
RUNG_EVERY_NS = 100 * NS_PER_MS


class Policy:
    """Decides for all cameras and devices.

    Args:
        ladders: The packs that can stand in for each model, by model.
        shares: What each camera may take; who is not in it gets an ordinary share.
    """

    def __init__(self, ladders: Mapping[str, Ladder], shares: Mapping[str, CameraShare]) -> None:
        self._ladders = dict(ladders)
        self._shares = FairShares(shares)
        self._times = ServiceTimes()
        self._under_way = UnderWay()
        self._rates = RequestRates()
        most = max((len(ladder.variants) for ladder in ladders.values()), default=1)
        self._rungs = Rungs(most - 1)
        self._rung_at_ns: int | None = None

    def reshare(self, shares: Mapping[str, CameraShare]) -> None:
        """Go by other shares from the next decision on."""
        self._shares.change(shares)

    def decide(
        self,
        now_ns: int,
        waiting: Sequence[Request],
        devices: Sequence[DeviceState],
        pressure: Pressure,
    ) -> Decision:
        """Decide what is to be done now.

        Args:
            now_ns: Now, monotonic.
            waiting: Requests that no device has and nobody gave up.
            devices: Every device there is, the broken ones too.
            pressure: What the machine suffers from.
        """
        usable = [device for device in devices if device.is_usable]
        overdue = self._newly_late(now_ns)
        seats = self._seats(now_ns, usable, pressure)
        self._rates.note(now_ns, waiting)
        self._update_rung(now_ns, seats, pressure)
        kept, sheds = self._without_hopeless(now_ns, waiting, usable)
        assignments: list[Assignment] = []
        if any(seat.free for seat in seats):
            fleet = Fleet(now_ns, seats, self._times, self._ladders, self._rungs.rung)
            assignments = self._hedge(now_ns, fleet)
            kept = self._in_order(now_ns, kept)
            assignments += self._begin(now_ns, fleet, kept)
            assignments += self._hedge(now_ns, fleet)  # what was begun on a doubted device
            sheds += self._overload(now_ns, fleet, kept)
        return Decision(
            assignments=tuple(assignments),
            sheds=tuple(sheds),
            rung=self._rungs.rung,
            reasons=self._rungs.reasons + _lost(devices),
            overdue=overdue,
            wake_ns=self._wake_ns(now_ns, kept),
            is_at_rest=not waiting and self._is_at_rest(now_ns),
        )

    def finished(self, now_ns: int, device: str, kind: DeviceKind, number: int) -> bool:
        """Take note that a device answered.

        Returns:
            Whether it is the first answer to the request: the one that counts.

        Raises:
            KeyError: The device was not given that request, or has answered it.
        """
        running, took_ns, is_first = self._under_way.answer(now_ns, device, kind, number)
        self._times.learn(device, running.assignment.pack, took_ns, is_switch=running.is_switch)
        return is_first

    def failed(self, device: str, number: int) -> bool:
        """Take note that a device will not answer: it failed, died, or was killed.

        Returns:
            Whether the request is to wait again, with this device in `avoid`; else it has been
            answered, or another device has it.

        Raises:
            KeyError: The device was not given that request, or has answered it.
        """
        return self._under_way.fail(device, number)

    def service_times_ns(self) -> dict[tuple[str, str], float]:
        """Return the mean by device and pack of what has been measured."""
        return self._times.known()

    def _seats(self, now_ns: int, usable: Iterable[DeviceState], pressure: Pressure) -> list[Seat]:
        return [
            seat_of(
                device,
                self._under_way,
                now_ns,
                cpu_seats(device.places, pressure, is_pressed=self._rungs.is_pressed),
            )
            for device in usable
            if not self._under_way.is_stalled(device.name, now_ns)
        ]

    def _update_rung(self, now_ns: int, seats: Sequence[Seat], pressure: Pressure) -> None:
        if self._rung_at_ns is not None and now_ns - self._rung_at_ns < RUNG_EVERY_NS:
            return
        self._rung_at_ns = now_ns
        fleet = Fleet(now_ns, seats, self._times, self._ladders, self._rungs.rung)
        per_s = self._rates.per_s()
        self._rungs.update(now_ns, lambda rung: fleet.load_at(rung, per_s), pressure)

    def _newly_late(self, now_ns: int) -> tuple[str, ...]:
        late = [one for one in self._under_way.all() if now_ns >= one.late_ns and not one.was_told]
        for running in late:
            running.was_told = True
        return tuple(dict.fromkeys(running.assignment.device for running in late))

    def _without_hopeless(
        self, now_ns: int, waiting: Sequence[Request], usable: Sequence[DeviceState]
    ) -> tuple[list[Request], list[Shed]]:
        newest_ns: dict[str, int] = {}
        for request in waiting:
            newest_ns[request.camera] = max(newest_ns.get(request.camera, 0), request.captured_ns)
        can_run = {model: self._who_runs(model, usable) for model in {r.model for r in waiting}}
        kept, sheds = [], []
        for request in waiting:
            cause = self._hopeless(
                now_ns, request, newest_ns[request.camera], can_run[request.model]
            )
            if cause is None:
                kept.append(request)
            else:
                sheds.append(Shed(request, cause))
        return _with_siblings(kept, sheds) if sheds else (kept, sheds)

    def _hopeless(
        self, now_ns: int, request: Request, newest_ns: int, can_run: frozenset[str]
    ) -> ShedCause | None:
        if now_ns >= request.deadline_ns:
            return ShedCause.LATE
        if request.captured_ns < newest_ns and not self._shares.has_begun_frame(request):
            return ShedCause.REPLACED
        return ShedCause.NO_DEVICE if can_run <= request.avoid else None

    def _who_runs(self, model: str, usable: Iterable[DeviceState]) -> frozenset[str]:
        ladder, rung = self._ladders[model], self._rungs.rung
        return frozenset(device.name for device in usable if ladder.pack_for(device.kind, rung))

    def _in_order(self, now_ns: int, requests: Sequence[Request]) -> list[Request]:
        self._shares.note_waiting({request.camera for request in requests})
        return sorted(requests, key=partial(self._place_in_line, now_ns))

    def _place_in_line(
        self, now_ns: int, request: Request
    ) -> tuple[bool, float, int, str, int, int]:
        is_due, turn = self._shares.standing(request, now_ns)
        return (
            not is_due,
            turn,
            request.deadline_ns,
            request.camera,
            -request.worth,
            request.number,
        )

    def _begin(self, now_ns: int, fleet: Fleet, order: list[Request]) -> list[Assignment]:
        """Give free devices what they take; it is taken out of `order`."""
        begun = []
        is_due = partial(self._shares.is_due, now_ns=now_ns)
        while (placing := fleet.place_next(order, is_due)) is not None:
            order.remove(placing.request)
            begun.append(self._give(now_ns, fleet, placing))
            self._shares.charge(placing.request, now_ns, fleet.cost_ns(placing.request.model))
        return begun

    def _hedge(self, now_ns: int, fleet: Fleet) -> list[Assignment]:
        hedges = []
        for running in list(self._under_way.all()):
            if not self._needs_hedge(now_ns, running):
                continue
            request = running.assignment.request
            seat = fleet.stand_in(request, running.assignment.device)
            if seat is not None:
                placing = Placing(request, seat, is_doubted=False)
                hedges.append(self._give(now_ns, fleet, placing, is_hedge=True))
        return hedges

    def _needs_hedge(self, now_ns: int, running: Running) -> bool:
        """Tell whether a device's answer is doubted, or waits on one that is late."""
        return self._under_way.is_open(running.number) and (
            running.is_doubted or self._under_way.is_stalled(running.assignment.device, now_ns)
        )

    def _give(
        self, now_ns: int, fleet: Fleet, placing: Placing, *, is_hedge: bool = False
    ) -> Assignment:
        seat, request = placing.seat, placing.request
        pack = fleet.pack(seat, request.model)
        assert pack is not None, "a device is given what it can run"
        expected = self._times.expect(seat.name, seat.kind, pack)
        wait_ns = max(0.0, seat.free_at_ns - now_ns)
        ends_ns = now_ns + wait_ns + fleet.takes_ns(seat, request)
        limit = limit_ns(seat.kind, expected, wait_ns)
        assignment = Assignment(request, seat.name, pack, limit, is_hedge)
        self._under_way.begin(
            Running(
                assignment=assignment,
                given_ns=now_ns,
                ends_ns=ends_ns,
                late_ns=no_later_than(seat.kind, ends_ns, expected),
                is_switch=fleet.is_switch(seat, request),
                is_doubted=placing.is_doubted,
            )
        )
        seat.give(pack, now_ns, ends_ns)
        return assignment

    def _overload(self, now_ns: int, fleet: Fleet, order: Sequence[Request]) -> list[Shed]:
        """Give up regions until little waits: those worth least, of these whose turn is last.

        Frames that a camera is promised come after all others, and keep a region in any case.
        """
        backlog_ns = sum(fleet.drain_ns(request.model) for request in order)
        if backlog_ns <= BACKLOG_AT_MOST_NS:
            return []
        regions: dict[_RegionKey, list[Request]] = {}
        for request in order:
            regions.setdefault(_region_key(request), []).append(request)
        left = Counter(key[:2] for key in regions)  # regions by frame
        given_up: list[Request] = []
        for key in self._least_first(now_ns, regions):
            if backlog_ns <= BACKLOG_AT_MOST_NS:
                break
            requests = regions[key]
            if self._may_be_given_up(now_ns, requests[0], is_last=left[key[:2]] == 1):
                left[key[:2]] -= 1
                given_up += requests
                backlog_ns -= sum(fleet.drain_ns(request.model) for request in requests)
        return [Shed(request, ShedCause.OVERLOAD) for request in given_up]

    def _least_first(
        self, now_ns: int, regions: Mapping[_RegionKey, Sequence[Request]]
    ) -> list[_RegionKey]:
        """Return regions, those to be given up first at the front."""

        def value(key: _RegionKey) -> tuple[bool, int]:
            request = regions[key][0]
            return self._shares.is_due(request, now_ns), request.worth

        last_first = list(regions)[::-1]
        return sorted(last_first, key=value)

    def _may_be_given_up(self, now_ns: int, request: Request, *, is_last: bool) -> bool:
        if self._shares.has_begun_region(request):
            return False
        is_all_there_is = is_last and not self._shares.has_begun_frame(request)
        return not (is_all_there_is and self._shares.is_due(request, now_ns))

    def _is_at_rest(self, now_ns: int) -> bool:
        """Tell whether all would stay as it is, with nothing that waits.

        An answer of the CPU alone changes nothing; that of a stick may be late, or be doubted.
        """
        is_rung_known = self._rung_at_ns == now_ns
        is_any_awaited = any(running.late_ns < inf for running in self._under_way.all())
        return is_rung_known and self._rungs.is_at_rest and not is_any_awaited

    def _wake_ns(self, now_ns: int, waiting: Iterable[Request]) -> int | None:
        moments = [request.deadline_ns for request in waiting]
        moments += [
            round(running.late_ns) + 1
            for running in self._under_way.all()
            if now_ns < running.late_ns < inf
        ]
        return min(moments, default=None)


_RegionKey = tuple[str, int, int]  # camera, capture time: the frame; and the region


def _region_key(request: Request) -> _RegionKey:
    """Return what the requests have in common that are answered together or not at all."""
    return request.camera, request.captured_ns, request.region


def _with_siblings(kept: list[Request], sheds: list[Shed]) -> tuple[list[Request], list[Shed]]:
    """Give up what stands for the same region as something that is given up."""
    causes = {_region_key(shed.request): shed.cause for shed in sheds}
    siblings = [
        Shed(request, causes[_region_key(request)])
        for request in kept
        if _region_key(request) in causes
    ]
    return [request for request in kept if _region_key(request) not in causes], sheds + siblings


def _lost(devices: Iterable[DeviceState]) -> tuple[Reason, ...]:
    is_lost = any(device.kind is DeviceKind.EDGETPU and not device.is_usable for device in devices)
    return (Reason.STICK_LOST,) if is_lost else ()
