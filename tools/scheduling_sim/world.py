"""Cameras, devices and the policy together: what the executor does, without a thread.

It keeps to the executor's rules: a device that misses its limit is killed and opened again when its
condition says so; what it had waits again, and avoids it; the first answer counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random
from typing import Protocol

from camera_app.scheduling.condition import DeviceCondition
from camera_app.scheduling.load import (
    Assignment,
    Condition,
    Decision,
    DeviceKind,
    DeviceState,
    Pressure,
    Reason,
    Request,
)
from tools.scheduling_sim.blindness import Blindness
from tools.scheduling_sim.cameras import CameraPlan, SimulatedCamera
from tools.scheduling_sim.devices import (
    OPEN_NS,
    PLUG_SEEN_NS,
    DevicePlan,
    SimulatedDevice,
    seconds_ns,
)
from tools.scheduling_sim.timeline import Timeline

PressureAt = Callable[[int], Pressure]


class Decider(Protocol):
    """What decides: the policy that ships, or another to hold it against."""

    def decide(
        self,
        now_ns: int,
        waiting: Sequence[Request],
        devices: Sequence[DeviceState],
        pressure: Pressure,
    ) -> Decision:
        """See `camera_app.scheduling.policy.Policy`."""

    def finished(self, now_ns: int, device: str, kind: DeviceKind, number: int) -> bool:
        """See there."""

    def failed(self, device: str, number: int) -> bool:
        """See there."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that was announced.

    Attributes:
        at_ns: When.
        what: A device's name, or `rung`.
        value: Its condition, or the rung.
    """

    at_ns: int
    what: str
    value: str


class _Place:
    """A device with its condition and what it has."""

    def __init__(self, device: SimulatedDevice) -> None:
        self.device = device
        self.condition = DeviceCondition(0)
        self.has: dict[int, Assignment] = {}
        self.was_late = False

    @property
    def is_stick(self) -> bool:
        return self.device.plan.kind is DeviceKind.EDGETPU

    def state(self) -> DeviceState:
        plan = self.device.plan
        condition = self.condition.condition if self.is_stick else Condition.HEALTHY
        free = plan.places - len(self.has)
        return DeviceState(plan.name, plan.kind, condition, plan.places, free)


class World:
    """The whole simulation.

    Attributes:
        cameras: By name.
        devices: By name.
        changes: Conditions and rungs, as they were announced.
        answers: First answers by device.
        hedges: Requests that were given to a second device.
        blindness: Time in which frames came and nothing was looked at.

    Args:
        cameras: What cameras there are.
        devices: What devices there are.
        policy: What decides.
        seed: Of all chance.
        pressure_at: What the machine suffers from at a moment.
        tick_s: How often the policy is asked even if nothing happens.
    """

    def __init__(
        self,
        cameras: Iterable[CameraPlan],
        devices: Iterable[DevicePlan],
        policy: Decider,
        *,
        seed: int = 0,
        pressure_at: PressureAt = lambda _now_ns: Pressure(),
        tick_s: float = 1.0,
    ) -> None:
        self.timeline = Timeline()
        self.random = Random(seed)  # nosec B311 # the same days every time
        numbers = count()
        self.cameras = {
            plan.name: SimulatedCamera(
                plan, self.timeline, self.random, self._ask, lambda: next(numbers)
            )
            for plan in cameras
        }
        self.devices = {
            plan.name: SimulatedDevice(plan, self.timeline, self.random) for plan in devices
        }
        self.changes: list[Change] = []
        self.answers: dict[str, int] = dict.fromkeys(self.devices, 0)
        self.hedges = 0
        self.blindness = Blindness()
        self.reasons: set[Reason] = set()
        self._policy = policy
        self._pressure_at = pressure_at
        self._tick_ns = seconds_ns(tick_s)
        self._places = {name: _Place(device) for name, device in self.devices.items()}
        self._waiting: dict[int, Request] = {}
        self._rung = 0
        self._wake_ns: int | None = None

    def run(self, until_s: float) -> None:
        """Run until a moment, in seconds from the beginning; the first call starts everything."""
        if self.timeline.now_ns == 0:
            for camera in self.cameras.values():
                camera.start()
            for place in self._places.values():
                if place.is_stick:
                    self._plan_opening(place)
            self._tick()
        self.timeline.run_until(seconds_ns(until_s))

    def forget_figures(self) -> None:
        """Count from now on: what was so far is warming up."""
        for camera in self.cameras.values():
            camera.forget_figures()
        self.changes.clear()
        self.answers = dict.fromkeys(self.devices, 0)
        self.hedges = 0
        self.blindness = Blindness()

    def condition(self, device: str) -> Condition:
        """Return how far a device is trusted."""
        return self._places[device].state().condition

    @property
    def rung(self) -> int:
        return self._rung

    # Levers.

    def unplug(self, device: str) -> None:
        """Pull a stick: its child dies."""
        self.devices[device].is_plugged = False
        self._lose(self._places[device])

    def plug(self, device: str) -> None:
        """Put a stick in; it is seen when plugs are looked for."""
        self.devices[device].is_plugged = True
        now_ns = self.timeline.now_ns
        place = self._places[device]
        self.timeline.at(now_ns + PLUG_SEEN_NS, partial(self._note_plugged, place))

    def hang(self, device: str) -> None:
        """Let a stick take requests and never answer."""
        self.devices[device].is_hung = True

    def release(self, device: str) -> None:
        """Let a hung stick work again, once it is opened anew."""
        self.devices[device].is_hung = False

    def slow_down(self, device: str, factor: float) -> None:
        """Let a device take so many times as long."""
        self.devices[device].slowness = factor

    def refuse(self, device: str, *, on: bool) -> None:
        """Let a stick fail each request, or no longer."""
        self.devices[device].is_refusing = on

    # What the executor does.

    def _ask(self, requests: Sequence[Request]) -> None:
        self.blindness.note_frame(self.timeline.now_ns)
        for request in requests:
            self._waiting[request.number] = request
        self._decide()

    def _decide(self) -> None:
        now_ns = self.timeline.now_ns
        decision = self._policy.decide(
            now_ns,
            list(self._waiting.values()),
            [place.state() for place in self._places.values()],
            self._pressure_at(now_ns),
        )
        for name in decision.overdue:
            self._note_late(self._places[name])
        self.reasons.update(decision.reasons)
        if decision.rung != self._rung:
            self._rung = decision.rung
            self._announce("rung", str(decision.rung))
        for assignment in decision.assignments:
            self._begin(assignment)
        if decision.wake_ns is not None:
            self._plan_wake(decision.wake_ns)
        for shed in decision.sheds:
            del self._waiting[shed.request.number]
        # A camera that hears of a shed asks for its next frame: after all else is settled.
        for shed in decision.sheds:
            self.cameras[shed.request.camera].not_answered(shed.request, str(shed.cause))

    def _plan_wake(self, wake_ns: int) -> None:
        if self._wake_ns is None or wake_ns < self._wake_ns:
            self._wake_ns = wake_ns
            self.timeline.at(wake_ns, partial(self._wake, wake_ns))

    def _wake(self, wake_ns: int) -> None:
        if self._wake_ns == wake_ns:
            self._wake_ns = None
            self._decide()

    def _tick(self) -> None:
        self._decide()
        self.timeline.at(self.timeline.now_ns + self._tick_ns, self._tick)

    def _begin(self, assignment: Assignment) -> None:
        place = self._places[assignment.device]
        number = assignment.request.number
        self._waiting.pop(number, None)
        self.hedges += assignment.is_hedge
        place.has[number] = assignment
        if place.is_stick:
            limit_ns = self.timeline.now_ns + assignment.limit_ns
            self.timeline.at(limit_ns, partial(self._kill_if_hung, place, assignment))
        place.device.give(
            number,
            assignment.pack,
            answered=partial(self._note_answer, place),
            failed=partial(self._note_failure, place),
        )

    def _note_answer(self, place: _Place, number: int) -> None:
        now_ns = self.timeline.now_ns
        assignment = place.has.pop(number)
        name = place.device.plan.name
        is_first = self._policy.finished(now_ns, name, place.device.plan.kind, number)
        if place.is_stick:
            self._note_in_time(place)
        if is_first:
            self.answers[name] += 1
            camera = self.cameras[assignment.request.camera]
            camera.answered(assignment.request)
            is_more_waiting = any(one.under_way for one in self.cameras.values())
            self.blindness.note_answer(now_ns, is_more_waiting=is_more_waiting)
        self._decide()

    def _note_failure(self, place: _Place, number: int) -> None:
        if number in place.has:
            self._lose(place)

    def _kill_if_hung(self, place: _Place, assignment: Assignment) -> None:
        if place.has.get(assignment.request.number) is assignment:
            self._lose(place)

    def _lose(self, place: _Place) -> None:
        place.device.reset()
        had, place.has = place.has, {}
        name = place.device.plan.name
        for number, assignment in had.items():
            if self._policy.failed(name, number):
                request = assignment.request
                self._waiting[number] = replace(request, avoid=request.avoid | {name})
        if place.state().is_usable:
            place.condition.failed(self.timeline.now_ns)
            self._announce(name, Condition.BROKEN)
            self._plan_opening(place)
        self._decide()

    def _plan_opening(self, place: _Place) -> None:
        next_try_ns = place.condition.next_try_ns
        if next_try_ns is not None:
            self.timeline.at(next_try_ns, partial(self._open, place, next_try_ns))

    def _open(self, place: _Place, planned_ns: int) -> None:
        if place.condition.next_try_ns == planned_ns:  # nothing else was planned since
            self.timeline.at(
                self.timeline.now_ns + OPEN_NS, partial(self._opened, place, planned_ns)
            )

    def _opened(self, place: _Place, planned_ns: int) -> None:
        if place.condition.next_try_ns != planned_ns:
            return
        now_ns = self.timeline.now_ns
        if place.device.can_open:
            place.device.reset()
            place.condition.opened(now_ns)
            self._announce(place.device.plan.name, Condition.PROBATION)
            self._decide()
        else:
            place.condition.open_failed(now_ns)
            self._plan_opening(place)

    def _note_plugged(self, place: _Place) -> None:
        if place.condition.next_try_ns is not None:
            place.condition.returned(self.timeline.now_ns)
            self._plan_opening(place)

    def _note_late(self, place: _Place) -> None:
        before = place.condition.condition
        place.condition.late(self.timeline.now_ns)
        place.was_late = True
        self._announce_if_changed(place, before)

    def _note_in_time(self, place: _Place) -> None:
        if place.was_late:
            place.was_late = False
            return
        before = place.condition.condition
        place.condition.answered(self.timeline.now_ns)
        self._announce_if_changed(place, before)

    def _announce_if_changed(self, place: _Place, before: Condition) -> None:
        if place.condition.condition is not before:
            self._announce(place.device.plan.name, place.condition.condition)

    def _announce(self, what: str, value: str) -> None:
        self.changes.append(Change(self.timeline.now_ns, what, value))
