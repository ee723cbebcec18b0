"""One stick with the threads that feed it and look after it. No rule on what it is given is here.

Feeders, one a place on the stick, bring pictures to tensors, hand them over, and decode what comes
back. The keeper opens the stick, opens it again when it is time, and asks for known answers now and
then: a stick that computes nonsense is quick and friendly otherwise.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.errors import CameraAppError, DeviceError
from camera_app.histogram import Distribution
from camera_app.inference import Network, Outputs, TensorSpec
from camera_app.inference.edgetpu import Finding, StickFailed, StickStats
from camera_app.inference.runtime import Array
from camera_app.models import ModelPack
from camera_app.roster import ROSTER, ROUND_LIMIT_S, Vital
from camera_app.scheduling.demand import Answer, Demand
from camera_app.scheduling.look_times import LookStep, LookTimes
from camera_app.threads import Deadline, Worker, see_out
from camera_app.values import Detection

_log = logging.getLogger(__name__)

TICK_S = 0.25
# One known answer takes some milliseconds; asked twice a second it costs a stick a fiftieth of its
# time, and wrong answers are believed for half a second at most.
CHECK_EVERY_S = 0.5
CHECK_IDLE_EVERY_S = 10.0  # nobody is misled by a stick that nobody asks
CHECK_LIMIT_S = 2.0
# What only the owner can change is tried this often: he may have, and nobody tells us.
OWNER_RETRY_S = 30.0
# Firmware, then pack after pack, each in a child with a deadline of its own.
OPENING_LIMIT_S = 60.0


class OpenStick(Protocol):
    """What is used of a stick; `camera_app.inference.edgetpu.Stick` is one."""

    place: str

    @property
    def is_open(self) -> bool: ...
    @property
    def stats(self) -> StickStats: ...
    def inputs(self, pack: str) -> tuple[TensorSpec, ...]: ...
    def outputs(self, pack: str) -> tuple[TensorSpec, ...]: ...
    def open(self, limit_s: float = ...) -> None: ...
    def close(self) -> None: ...
    def invoke(self, pack: str, inputs: Sequence[Array], limit_s: float) -> Outputs: ...
    def check_next_answer(self, limit_s: float) -> None: ...


class StickWatcher(Protocol):
    """Who is told how a stick does, on the keeper's thread, and knows when to open it."""

    def next_try_ns(self, device: str, /) -> int | None:
        """Return when to open it; None: it is open, or not there."""

    def stick_opened(self, device: str, /) -> None: ...
    def stick_failed(self, device: str, finding: Finding, /, *, was_open: bool) -> None: ...


class _OnStick:
    """A pack on a stick as an interpreter, for one feeder."""

    def __init__(self, stick: OpenStick, pack: str) -> None:
        self._stick = stick
        self._pack = pack
        self.inputs = stick.inputs(pack)
        self.outputs = stick.outputs(pack)
        self.deadline = Deadline(0.0)  # of the request at hand

    def invoke(self, inputs: Sequence[Array]) -> Outputs:
        return self._stick.invoke(self._pack, inputs, self.deadline.remaining_s())


_Networks = dict[str, tuple[_OnStick, Network]]


class StickDevice:
    """A stick that is fed and kept.

    Args:
        stick: Not open yet.
        packs: That may be asked for.
        places: How many requests it can have under way.
        watcher: Who is told how it does.
        clock: Time.
    """

    def __init__(
        self,
        stick: OpenStick,
        packs: Iterable[ModelPack],
        places: int,
        watcher: StickWatcher,
        clock: Clock,
    ) -> None:
        self.name = stick.place
        self.places = places
        self.stick = stick
        self._packs = {pack.name: pack for pack in packs}
        self._keeper = _Keeper(stick, watcher, clock, self._make_ready)
        self._changed = threading.Condition()  # guards the four fields below
        self._waiting: deque[tuple[Demand, Deadline, Answer]] = deque()
        self._networks: list[_Networks] = [{} for _ in range(places)]  # of each feeder
        self._closed = False
        self._times = LookTimes()
        self._feeders: list[threading.Thread] = []  # owned by the caller of start and stop

    def start(self) -> None:
        """Start the threads; the stick is opened by and by."""
        for number in range(self.places):
            name = f"camera-app-feed-{self.name}-{number}"
            given = (number, ROSTER.enter(name))
            feeder = threading.Thread(target=self._feed, args=given, name=name, daemon=True)
            self._feeders.append(feeder)
            feeder.start()
        self._keeper.start()

    def stop(self) -> None:
        """Cancel what waits, close the stick, end the threads."""
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
        for _, _, answer in waiting:
            answer.cancel()
        self._keeper.stop()
        for feeder in self._feeders:
            see_out(feeder)
        self._feeders.clear()

    def wake(self) -> None:
        """Have the keeper look at once whether there is something to do."""
        self._keeper.wake()

    def submit(self, demand: Demand, limit_s: float, answer: Answer) -> None:
        """Give it a demand; an answer or a failure comes soon after the limit at the latest."""
        with self._changed:
            self._waiting.append((demand, Deadline(limit_s), answer))
            self._changed.notify()

    @property
    def times(self) -> Mapping[LookStep, Distribution]:
        """Where the time of its answers went."""
        with self._changed:
            return self._times.distributions()

    def _make_ready(self) -> None:
        """Fit out every feeder for what the stick can run; called when it was opened."""
        made = [
            {name: self._network(name) for name in self.stick.stats.packs}
            for _ in range(self.places)
        ]
        with self._changed:
            self._networks = made

    def _network(self, pack: str) -> tuple[_OnStick, Network]:
        interpreter = _OnStick(self.stick, pack)
        return interpreter, Network(self._packs[pack], interpreter)

    def _feed(self, number: int, vital: Vital) -> None:
        while (job := self._next(vital)) is not None:
            vital.promise(job[1].remaining_s() + ROUND_LIMIT_S)
            self._answer(number, *job)
            del job  # its picture is lent: a feeder that waits must not keep it
        ROSTER.leave(vital)

    def _answer(self, number: int, demand: Demand, deadline: Deadline, answer: Answer) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            found = self._look(number, demand, deadline)
        except CameraAppError as error:
            answer.set_exception(error)
        except Exception as error:
            # The safety net of the feeder: a bug met in one region must not take it away.
            _log.exception("a stick's feeder failed in a way nobody foresaw")
            failure = DeviceError(f"the network failed: {error}", where=self.name)
            failure.__cause__ = error
            answer.set_exception(failure)
        else:
            answer.set_result(found)
            self._keeper.note_answer()

    def _look(self, number: int, demand: Demand, deadline: Deadline) -> list[Detection]:
        with self._changed:
            known = self._networks[number].get(demand.model)
        # One that it does not run: what is made here fails, and says why.
        on_stick, network = known or self._network(demand.model)
        on_stick.deadline = deadline
        began_ns = time.perf_counter_ns()
        prepared = network.prepare(demand.picture, demand.region)
        prepared_ns = time.perf_counter_ns()
        outputs = network.invoke(prepared)
        invoked_ns = time.perf_counter_ns()
        detections = network.decode(outputs, prepared, min_score=demand.min_score)
        decoded_ns = time.perf_counter_ns()
        with self._changed:
            self._times.observe(began_ns, prepared_ns, invoked_ns, decoded_ns)
        return detections

    def _next(self, vital: Vital) -> tuple[Demand, Deadline, Answer] | None:
        with self._changed:
            vital.owe_nothing()
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            return self._waiting.popleft() if self._waiting else None


class _Keeper(Worker):
    """Opens a stick when it is time, and asks for known answers while it is open."""

    def __init__(
        self,
        stick: OpenStick,
        watcher: StickWatcher,
        clock: Clock,
        make_ready: Callable[[], None],
    ) -> None:
        super().__init__(f"camera-app-keeper-{stick.place}")
        self._make_ready = make_ready
        self._stick = stick
        self._watcher = watcher
        self._clock = clock
        self._something = threading.Event()  # set when there may be something to do
        self._has_answered = False  # since the last check; a lost update costs one check's delay
        # Of this thread and of `wake`, which says that both may be too late by now.
        self._checked_ns = 0
        self._not_before_ns = 0
        self._wakes = 0

    def note_answer(self) -> None:
        """Take note that it has answered; from any thread."""
        self._has_answered = True

    def wake(self) -> None:
        self._wakes += 1
        self._not_before_ns = self._checked_ns = 0
        self._something.set()

    def stop(self) -> None:
        self.stopping.set()
        self._stick.close()  # ends an open that is under way, too
        super().stop()
        self._stick.close()

    def run_once(self) -> None:
        """Do what is due, and wait for the next time."""
        self._something.clear()
        next_try_ns = self._watcher.next_try_ns(self._stick.place)
        if next_try_ns is not None:
            if self._clock.monotonic_ns() >= max(next_try_ns, self._not_before_ns):
                self._open()
        elif self._check_due_s() <= 0.0:
            self._check()
        self._something.wait(min(TICK_S, max(0.0, self._check_due_s())))

    def _open(self) -> None:
        if self.stopping.is_set():
            return
        wakes = self._wakes
        self.promise(OPENING_LIMIT_S)
        try:
            self._stick.open()
            self._make_ready()
        except StickFailed as failure:
            # One that was plugged in anew meanwhile may be well: what was found is out of date.
            if failure.finding.is_for_the_owner and wakes == self._wakes:
                wait_ns = nanoseconds(OWNER_RETRY_S)
                self._not_before_ns = self._clock.monotonic_ns() + wait_ns
            self._watcher.stick_failed(self._stick.place, failure.finding, was_open=False)
        else:
            self._checked_ns = self._clock.monotonic_ns()
            self._watcher.stick_opened(self._stick.place)

    def _check_due_s(self) -> float:
        """Return how long it is until the next check; one that died idle says then of what."""
        if not self._stick.is_open:
            return 0.0
        every_s = CHECK_EVERY_S if self._has_answered else CHECK_IDLE_EVERY_S
        return every_s - seconds(self._clock.monotonic_ns() - self._checked_ns)

    def _check(self) -> None:
        self._has_answered = False
        self._checked_ns = self._clock.monotonic_ns()
        try:
            self._stick.check_next_answer(CHECK_LIMIT_S)
        except StickFailed as failure:
            if not self.stopping.is_set():
                self._watcher.stick_failed(self._stick.place, failure.finding, was_open=True)
