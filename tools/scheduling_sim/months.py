"""Months of ordinary load, with sticks that fail, hot afternoons and a weak supply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import pi, sin
from random import Random

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import CameraShare, Condition, Pressure
from camera_app.scheduling.policy import Policy
from tools.scheduling_sim.cameras import CameraPlan
from tools.scheduling_sim.devices import cpu, seconds_ns, stick
from tools.scheduling_sim.figures import CameraFigures, camera_figures, most_an_hour
from tools.scheduling_sim.frigate_load import CPU_MS, CPU_SEATS, LADDER, STICK_MS
from tools.scheduling_sim.table import markdown_table
from tools.scheduling_sim.world import World

STICK = "usb:0"
# Bandit's B311 below: chance plays the faults and the weather; no secret is made with it.
DAY_S = 86_400.0
CAMERAS = 2
BURSTS_A_DAY = 15.0  # of each camera
BURST_S = 8.0
FAULTS_A_DAY = 6.0
STIR_S = 12.0  # something moves about the beginning and the end of each fault: it must matter


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to the stick.

    Attributes:
        kind: What.
        at_s: When, seconds from the beginning.
        lasts_s: For how long.
    """

    kind: str
    at_s: float
    lasts_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the months brought.

    Attributes:
        days: How long they were.
        figures: Of all cameras; frames a second mean nothing here.
        captured: Frames that a look was wanted of.
        looked_at: Frames that were looked at.
        faults: How often each kind of fault happened.
        back_s: From the end of a fault to the stick's first use, seconds, in order of length.
        blind_s: Time in which frames came and nothing was looked at, in incidents of half a second
            and more.
        longest_blind_s: The longest of it.
        rung_changes_an_hour: In the worst hour.
        recoveries_an_hour: How often the stick was called healthy in the worst hour.
        answers: By device.
        hedges: Requests that were given to a second device.
        under_way: Frames without a fate at the end.
    """

    days: float
    figures: CameraFigures
    captured: int
    looked_at: int
    faults: Counter[str]
    back_s: tuple[float, ...]
    blind_s: float
    longest_blind_s: float
    rung_changes_an_hour: int
    recoveries_an_hour: int
    answers: dict[str, int]
    hedges: int
    under_way: int


def faults(days: float, random: Random) -> list[Fault]:
    """Return faults at chance moments, none beginning before the one before it is over."""
    kinds: dict[str, Callable[[], float]] = {
        "hang": lambda: random.uniform(1, 120),  # nosec B311
        "unplug": lambda: random.uniform(1, 3600),  # nosec B311
        "slow": lambda: random.uniform(10, 600),  # nosec B311
        "refuse": lambda: random.uniform(1, 120),  # nosec B311
        "flapping plug": lambda: random.uniform(10, 120),  # nosec B311
    }
    planned: list[Fault] = []
    at_s = 60.0
    while True:
        at_s += random.expovariate(FAULTS_A_DAY / DAY_S)  # nosec B311
        if at_s >= days * DAY_S:
            return planned
        kind = random.choice(sorted(kinds))  # nosec B311
        fault = Fault(kind, at_s, kinds[kind]())
        planned.append(fault)
        at_s += fault.lasts_s + 30.0


def strike(world: World, fault: Fault) -> None:
    """Plan a fault's beginning and end, with something to be seen at both."""
    begins_ns, ends_ns = seconds_ns(fault.at_s), seconds_ns(fault.at_s + fault.lasts_s)
    at = world.timeline.at
    for camera in world.cameras.values():
        for moment_ns in (begins_ns, ends_ns):
            at(moment_ns - seconds_ns(STIR_S / 2), partial(camera.stir, STIR_S))
    if fault.kind == "hang":
        at(begins_ns, partial(world.hang, STICK))
        at(ends_ns, partial(world.release, STICK))
    elif fault.kind == "unplug":
        at(begins_ns, partial(world.unplug, STICK))
        at(ends_ns, partial(world.plug, STICK))
    elif fault.kind == "slow":
        at(begins_ns, partial(world.slow_down, STICK, 10.0))
        at(ends_ns, partial(world.slow_down, STICK, 1.0))
    elif fault.kind == "refuse":
        at(begins_ns, partial(world.refuse, STICK, on=True))
        at(ends_ns, partial(world.refuse, STICK, on=False))
    else:
        for second in range(0, int(fault.lasts_s), 3):
            at(begins_ns + seconds_ns(second), partial(world.unplug, STICK))
            at(begins_ns + seconds_ns(second + 1.5), partial(world.plug, STICK))


def pressure_at(random: Random) -> Callable[[int], Pressure]:
    """Return heat that comes with the afternoon and trembles, and a supply that sags at times."""
    sags = sorted(random.uniform(0, DAY_S) for _ in range(10))  # nosec B311

    def pressure(now_ns: int) -> Pressure:
        day_s = now_ns / NS_PER_S % DAY_S
        celsius = 62 + 19 * max(0.0, sin((day_s / DAY_S - 0.25) * 2 * pi))
        celsius += 1.5 * sin(now_ns / NS_PER_S / 40)
        is_sagging = any(begin <= day_s < begin + 5 for begin in sags)
        return Pressure(temperature_c=celsius, under_voltage=is_sagging)

    return pressure


def run(days: float, seed: int = 0) -> Outcome:
    """Run so many days."""
    random = Random(seed)  # nosec B311
    plans = [
        CameraPlan(
            f"camera{number}",
            share=CameraShare(weight=1.0 + (number == 0)),
            bursts_a_day=BURSTS_A_DAY,
            burst_s=BURST_S,
        )
        for number in range(CAMERAS)
    ]
    world = World(
        plans,
        [stick(0, STICK_MS), cpu(CPU_SEATS, CPU_MS)],
        Policy({"large": LADDER}, {plan.name: plan.share for plan in plans}),
        seed=seed,
        pressure_at=pressure_at(random),
        tick_s=30.0,  # most of a day nothing happens at all
    )
    planned = faults(days, random)
    for fault in planned:
        strike(world, fault)
    world.run(days * DAY_S)
    return _outcome(world, planned, days)


def report(outcome: Outcome) -> str:
    """Return the figures as a table."""
    back = outcome.back_s
    shed = outcome.captured - outcome.looked_at - outcome.under_way
    happened = ", ".join(f"{kind} {count}" for kind, count in sorted(outcome.faults.items()))
    rows = [
        ("days", f"{outcome.days:g}"),
        ("frames that a look was wanted of", f"{outcome.captured:,}"),
        ("looked at", f"{outcome.looked_at:,} ({outcome.looked_at / outcome.captured:.2%})"),
        ("shed", f"{shed:,}: " + ", ".join(f"{c} {n}" for c, n in outcome.figures.shed.items())),
        ("answers", ", ".join(f"{name} {count:,}" for name, count in outcome.answers.items())),
        ("hedges", f"{outcome.hedges:,}"),
        ("latency p50, p99", f"{outcome.figures.p50_ms:.0f} ms, {outcome.figures.p99_ms:.0f} ms"),
        ("faults of the stick", happened),
        ("back on the stick: median, longest", f"{back[len(back) // 2]:.2f} s, {back[-1]:.2f} s"),
        ("blind: all, longest", f"{outcome.blind_s:.2f} s, {outcome.longest_blind_s:.2f} s"),
        ("rung changes in the worst hour", str(outcome.rung_changes_an_hour)),
        ("stick called healthy again in the worst hour", str(outcome.recoveries_an_hour)),
    ]
    return markdown_table(("what", "figure"), rows)


def _outcome(world: World, planned: list[Fault], days: float) -> Outcome:
    cameras = world.cameras.values()
    return Outcome(
        days=days,
        figures=camera_figures(cameras, days * DAY_S),
        captured=sum(camera.captured for camera in cameras),
        looked_at=sum(camera.looked_at for camera in cameras),
        faults=Counter(fault.kind for fault in planned),
        back_s=tuple(sorted(_times_to_return(world, planned))),
        blind_s=world.blindness.total_ns / NS_PER_S,
        longest_blind_s=world.blindness.longest_ns / NS_PER_S,
        rung_changes_an_hour=most_an_hour(world.changes, "rung"),
        recoveries_an_hour=most_an_hour(world.changes, STICK, Condition.HEALTHY),
        answers=world.answers,
        hedges=world.hedges,
        under_way=sum(camera.under_way for camera in cameras),
    )


def _times_to_return(world: World, planned: list[Fault]) -> list[float]:
    """Return how long the stick stayed broken after each fault that broke it was over."""
    breaks = [change for change in world.changes if change.what == STICK]
    times = []
    for fault in planned:
        over_ns = seconds_ns(fault.at_s + fault.lasts_s)
        before = [change for change in breaks if change.at_ns <= over_ns]
        if not before or before[-1].value != Condition.BROKEN:
            continue
        opened = (
            change.at_ns
            for change in breaks
            if change.at_ns > over_ns and change.value == Condition.PROBATION
        )
        times.append((next(opened, world.timeline.now_ns) - over_ns) / NS_PER_S)
    return times
