"""Owns the devices live, and carries out what the policy decides.

    cameras ──ask──> waiting ──policy──> CPU seats, sticks ──answers──> cameras
                        ^                        │
                        └── what a stick failed ─┘

Every decision is the policy's; here are its lock, its clock, and the threads behind the devices. A
demand that a stick fails goes to another device at once, and the camera never hears of it.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from camera_app.clock import NS_PER_S, Clock, seconds
from camera_app.errors import DeviceLost
from camera_app.histogram import Distribution, Histogram
from camera_app.inference.edgetpu import PLACES, Finding, Place, PlaceWatch, StickFailed, findings
from camera_app.models import ModelPack
from camera_app.scheduling.condition import DeviceCondition
from camera_app.scheduling.cpu import CpuSeats, SeatStats
from camera_app.scheduling.demand import Answer, Demand, DemandShed
from camera_app.scheduling.load import (
    Assignment,
    CameraShare,
    Condition,
    Decision,
    DeviceKind,
    DeviceState,
    Ladder,
    Pressure,
    Reason,
    Request,
    Shed,
    ShedCause,
    Variant,
)
from camera_app.scheduling.look_times import LookStep
from camera_app.scheduling.policy import Policy
from camera_app.scheduling.rungs import is_pressing
from camera_app.scheduling.stick_device import OpenStick, StickDevice
from camera_app.threads import Closed, Worker
from camera_app.values import Detection

_log = logging.getLogger(__name__)

CPU = "cpu"
LONGEST_WAIT_NS = NS_PER_S  # the policy is asked at least this often while something goes on
RESTING_WAIT_NS = 20 * NS_PER_S  # and this often else: often enough for the timer's sign of life

MakeStick = Callable[[str, Sequence[ModelPack]], OpenStick]


@dataclass(frozen=True, slots=True)
class StickPlan:
    """Which sticks to use.

    Attributes:
        make: Makes a stick for a place, not open yet.
        places: Where they are to be; empty: wherever there is one.
    """

    make: MakeStick
    places: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceStats:
    """How one device does.

    Attributes:
        name: `cpu`, or the place of a stick.
        kind: What it is.
        condition: How far it is trusted.
        answers: Requests that it has answered.
        failures: Requests that it has failed.
        finding: What is wrong with it; None if nothing is.
        temperature_c: Of its chip; None where nobody tells.
        service_ms: What a request takes on average, by pack.
        times: Where the time of its answers went, by step.
        openings: How often a stick was opened.
        busy_ns: Time that a stick has been busy so far, known answers included.
        invokes: Networks that it has run in that time.
        changes: How often another network than the one before.
    """

    name: str
    kind: DeviceKind
    condition: Condition
    answers: int = 0
    failures: int = 0
    finding: Finding | None = None
    temperature_c: float | None = None
    service_ms: dict[str, float] = field(default_factory=dict)
    times: Mapping[LookStep, Distribution] = field(default_factory=dict)
    openings: int = 0
    busy_ns: int = 0
    invokes: int = 0
    changes: int = 0


@dataclass(frozen=True, slots=True)
class ExecutorStats:
    """What has been done, and how well things stand.

    Attributes:
        seats: What the CPU has done.
        devices: Every device, the CPU first.
        rung: How far down the ladders, from 0.
        reasons: Why less is done than was asked for; empty: nothing is amiss.
        sheds: Requests that were given up, by cause.
        hedges: Requests that were given to a second device.
        fallbacks: How often a stick that was in use was lost.
        pressure: What the machine suffers from.
        queue: How long requests waited until a device had them, the first of several.
    """

    seats: SeatStats = field(default_factory=SeatStats)
    devices: tuple[DeviceStats, ...] = ()
    rung: int = 0
    reasons: tuple[Reason, ...] = ()
    sheds: dict[ShedCause, int] = field(default_factory=dict)
    hedges: int = 0
    fallbacks: int = 0
    pressure: Pressure = field(default_factory=Pressure)
    queue: Distribution = field(default_factory=Distribution)

    @property
    def in_use(self) -> str:
        """The devices that networks run on by choice: the usable sticks, else `cpu`."""
        usable = [
            device.name
            for device in self.devices
            if device.kind is DeviceKind.EDGETPU and device.condition is not Condition.BROKEN
        ]
        return " + ".join(usable) or CPU


@dataclass(slots=True)
class _Job:
    """A demand from asking to answer.

    Attributes:
        demand: What was asked.
        request: The same as the policy sees it.
        answer: Where the camera waits.
        asked_ns: When it was asked, monotonic.
        holders: Devices that have it.
        error: What the last device said that failed it.
    """

    demand: Demand
    request: Request
    answer: Answer
    asked_ns: int
    holders: int = 0
    error: BaseException | None = None


@dataclass(slots=True)
class _Stick:
    """What the executor keeps of one stick.

    Attributes:
        device: Its threads.
        condition: How far it is trusted.
        sits: Its place while something is plugged in there; None: nothing is.
        is_known: Whether it was opened once, or could not be; before, nothing is amiss yet.
        under_way: Requests that it has.
        is_overdue: It missed the time expected of it, and has not answered since.
        finding: What is wrong with it, or with a pack on it.
        refused: Packs that it cannot run.
    """

    device: StickDevice
    condition: DeviceCondition
    sits: Place | None = None
    is_known: bool = False
    under_way: int = 0
    is_overdue: bool = False
    finding: Finding | None = None
    refused: frozenset[str] = frozenset()


_After = list[Callable[[], object]]


class Executor:
    """The devices of one camera computer, and who is asked what.

    Args:
        ladders: For each model that cameras ask for, the packs that can stand in for it, itself
            first.
        seats: The CPU; started and stopped with this, and it must know every pack of the ladders.
        shares: What each camera may take.
        clock: Time.
        sticks: Which sticks to use; None: none.
    """

    def __init__(
        self,
        ladders: Mapping[str, Sequence[ModelPack]],
        seats: CpuSeats,
        shares: Mapping[str, CameraShare],
        clock: Clock,
        sticks: StickPlan | None = None,
    ) -> None:
        self._seats = seats
        self._clock = clock
        self._plan = sticks
        self._ladders = {
            name: frozenset(pack.name for pack in packs) for name, packs in ladders.items()
        }
        self._stick_packs = _for_sticks(ladders)
        self._changed = threading.Condition()  # guards every field below but the last two
        self._policy = Policy({name: _ladder(packs) for name, packs in ladders.items()}, shares)
        self._next_number = 0
        self._jobs: dict[int, _Job] = {}
        self._waiting: dict[int, Request] = {}
        self._cpu_under_way = 0
        self._sticks: dict[str, _Stick] = {}
        self._answers: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._sheds: Counter[ShedCause] = Counter()
        self._hedges = 0
        self._fallbacks = 0
        self._pressure = Pressure()
        self._rung = 0
        self._queue = Histogram()
        self._reasons: tuple[Reason, ...] = ()
        self._closed = True
        self._wake_ns = 0  # when to decide at the latest
        self._is_at_rest = False  # only what somebody does can change anything
        self._timer_until_ns = 0  # when the timer wakes by itself
        self._timer = _Timer(self)
        self._watch = PlaceWatch(self._places_changed)

    # --- life ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Load every model on the CPU and begin to look for sticks; nothing waits for those.

        Raises:
            ModelError: A pack cannot be loaded.
        """
        self.load()
        self.use_sticks()

    def load(self) -> None:
        """Load every model on the CPU: from here on it can be asked, and uses no stick yet.

        Raises:
            ModelError: A pack cannot be loaded.
        """
        self._seats.start()
        with self._changed:
            self._closed = False
        self._timer.start()

    def use_sticks(self) -> None:
        """Begin to look for sticks; nothing waits for those."""
        if self._plan is None:
            return
        if not self._stick_packs:
            _log.warning("no Edge TPU is used: none of the models has a file for it")
            return
        for place in self._plan.places:
            self._add_stick(place)
        self._watch.start()

    def stop(self) -> None:
        """Cancel what waits, close the devices, end the threads."""
        with self._changed:
            self._closed = True
            jobs = list(self._jobs.values())
            self._jobs.clear()
            self._waiting.clear()
            sticks = list(self._sticks.values())
            self._changed.notify_all()
        for job in jobs:
            job.answer.cancel()
        self._watch.stop()
        self._timer.stop()
        for stick in sticks:
            stick.device.stop()
        self._seats.stop()
        with self._changed:
            self._sticks.clear()
            self._cpu_under_way = 0

    # --- for cameras -----------------------------------------------------------------------------

    def ask(self, demands: Sequence[Demand]) -> list[Answer]:
        """Ask for the demands of one frame; never waits.

        Returns:
            A future each: detections best first in pixels of the frame; or DemandShed; or the
            error of the last device that tried.

        Raises:
            Closed: The executor was stopped.
        """
        with self._changed:
            if self._closed:
                raise Closed
            now_ns = self._clock.monotonic_ns()
            answers = [self._enter(demand, now_ns) for demand in demands]
            # With every place taken nothing can begin, so the next answer is soon enough: under
            # full load that is half of all decisions.
            after = self._advance() if self._has_room() else []
        _do(after)
        return answers

    def reshare(self, shares: Mapping[str, CameraShare]) -> None:
        """Let cameras take other shares from now on; from any thread."""
        with self._changed:
            self._policy.reshare(shares)

    def note_pressure(self, pressure: Pressure) -> None:
        """Take note of what the machine suffers from; from any thread."""
        with self._changed:
            self._pressure = pressure
            if self._is_at_rest and is_pressing(pressure):
                self._is_at_rest = False
                self._arm(self._clock.monotonic_ns())

    def wake_stick(self, device: str) -> None:
        """Have a stick that was put away tried again at once.

        Raises:
            DeviceLost: There is none of this name, or it is gone.
        """
        with self._changed:
            stick = self._sticks.get(device)
            if stick is None or stick.sits is None:
                raise _gone(device, self._sticks)
            stick.condition.returned(self._clock.monotonic_ns())
        stick.device.wake()

    def stick_work(self) -> tuple[int, int, int]:
        """Return answers of all sticks, nanoseconds inside them, and answers of the CPU.

        For measuring; known answers that sticks were asked for are among theirs.
        """
        with self._changed:
            sticks = [stick.device.stick for stick in self._sticks.values()]
            by_cpu = self._answers[CPU]
        told = [stick.stats for stick in sticks]
        return sum(one.invokes for one in told), sum(one.invoke_ns for one in told), by_cpu

    @property
    def niced_cpu_ns(self) -> int:
        """Processor time spent on the CPU's looks at low priority so far."""
        return self._seats.stats.niced_cpu_ns

    @property
    def stats(self) -> ExecutorStats:
        """How things stand; from any thread."""
        with self._changed:
            sticks = list(self._sticks.items())
            times = self._policy.service_times_ns()
            cpu = self._device_stats(CPU, DeviceKind.CPU, Condition.HEALTHY, None, times)
            devices = [
                self._device_stats(
                    name, DeviceKind.EDGETPU, stick.condition.condition, stick.finding, times
                )
                for name, stick in sticks
            ]
            stats = ExecutorStats(
                rung=self._rung,
                reasons=self._reasons,
                sheds=dict(self._sheds),
                hedges=self._hedges,
                fallbacks=self._fallbacks,
                pressure=self._pressure,
                queue=self._queue.distribution(),
            )
        # Outside the lock: these read files and take the locks of others.
        warm = [
            _with_own(device, stick.device)
            for device, (_, stick) in zip(devices, sticks, strict=True)
        ]
        cpu = replace(cpu, times=self._seats.times)
        return replace(stats, seats=self._seats.stats, devices=(cpu, *warm))

    def _device_stats(
        self,
        name: str,
        kind: DeviceKind,
        condition: Condition,
        finding: Finding | None,
        times_ns: Mapping[tuple[str, str], float],
    ) -> DeviceStats:
        service_ms = {pack: ns / 1e6 for (device, pack), ns in times_ns.items() if device == name}
        return DeviceStats(
            name=name,
            kind=kind,
            condition=condition,
            answers=self._answers[name],
            failures=self._failures[name],
            finding=finding,
            service_ms=service_ms,
        )

    # --- for the timer ---------------------------------------------------------------------------

    def wait_and_advance(self) -> None:
        """Wait until it is time to decide again, and decide.

        Returns after each wait, whatever ended it: decisions of others put the next one off, for
        ever while enough is asked, and the timer owes signs of life.
        """
        with self._changed:
            left_ns = self._wake_ns - self._clock.monotonic_ns()
            if left_ns > 0 and not self._closed:
                self._timer_until_ns = self._wake_ns
                self._changed.wait(seconds(left_ns))
            if self._closed or self._clock.monotonic_ns() < self._wake_ns:
                return
            after = self._advance()
        _do(after)

    def wake_timer(self) -> None:
        """Make the timer look at the time, or at whether it was stopped."""
        with self._changed:
            self._changed.notify_all()

    # --- for the keepers of sticks ---------------------------------------------------------------

    def next_try_ns(self, device: str) -> int | None:
        """Return when to open a stick; None: it is open, or nothing is plugged in there."""
        with self._changed:
            stick = self._sticks.get(device)
            return None if stick is None or stick.sits is None else stick.condition.next_try_ns

    def stick_opened(self, device: str) -> None:
        """Take note that a stick was opened and gave its known answers."""
        with self._changed:
            stick = self._sticks[device]
            refused = stick.device.stick.stats.refused
            stick.condition.opened(self._clock.monotonic_ns())
            stick.is_known, stick.refused = True, frozenset(refused)
            stick.finding = next(iter(refused.values()), None)
            after = self._advance()
        _log.info("Edge TPU %s is in use", device)
        for finding in refused.values():
            _log.warning("Edge TPU %s is used without one of the models: %s", device, finding)
        _do(after)

    def stick_failed(self, device: str, finding: Finding, *, was_open: bool) -> None:
        """Take note that a stick could not be opened, or failed while nobody asked it."""
        with self._changed:
            stick = self._sticks[device]
            after = self._lose(stick, finding) if was_open else self._keep_closed(stick, finding)
            after += self._advance()
        _do(after)

    # --- for the watch of places -----------------------------------------------------------------

    def _places_changed(self, places: tuple[Place, ...]) -> None:
        assert self._plan is not None, "nobody watches where no stick is wanted"
        found = {place.name: place for place in places}
        for name in found:
            if not self._plan.places and name not in self._sticks:
                self._add_stick(name)
        now_ns = self._clock.monotonic_ns()
        with self._changed:
            returned = [
                stick
                for name, stick in self._sticks.items()
                if self._note_place(stick, found.get(name), now_ns)
            ]
            after = self._advance()
        for stick in returned:
            stick.device.wake()
        _do(after)

    def _note_place(self, stick: _Stick, place: Place | None, now_ns: int) -> bool:
        """Take note of what is plugged in; return whether that is news to the keeper."""
        before, stick.sits = stick.sits, place
        is_broken = stick.condition.condition is Condition.BROKEN
        if place is None and is_broken:
            stick.is_known, stick.finding = True, findings.absent(stick.device.name)
        if place is None:
            return not is_broken  # it looks whether the stick has noticed
        if place == before or not is_broken:
            return False
        stick.condition.returned(now_ns)
        return True

    def _add_stick(self, place: str) -> None:
        assert self._plan is not None
        stick = self._plan.make(place, self._stick_packs)
        device = StickDevice(stick, self._stick_packs, PLACES, self, self._clock)
        with self._changed:
            if self._closed:
                return
            condition = DeviceCondition(self._clock.monotonic_ns())
            self._sticks[place] = _Stick(device, condition)
        device.start()

    # --- with the lock held ----------------------------------------------------------------------

    def _enter(self, demand: Demand, now_ns: int) -> Answer:
        number = self._next_number
        self._next_number += 1
        rungs = self._ladders[demand.model]
        refusing = [name for name, stick in self._sticks.items() if stick.refused & rungs]
        request = Request(
            number=number,
            camera=demand.camera,
            region=demand.place,
            model=demand.model,
            worth=demand.worth,
            captured_ns=demand.captured_ns,
            deadline_ns=demand.deadline_ns,
            avoid=frozenset(refusing),
        )
        job = _Job(demand, request, Answer(), now_ns)
        self._jobs[number] = job
        self._waiting[number] = request
        return job.answer

    def _advance(self) -> _After:
        """Let the policy decide and carry it out; return what is to be done without the lock."""
        now_ns = self._clock.monotonic_ns()
        waiting = list(self._waiting.values())
        decision = self._policy.decide(now_ns, waiting, self._states(), self._pressure)
        for assignment in decision.assignments:
            self._begin(assignment, now_ns)
        after: _After = [self._give_up(shed) for shed in decision.sheds]
        for name in decision.overdue:
            self._note_overdue(name, now_ns)
        after += self._note_standing(decision)
        self._is_at_rest = decision.is_at_rest
        latest_ns = now_ns + (RESTING_WAIT_NS if decision.is_at_rest else LONGEST_WAIT_NS)
        self._arm(latest_ns if decision.wake_ns is None else min(latest_ns, decision.wake_ns))
        return after

    def _has_room(self) -> bool:
        return self._cpu_under_way < self._seats.seats or any(
            stick.under_way < stick.device.places
            and stick.condition.condition is not Condition.BROKEN
            for stick in self._sticks.values()
        )

    def _states(self) -> list[DeviceState]:
        cpu_free = self._seats.seats - self._cpu_under_way
        condition = Condition.HEALTHY
        states = [DeviceState(CPU, DeviceKind.CPU, condition, self._seats.seats, max(0, cpu_free))]
        for name, stick in self._sticks.items():
            if not stick.is_known:
                continue
            places = stick.device.places
            condition = stick.condition.condition
            free = max(0, places - stick.under_way)
            states.append(DeviceState(name, DeviceKind.EDGETPU, condition, places, free))
        return states

    def _begin(self, assignment: Assignment, now_ns: int) -> None:
        number, device = assignment.request.number, assignment.device
        self._waiting.pop(number, None)
        job = self._jobs[number]
        if not job.holders and job.error is None:
            self._queue.observe(seconds(now_ns - job.asked_ns))
        job.holders += 1
        self._hedges += assignment.is_hedge
        demand = job.demand
        if demand.model != assignment.pack:
            demand = replace(demand, model=assignment.pack)
        answer = Answer()
        answer.add_done_callback(partial(self._answered, device, number))
        if device == CPU:
            self._cpu_under_way += 1
            self._seats.submit(demand, answer)
        else:
            stick = self._sticks[device]
            stick.under_way += 1
            stick.device.submit(demand, seconds(assignment.limit_ns), answer)

    def _give_up(self, shed: Shed) -> Callable[[], object]:
        number = shed.request.number
        self._waiting.pop(number, None)
        job = self._jobs.pop(number)
        self._sheds[shed.cause] += 1
        error = job.error
        if error is None or shed.cause is not ShedCause.NO_DEVICE:
            error = DemandShed(shed.cause)
        return partial(_settle, job.answer, None, error)

    def _note_overdue(self, name: str, now_ns: int) -> None:
        stick = self._sticks.get(name)
        if stick is not None and not stick.is_overdue:
            stick.is_overdue = True
            stick.condition.late(now_ns)

    def _note_standing(self, decision: Decision) -> _After:
        before = (self._rung, self._reasons)
        self._rung, self._reasons = decision.rung, decision.reasons
        if before[0] == decision.rung:
            return []
        reasons = ", ".join(decision.reasons) or "no reason any more"
        return [partial(_log.warning, "smaller models, rung %d: %s", decision.rung, reasons)]

    def _arm(self, wake_ns: int) -> None:
        self._wake_ns = wake_ns
        # The timer is woken only if it would oversleep: to wake it for each request would cost more
        # than the decision itself. Too early it may wake, and looks again.
        if wake_ns < self._timer_until_ns:
            self._timer_until_ns = wake_ns
            self._changed.notify_all()

    # --- answers, on the devices' threads --------------------------------------------------------

    def _answered(self, device: str, number: int, answer: Answer) -> None:
        if answer.cancelled():
            return  # the executor is stopping, and has settled with the camera
        error = answer.exception()
        with self._changed:
            if self._closed:
                return
            self._let_go(device)
            if error is None:
                after = self._succeed(device, number, answer.result())
            else:
                after = self._fail(device, number, error)
            # A failure may change how things stand; and what a stick is late with may have waited
            # for the seat that is free now.
            if self._waiting or error is not None or self._is_any_overdue():
                after += self._advance()
        _do(after)

    def _is_any_overdue(self) -> bool:
        return any(stick.is_overdue for stick in self._sticks.values())

    def _let_go(self, device: str) -> None:
        if device == CPU:
            self._cpu_under_way -= 1
        else:
            self._sticks[device].under_way -= 1

    def _succeed(self, device: str, number: int, found: list[Detection]) -> _After:
        now_ns = self._clock.monotonic_ns()
        self._answers[device] += 1
        stick = self._sticks.get(device)
        kind = DeviceKind.CPU if stick is None else DeviceKind.EDGETPU
        if stick is not None:
            if not stick.is_overdue:
                stick.condition.answered(now_ns)
            stick.is_overdue = False
        is_first = self._policy.finished(now_ns, device, kind, number)
        job = self._release(number)
        return [partial(_settle, job.answer, found, None)] if is_first else []

    def _fail(self, device: str, number: int, error: BaseException) -> _After:
        self._failures[device] += 1
        after: _After = []
        stick = self._sticks.get(device)
        if stick is not None and isinstance(error, StickFailed) and not stick.device.stick.is_open:
            after = self._lose(stick, error.finding)
        must_wait = self._policy.failed(device, number)
        job = self._jobs[number]
        job.error = error
        if must_wait:
            job.holders -= 1
            job.request = replace(job.request, avoid=job.request.avoid | {device})
            self._waiting[number] = job.request
        else:
            self._release(number)
        return after

    def _release(self, number: int) -> _Job:
        """Note that a device is done with a job; forget it when that was the last one."""
        job = self._jobs[number]
        job.holders -= 1
        if not job.holders:
            del self._jobs[number]
        return job

    def _lose(self, stick: _Stick, finding: Finding) -> _After:
        """Take a stick out of use: it failed. Two of its requests may say so; once is enough."""
        if stick.condition.condition is Condition.BROKEN:
            return []
        stick.condition.failed(self._clock.monotonic_ns())
        stick.is_overdue = False
        stick.finding = finding
        self._fallbacks += 1
        text = "Edge TPU %s is not used any more, others look instead: %s"
        return [partial(_log.warning, text, stick.device.name, finding), stick.device.wake]

    def _keep_closed(self, stick: _Stick, finding: Finding) -> _After:
        stick.condition.open_failed(self._clock.monotonic_ns())
        before, stick.finding = stick.finding, finding
        stick.is_known = True
        if before is not None and before.kind == finding.kind:
            return []  # said once
        return [partial(_log.warning, "Edge TPU %s cannot be used: %s", stick.device.name, finding)]


def _with_own(told: DeviceStats, device: StickDevice) -> DeviceStats:
    """Return what is told of a stick with what only itself knows."""
    stick = device.stick.stats
    return replace(
        told,
        temperature_c=stick.temperature_c,
        openings=stick.opened,
        times=device.times,
        busy_ns=stick.invoke_ns,
        invokes=stick.invokes,
        changes=stick.changes,
    )


class _Timer(Worker):
    """Asks the policy again when time alone has changed something."""

    def __init__(self, executor: Executor) -> None:
        super().__init__("camera-app-scheduler")
        self._executor = executor

    def run_once(self) -> None:
        self._executor.wait_and_advance()

    def wake(self) -> None:
        self._executor.wake_timer()


def _ladder(packs: Sequence[ModelPack]) -> Ladder:
    return Ladder(tuple(Variant(pack.name, _kinds(pack)) for pack in packs))


def _kinds(pack: ModelPack) -> frozenset[DeviceKind]:
    cpu = frozenset({DeviceKind.CPU})
    return cpu if pack.edgetpu is None else cpu | {DeviceKind.EDGETPU}


def _for_sticks(ladders: Mapping[str, Iterable[ModelPack]]) -> tuple[ModelPack, ...]:
    packs = {pack.name: pack for rungs in ladders.values() for pack in rungs if pack.edgetpu}
    return tuple(packs.values())


def _settle(answer: Answer, found: list[Detection] | None, error: BaseException | None) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    if error is None:
        answer.set_result(found or [])
    else:
        answer.set_exception(error)


def _gone(device: str, known: Iterable[str]) -> DeviceLost:
    places = ", ".join(known) or "none"
    return DeviceLost(
        "no Edge TPU is in this place",
        where=device,
        remedy=f"Known here: {places}; `camera-app devices` shows what is plugged in",
    )


def _do(after: _After) -> None:
    for step in after:
        step()
