"""Runs networks on the CPU, one thread a seat, and answers demands in the order they came.

Each seat has an interpreter of its own for each model, with one thread inside: two interpreters are
faster than one with two threads. Nothing is decided here: replay asks the seats directly and waits,
live the executor does, who gives them no more than there are seats.
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


class CpuSeats:
    """The CPU as a device: some seats, each a thread with its own interpreters.

    Args:
        packs: The models that will be asked for, by name.
        seats: How many threads; 0 for one a core, at most four.
        load: Opens a model; called once a seat and model.
        stand_ins: Names of models that may never be asked for: a seat keeps none of them in memory
            before its first demand for it.
    """

    def __init__(
        self,
        packs: Mapping[str, ModelPack],
        seats: int = 0,
        load: Callable[[ModelPack], Network] = load_network,
        stand_ins: Collection[str] = (),
    ) -> None:
        self._packs = dict(packs)
        self._stand_ins = frozenset(stand_ins)
        self._load = load
        self.seats = seats or min(os.cpu_count() or 1, MOST_SEATS_BY_DEFAULT)
        self._changed = threading.Condition()  # guards every field below but _threads
        self._waiting: deque[tuple[Demand, Answer]] = deque()
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
        self._closed = False
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        cv2.setNumThreads(1)  # OpenCV's own threads would take the cores from the networks
        for name in self._stand_ins:
            self._load(self._packs[name])
        at_hand = [name for name in self._packs if name not in self._stand_ins]
        for seat in range(self.seats):
            networks = {name: self._load(self._packs[name]) for name in at_hand}
            name = f"camera-app-cpu-{seat}"
            given = (networks, ROSTER.enter(name))
            thread = threading.Thread(target=self._serve, args=given, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Cancel what waits, let what runs finish, end the threads."""
        with self._changed:
            self._closed = True
            waiting = list(self._waiting)
            self._waiting.clear()
            self._changed.notify_all()
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
        with self._changed:
            if self._closed:
                raise Closed
            self._waiting.append((demand, answer))
            self._changed.notify()
        return answer

    @property
    def stats(self) -> SeatStats:
        """What has been done so far."""
        with self._changed:
            return SeatStats(
                self._looks, self._failed, self._niced_cpu_ns, self._invoke_cpu_ns, self._look_ns
            )

    @property
    def times(self) -> Mapping[LookStep, Distribution]:
        """Where the time of the looks went."""
        with self._changed:
            return self._times.distributions()

    def _serve(self, networks: dict[str, Network], vital: Vital) -> None:
        # What brings a network its pictures and passes on its answers wants the processor for a
        # moment and often; it shall not wait for a network to end.
        is_niced = stand_back()
        while (job := self._next(vital)) is not None:
            vital.promise()  # a network that never comes back cannot be ended, only found out
            before_ns = time.thread_time_ns()
            self._answer(networks, *job)
            del job  # its picture is lent: a seat that waits must not keep it
            if is_niced:
                self._count_niced(time.thread_time_ns() - before_ns)
        ROSTER.leave(vital)

    def _answer(self, networks: dict[str, Network], demand: Demand, answer: Answer) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            detections, moments_ns = self._look(self._network(networks, demand.model), demand)
            answer.set_result(detections)
            if _log.isEnabledFor(logging.DEBUG):  # and not before: the camera waits
                _tell_moments(demand, moments_ns)
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
        with self._changed:
            self._looks += 1
            self._invoke_cpu_ns += invoke_cpu_ns
            self._look_ns += decoded_ns - began_ns
            self._times.observe(began_ns, prepared_ns, invoked_ns, decoded_ns)
        return detections, (began_ns, prepared_ns, invoked_ns, decoded_ns)

    def _count_niced(self, cpu_ns: int) -> None:
        with self._changed:
            self._niced_cpu_ns += cpu_ns

    def _count_failure(self) -> None:
        with self._changed:
            self._failed += 1

    def _next(self, vital: Vital) -> tuple[Demand, Answer] | None:
        with self._changed:
            vital.owe_nothing()
            self._changed.wait_for(lambda: bool(self._waiting) or self._closed)
            return self._waiting.popleft() if self._waiting else None


def _tell_moments(demand: Demand, moments_ns: _Moments) -> None:
    moments = ", ".join(map(str, moments_ns))
    text = "camera %s: frame of %d on the CPU; its steps began and ended at %s"
    _log.debug(text, demand.camera, demand.captured_ns, moments)
