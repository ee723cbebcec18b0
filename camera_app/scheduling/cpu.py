"""Runs networks on the CPU, one thread a seat, and answers demands in the order they came.

Each seat has an interpreter of its own for each model, with one thread inside: two interpreters are
faster than one with two threads. Of those that are idle the one is called that was busy last: its
networks are still in the processor's cache, and a seat that is never needed need not load any.
Nothing is decided here: replay asks the seats directly and waits, live the executor does, who gives
them no more than there are seats.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import cv2

from camera_app.errors import CameraAppError, DeviceError
from camera_app.histogram import Distribution
from camera_app.inference import Network, load_network
from camera_app.models import ModelPack
from camera_app.roster import ROSTER, Vital
from camera_app.scheduling.demand import Answer, Demand
from camera_app.scheduling.look_times import LookStep, LookTimes
from camera_app.threads import Closed, see_out, stand_back
from camera_app.values import Detection

_log = logging.getLogger(__name__)

MOST_SEATS_BY_DEFAULT = 4

# A thread that comes back from a network waits for the interpreter lock; with Python's default of
# 5 ms that wait would be as long as the network itself whenever another thread is busy.
SWITCH_INTERVAL_S = 0.0005

# A seat whose networks could not be loaded when it was needed is tried again after that.
TRY_AGAIN_S = 60.0

_Moments = tuple[int, int, int, int]  # nanoseconds of the monotonic clock


@dataclass(frozen=True, slots=True)
class SeatStats:
    """What the seats have done so far.

    Attributes:
        looks: Regions that were looked at.
        failed: Regions that no answer could be given for.
        niced_cpu_ns: Processor time spent on looks at low priority.
        invoke_cpu_ns: Processor time spent inside networks.
        look_ns: Time from taking up a region to its detections, all regions together.
    """

    looks: int = 0
    failed: int = 0
    niced_cpu_ns: int = 0
    invoke_cpu_ns: int = 0
    look_ns: int = 0


class _Seat:
    """One thread's place. Its networks belong to that thread once it runs."""

    def __init__(self, name: str, guard: threading.Lock, networks: dict[str, Network]) -> None:
        self.name = name
        self.vital: Vital = ROSTER.enter(name)
        self.networks = networks
        self.is_called = threading.Condition(guard)  # there may be something to do for it
        self.is_wanted = False  # it is to load its networks; of the guard


class CpuSeats:
    """The CPU as a device: some seats, each a thread with its own interpreters.

    Args:
        packs: The models that will be asked for, by name.
        seats: How many threads; 0 for one a core, at most four.
        load: Opens a model; called once a seat and model.
        stand_ins: Names of models that may never be asked for: a seat keeps none of them in memory
            before its first demand for it.
        is_sparing: A seat beyond the first loads its networks when all others are busy, and until
            then it answers nothing; else all do so at the start.
    """

    def __init__(
        self,
        packs: Mapping[str, ModelPack],
        seats: int = 0,
        load: Callable[[ModelPack], Network] = load_network,
        stand_ins: Collection[str] = (),
        *,
        is_sparing: bool = False,
    ) -> None:
        self._packs = dict(packs)
        self._stand_ins = frozenset(stand_ins)
        self._load = load
        self.seats = seats or min(os.cpu_count() or 1, MOST_SEATS_BY_DEFAULT)
        self._is_sparing = is_sparing
        self._guard = threading.Lock()  # of every field below but _threads
        self._waiting: deque[tuple[Demand, Answer]] = deque()
        self._open_seats: list[_Seat] = []
        self._idle: list[_Seat] = []  # those that could begin at once, the last that did at the end
        self._cold: list[_Seat] = []  # those without networks
        self._warm = 0  # seats with networks, idle or busy
        self._busy = 0
        self._closed = False
        self._looks = 0
        self._failed = 0
        self._niced_cpu_ns = 0
        self._invoke_cpu_ns = 0
        self._look_ns = 0
        self._times = LookTimes()
        self._threads: list[threading.Thread] = []  # owned by the caller of start and stop

    def start(self) -> None:
        """Load every model, so that a wrong one is known at once; stand-ins are not kept.

        Raises:
            ModelError: A pack cannot be loaded.
        """
        self._closed, self._warm, self._busy = False, 0, 0
        for seats in (self._open_seats, self._idle, self._cold):
            seats.clear()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        cv2.setNumThreads(1)  # OpenCV's own threads would take the cores from the networks
        for name in self._stand_ins:
            self._load(self._packs[name])
        for seat in range(self.seats):
            is_cold = self._is_sparing and seat > 0
            name = f"camera-app-cpu-{seat}"
            self._open(_Seat(name, self._guard, {} if is_cold else self._loaded()), is_cold=is_cold)

    def _open(self, seat: _Seat, *, is_cold: bool) -> None:
        with self._guard:
            self._open_seats.append(seat)
            if is_cold:
                self._cold.insert(0, seat)
            else:
                self._warm += 1
        thread = threading.Thread(
            target=self._run, args=(seat, is_cold), name=seat.name, daemon=True
        )
        self._threads.append(thread)
        thread.start()

    def _loaded(self) -> dict[str, Network]:
        """Return the networks of one seat, but for stand-ins."""
        at_hand = [name for name in self._packs if name not in self._stand_ins]
        return {name: self._load(self._packs[name]) for name in at_hand}

    def stop(self) -> None:
        """Cancel what waits, let what runs finish, end the threads."""
        with self._guard:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            for seat in self._open_seats:
                seat.is_called.notify()
        for _, answer in waiting:
            answer.cancel()
        for thread in self._threads:
            see_out(thread)
        self._threads.clear()

    def submit(self, demand: Demand, answer: Answer | None = None) -> Answer:
        """Queue a demand.

        Args:
            demand: What is asked.
            answer: Where to put the answer; None: a new one. What is to be called when it is there
                is called on the seat's thread.

        Returns:
            A future: detections best first in pixels of the frame, or the error.

        Raises:
            Closed: The seats were stopped.
        """
        answer = Answer() if answer is None else answer
        with self._guard:
            if self._closed:
                raise Closed
            self._waiting.append((demand, answer))
            self._call_one()
        return answer

    def _call_one(self) -> None:
        """Wake a seat for what waits; the guard is held. One that is busy looks by itself."""
        if self._idle:
            self._idle.pop().is_called.notify()
        elif self._cold and len(self._waiting) + self._busy > self._warm:
            seat = self._cold.pop()
            seat.is_wanted = True
            seat.is_called.notify()

    @property
    def stats(self) -> SeatStats:
        """What has been done so far."""
        with self._guard:
            return SeatStats(
                self._looks, self._failed, self._niced_cpu_ns, self._invoke_cpu_ns, self._look_ns
            )

    @property
    def times(self) -> Mapping[LookStep, Distribution]:
        """Where the time of the looks went."""
        with self._guard:
            return self._times.distributions()

    def _run(self, seat: _Seat, is_cold: bool) -> None:
        # What brings a network its pictures and passes on its answers wants the processor for a
        # moment and often; it shall not wait for a network to end, or to be loaded.
        is_niced = stand_back()
        if not is_cold or self._has_warmed_up(seat):
            self._serve(seat, is_niced)
        ROSTER.leave(seat.vital)

    def _has_warmed_up(self, seat: _Seat) -> bool:
        """Wait until a seat is wanted, and load its networks; False: the seats were closed."""
        while self._is_wanted(seat):
            seat.vital.promise()
            is_warm = self._warm_up(seat)
            seat.vital.owe_nothing()
            if is_warm:
                return True
            self._rest(seat)
        return False

    def _is_wanted(self, seat: _Seat) -> bool:
        """Wait until a seat is wanted; False: the seats were closed."""
        with self._guard:
            seat.is_called.wait_for(lambda: seat.is_wanted or self._closed)
            seat.is_wanted = False
            return not self._closed

    def _warm_up(self, seat: _Seat) -> bool:
        """Load the networks of a seat while the others go on; say whether it has them."""
        try:
            seat.networks = self._loaded()
        except CameraAppError as error:  # they could be at the start: the pack has changed since
            _log.error("%s stays empty, the processor does less: %s", seat.name, error)
            return False
        except Exception:
            # The safety net of the seat, as for its demands.
            _log.exception("%s stays empty for a reason that nobody foresaw", seat.name)
            return False
        with self._guard:
            self._warm += 1
        return True

    def _rest(self, seat: _Seat) -> None:
        with self._guard:
            seat.is_called.wait_for(lambda: self._closed, TRY_AGAIN_S)
            self._cold.append(seat)

    def _serve(self, seat: _Seat, is_niced: bool) -> None:
        while (job := self._next(seat)) is not None:
            seat.vital.promise()  # a network that never comes back cannot be ended, only found out
            before_ns = time.thread_time_ns()
            self._answer(seat.networks, *job)
            del job  # its picture is lent: a seat that waits must not keep it
            if is_niced:
                self._count_niced(time.thread_time_ns() - before_ns)

    def _answer(self, networks: dict[str, Network], demand: Demand, answer: Answer) -> None:
        # The seat counts as free before the answer is there: what that calls forth it can do.
        if not answer.set_running_or_notify_cancel():
            with self._guard:
                self._busy -= 1
            return
        try:
            detections, moments_ns = self._look(self._network(networks, demand.model), demand)
        except CameraAppError as error:
            self._count_failure()
            answer.set_exception(error)
        except Exception as error:
            # The safety net of the seat: a bug met in one region must not take the seat away.
            _log.exception("a network failed in a way nobody foresaw")
            self._count_failure()
            failure = DeviceError(f"the network failed: {error}", where=demand.model)
            failure.__cause__ = error
            answer.set_exception(failure)
        else:
            answer.set_result(detections)
            if _log.isEnabledFor(logging.DEBUG):  # and not before: the camera waits
                _tell_moments(demand, moments_ns)

    def _network(self, networks: dict[str, Network], model: str) -> Network:
        """Return a model of this seat; a stand-in is loaded when it is first asked for."""
        if model not in networks:
            networks[model] = self._load(self._packs[model])
        return networks[model]

    def _look(self, network: Network, demand: Demand) -> tuple[list[Detection], _Moments]:
        """Return what is in a region, and when it was begun and each step of that ended."""
        began_ns = time.perf_counter_ns()
        prepared = network.prepare(demand.picture, demand.region)
        prepared_ns, before_ns = time.perf_counter_ns(), time.thread_time_ns()
        outputs = network.invoke(prepared)
        invoke_cpu_ns, invoked_ns = time.thread_time_ns() - before_ns, time.perf_counter_ns()
        detections = network.decode(outputs, prepared, min_score=demand.min_score)
        decoded_ns = time.perf_counter_ns()
        with self._guard:
            self._busy -= 1
            self._looks += 1
            self._invoke_cpu_ns += invoke_cpu_ns
            self._look_ns += decoded_ns - began_ns
            self._times.observe(began_ns, prepared_ns, invoked_ns, decoded_ns)
        return detections, (began_ns, prepared_ns, invoked_ns, decoded_ns)

    def _count_niced(self, cpu_ns: int) -> None:
        with self._guard:
            self._niced_cpu_ns += cpu_ns

    def _count_failure(self) -> None:
        with self._guard:
            self._busy -= 1
            self._failed += 1

    def _next(self, seat: _Seat) -> tuple[Demand, Answer] | None:
        with self._guard:
            seat.vital.owe_nothing()
            while not self._waiting and not self._closed:
                self._idle.append(seat)
                seat.is_called.wait()
            if not self._waiting:
                return None
            self._busy += 1
            return self._waiting.popleft()


def _tell_moments(demand: Demand, moments_ns: _Moments) -> None:
    moments = ", ".join(map(str, moments_ns))
    text = "camera %s: frame of %d on the CPU; its steps began and ended at %s"
    _log.debug(text, demand.camera, demand.captured_ns, moments)
