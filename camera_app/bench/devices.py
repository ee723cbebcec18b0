"""What the devices of this machine do alone, and what they do together, measured in one run.

Alone, a device is driven by hand, with as much under way as it has places. Together, they are
driven by the executor, as live: made cameras ask for the next region as soon as the last one is
answered. Each round measures all of it one after the other, so that a busy neighbour slows all of
it; the figures are medians over the rounds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from camera_app.clock import Clock, SystemClock, nanoseconds, seconds
from camera_app.errors import DeviceLost, DeviceTimeout
from camera_app.inference import load_network
from camera_app.inference.edgetpu import OPEN_LIMIT_S, PLACES, Finding, Stick, find_places
from camera_app.models import ModelPack
from camera_app.scheduling import (
    Answer,
    Condition,
    CpuSeats,
    Demand,
    DeviceKind,
    Executor,
    StickPlan,
)
from camera_app.scheduling.stick_device import StickDevice
from camera_app.values import Picture, Region, Size, Yuv420

SIZE = Size(640, 480)
WARM_UP_S = 1.0
SINGLE_LOOKS = 200  # one at a time, for the parent's cost
ANSWER_LIMIT_S = 10.0
MIN_SCORE = 0.5
MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class DeviceRound:
    """One round's figures.

    Attributes:
        alone_per_s: Answers a second of each device alone, by name.
        together_per_s: Answers a second of all devices together.
        share_by_device: What each gave of those, a second.
        parent_ms: Median time that one answer of a stick takes beyond the stick's own time and
            `prepare_ms`: policy, hand-over, decoding. None without a stick.
        prepare_ms: Median time from picture to tensor, which any device needs.
        parent_cpu_ms: Processor time of this process for one answer of a stick, on average.
    """

    alone_per_s: dict[str, float]
    together_per_s: float
    share_by_device: dict[str, float]
    parent_ms: float | None
    prepare_ms: float
    parent_cpu_ms: float | None

    @property
    def ratio(self) -> float:
        """What all together do, as a share of the sum of each alone."""
        return self.together_per_s / sum(self.alone_per_s.values())


@dataclass(frozen=True, slots=True)
class DeviceBench:
    """The figures of a bench run; medians over its rounds.

    Attributes:
        model: Name of the pack.
        seats: Networks side by side on the CPU.
        rounds: Every round.
    """

    model: str
    seats: int
    rounds: tuple[DeviceRound, ...]

    def record(self) -> dict[str, object]:
        """Return the figures as plain JSON values."""
        names = list(self.rounds[0].alone_per_s)
        alone = {
            name: round(median(one.alone_per_s[name] for one in self.rounds), 1) for name in names
        }
        return {
            "model": self.model,
            "seats": self.seats,
            "alone_per_s": alone,
            "together_per_s": round(median(one.together_per_s for one in self.rounds), 1),
            "ratio": round(median(one.ratio for one in self.rounds), 3),
            "parent_ms": _median_of([one.parent_ms for one in self.rounds]),
            "prepare_ms": _median_of([one.prepare_ms for one in self.rounds]),
            "parent_cpu_ms": _median_of([one.parent_cpu_ms for one in self.rounds]),
            "rounds": [asdict(one) for one in self.rounds],
        }


def bench_devices(
    pack: ModelPack, *, seats: int, rounds: int, round_s: float, progress: Callable[[str], None]
) -> DeviceBench:
    """Measure the CPU and every stick that is plugged in.

    Args:
        pack: What runs; it needs a file for the Edge TPU where there is a stick.
        seats: Networks side by side on the CPU; 0: as live.
        rounds: How many rounds.
        round_s: How long each measurement takes.
        progress: Is told what is being measured.

    Raises:
        ModelError: The pack cannot be used.
        DeviceError: A stick cannot.
    """
    places = [place.name for place in find_places()] if pack.edgetpu is not None else []
    bench = _Bench(pack, seats, places, round_s)
    measured = []
    for number in range(1, rounds + 1):
        progress(f"round {number} of {rounds}: {', '.join(['cpu', *places])}")
        measured.append(bench.measure())
    return DeviceBench(pack.name, bench.seats, tuple(measured))


class _Bench:
    """One set of devices."""

    def __init__(self, pack: ModelPack, seats: int, places: Sequence[str], round_s: float) -> None:
        self._pack = pack
        self._seat_count = seats
        self.seats = CpuSeats({pack.name: pack}, seats).seats
        self._places = places
        self._round_s = round_s
        self._picture = _noise()
        self._clock: Clock = SystemClock()

    def measure(self) -> DeviceRound:
        alone = {"cpu": self._cpu_alone()}
        for place in self._places:
            alone[place] = self._stick_alone(place)
        with self._executor() as executor:
            beyond_ms, cpu_ms = self._parent_cost(executor) if self._places else (None, None)
            prepare_ms = self._prepare_ms(_mean_stick_s(executor))
            together, shares = self._together(executor)
        parent_ms = None if beyond_ms is None else max(0.0, beyond_ms - prepare_ms)
        return DeviceRound(alone, together, shares, parent_ms, prepare_ms, cpu_ms)

    def _prepare_ms(self, pause_s: float) -> float:
        """Return how long it takes after a pause, as between two answers: a rested core is slow."""
        network = load_network(self._pack)
        times_ms = []
        for _ in range(SINGLE_LOOKS):
            time.sleep(pause_s)
            began_ns = time.perf_counter_ns()
            network.prepare(self._picture, Region.whole(SIZE))
            times_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
        return median(times_ms)

    def _cpu_alone(self) -> float:
        seats = CpuSeats({self._pack.name: self._pack}, self._seat_count)
        seats.start()
        try:
            return self._rate(self.seats, lambda _: seats.submit(self._demand("")))
        finally:
            seats.stop()

    def _stick_alone(self, place: str) -> float:
        watcher = _Waiting()
        stick = Stick(place, [self._pack])
        device = StickDevice(stick, [self._pack], PLACES, watcher, self._clock)
        device.start()
        try:
            watcher.wait_open()

            def ask(_: int) -> Answer:
                answer = Answer()
                device.submit(self._demand(""), ANSWER_LIMIT_S, answer)
                return answer

            return self._rate(PLACES, ask)
        finally:
            device.stop()

    @contextmanager
    def _executor(self) -> Iterator[Executor]:
        name = self._pack.name
        seats = CpuSeats({name: self._pack}, self._seat_count)
        plan = StickPlan(Stick, tuple(self._places)) if self._places else None
        executor = Executor({name: [self._pack]}, seats, {}, self._clock, plan)
        executor.start()
        with closing(_Stopping(executor)):
            _wait_in_use(executor, len(self._places))
            yield executor

    def _together(self, executor: Executor) -> tuple[float, dict[str, float]]:
        """Return answers a second, and what each device gave of them."""
        under_way = self.seats + PLACES * len(self._places)
        cameras = under_way + 2  # so that no device ever waits for a camera

        def ask(camera: int) -> Answer:
            return executor.ask([self._demand(f"made-{camera}")])[0]

        self._rate(cameras, ask, WARM_UP_S)
        before = {device.name: device.answers for device in executor.stats.devices}
        began_s = time.perf_counter()
        rate = self._rate(cameras, ask)
        took_s = time.perf_counter() - began_s
        return rate, {
            device.name: (device.answers - before[device.name]) / took_s
            for device in executor.stats.devices
        }

    def _parent_cost(self, executor: Executor) -> tuple[float, float]:
        """Return what an answer takes beyond the stick's time, half less, and processor time."""
        beyond_ms: list[float] = []
        cpu_ms: list[float] = []
        for _ in range(SINGLE_LOOKS):
            before, cpu_before_s = executor.stick_work(), time.process_time()
            began_ns = time.perf_counter_ns()
            executor.ask([self._demand("made")])[0].result(ANSWER_LIMIT_S)
            took_ns = time.perf_counter_ns() - began_ns
            cpu_s = time.process_time() - cpu_before_s
            after = executor.stick_work()
            # A known answer that fell in between, or a stand-in of the CPU's, is left out.
            if after[0] == before[0] + 1 and after[2] == before[2]:
                beyond_ms.append((took_ns - (after[1] - before[1])) / 1e6)
                cpu_ms.append(cpu_s * MS_PER_S)
        if not beyond_ms:
            raise DeviceLost("no stick has answered while one region was asked for at a time")
        return median(beyond_ms), sum(cpu_ms) / len(cpu_ms)

    def _demand(self, camera: str) -> Demand:
        now_ns = self._clock.monotonic_ns()
        return Demand(
            model=self._pack.name,
            picture=self._picture,
            region=Region.whole(SIZE),
            min_score=MIN_SCORE,
            camera=camera,
            captured_ns=now_ns,
            deadline_ns=now_ns + nanoseconds(ANSWER_LIMIT_S),
        )

    def _rate(
        self, askers: int, ask: Callable[[int], Answer], span_s: float | None = None
    ) -> float:
        """Return answers a second, with so many under way all the time."""
        meter = _Meter(askers, ask)
        return meter.run(self._round_s if span_s is None else span_s)


class _Meter:
    """Asks again whenever an answer has come, and counts for a while."""

    def __init__(self, askers: int, ask: Callable[[int], Answer]) -> None:
        self._askers = askers
        self._ask = ask
        self._done = threading.Condition()  # guards the fields below
        self._ready: list[tuple[int, Answer]] = []

    def run(self, span_s: float) -> float:
        for asker in range(self._askers):
            self._begin(asker)
        began_s = time.perf_counter()
        answered, under_way = 0, self._askers
        while under_way:
            for asker, answer in self._take():
                answer.result()  # raises what went wrong
                is_over = time.perf_counter() - began_s >= span_s
                if is_over:
                    under_way -= 1
                else:
                    answered += 1
                    self._begin(asker)
        return answered / span_s

    def _begin(self, asker: int) -> None:
        def note(answer: Answer) -> None:
            with self._done:
                self._ready.append((asker, answer))
                self._done.notify()

        self._ask(asker).add_done_callback(note)

    def _take(self) -> list[tuple[int, Answer]]:
        with self._done:
            if not self._done.wait_for(lambda: bool(self._ready), ANSWER_LIMIT_S):
                raise DeviceTimeout(f"no answer within {ANSWER_LIMIT_S:.0f} s")
            ready, self._ready = self._ready, []
            return ready


class _Waiting:
    """Has a stick opened at once, and waits for it."""

    def __init__(self) -> None:
        self._is_open = threading.Event()
        self._finding: Finding | None = None

    def next_try_ns(self, _device: str) -> int | None:
        return None if self._is_open.is_set() else 0

    def stick_opened(self, _device: str) -> None:
        self._is_open.set()

    def stick_failed(self, _device: str, finding: Finding, *, was_open: bool) -> None:
        self._finding = None if was_open else finding

    def wait_open(self) -> None:
        if not self._is_open.wait(OPEN_LIMIT_S):
            raise DeviceTimeout(f"a stick was not ready in time: {self._finding or 'no word'}")


class _Stopping:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def close(self) -> None:
        self._executor.stop()


def _mean_stick_s(executor: Executor) -> float:
    answers, spent_ns, _ = executor.stick_work()
    return seconds(spent_ns) / answers if answers else 0.0


def _wait_in_use(executor: Executor, count: int) -> None:
    pause = threading.Event()
    ends_s = time.monotonic() + OPEN_LIMIT_S
    while time.monotonic() < ends_s:
        usable = [
            device
            for device in executor.stats.devices
            if device.kind is DeviceKind.EDGETPU and device.condition is not Condition.BROKEN
        ]
        if len(usable) >= count:
            return
        pause.wait(0.05)
    findings = [str(device.finding) for device in executor.stats.devices if device.finding]
    raise DeviceTimeout(f"not every stick was ready in time: {'; '.join(findings) or 'no word'}")


def _noise() -> Picture:
    luma = np.random.default_rng(1).integers(0, 255, (SIZE.height, SIZE.width), np.uint8)
    return Yuv420(luma, luma[::2, ::2].copy(), luma[1::2, 1::2].copy())


def _median_of(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return round(median(known), 3) if known else None
