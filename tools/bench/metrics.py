"""What metrics cost: `python -m tools.bench.metrics`.

Values are counted whether anybody reads them or not, so that cost is there with metrics on and off;
the page is made only when it is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from camera_app.capture import SourceStats
from camera_app.clock import SystemClock
from camera_app.health import CameraFigures, DeviceFigures, readiness_of
from camera_app.health.metrics import Scrape, metrics_page
from camera_app.health.metrics.process import our_processes
from camera_app.pipeline import CameraStats, Step
from camera_app.pipeline.times import Stopwatch
from camera_app.scheduling import Condition, DeviceKind, DeviceStats, ExecutorStats
from camera_app.scheduling.look_times import LookTimes
from camera_app.store import StoreStats
from camera_app.values import FrameCounts

ROUNDS = 20_000
PAGES = 50
CAMERAS = 4
REPEATS = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing takes, in microseconds of processor time; the best of several tries."""

    what: str
    us: float


def best_us(work: Callable[[], object], rounds: int) -> float:
    """Return the processor time of one call, in the quickest of several tries."""
    return min(_once_us(work, rounds) for _ in range(REPEATS))


def _once_us(work: Callable[[], object], rounds: int) -> float:
    began_ns = time.thread_time_ns()
    for _ in range(rounds):
        work()
    return (time.thread_time_ns() - began_ns) / rounds / 1e3


def costs() -> list[Cost]:
    """Measure all."""
    clock, watch, look = SystemClock(), Stopwatch(), LookTimes()

    def frame() -> None:
        now_ns = clock.monotonic_ns()
        watch.begin(now_ns - 3_000_000, now_ns)
        for step in (Step.GATE, Step.LOOK, Step.TRACK):
            watch.end(step, clock.monotonic_ns())
        watch.conclude(clock.monotonic_ns())

    def region() -> None:
        look.observe(0, 300_000, 7_000_000, 7_400_000)

    for _ in range(100):
        frame()
        region()
    figures = _figures(watch, look)
    scrape = Scrape(figures, readiness_of(figures, 0))
    return [
        Cost("a frame: five steps and its latency, with the clock", best_us(frame, ROUNDS)),
        Cost("a region: three steps of a device", best_us(region, ROUNDS)),
        Cost("what the kernel tells of a process", best_us(our_processes, PAGES)),
        Cost(f"the page, {CAMERAS} cameras", best_us(lambda: metrics_page(scrape), PAGES)),
    ]


def _figures(watch: Stopwatch, look: LookTimes) -> DeviceFigures:
    stats = CameraStats(FrameCounts(100, 100), 0, 10.0, 7.0, 9.0, 0, times=watch.times())
    device = DeviceStats("cpu", DeviceKind.CPU, Condition.HEALTHY, times=look.distributions())
    camera = CameraFigures(SourceStats(is_delivering=True), stats)
    return replace(
        DeviceFigures("", 0, {}, ExecutorStats(devices=(device,)), StoreStats(state="open"), None),
        cameras={f"camera{number}": camera for number in range(CAMERAS)},
    )


def main() -> None:
    """Measure and print."""
    for cost in costs():
        print(f"{cost.us:9.2f} us  {cost.what}")


if __name__ == "__main__":
    main()
