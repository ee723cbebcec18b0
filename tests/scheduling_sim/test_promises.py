"""What the policy promises, under loads and faults that nobody chose by hand."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import CameraShare, Condition, DeviceKind, Ladder, Variant
from camera_app.scheduling.policy import Policy
from tools.scheduling_sim.cameras import CameraPlan
from tools.scheduling_sim.devices import cpu, stick
from tools.scheduling_sim.months import Fault, strike
from tools.scheduling_sim.world import World

STICK = "usb:0"
KINDS = ("hang", "unplug", "slow", "refuse", "flapping plug")
LADDER = Ladder((Variant("large", frozenset(DeviceKind)), Variant("small", frozenset(DeviceKind))))
FAULTS_OVER_S = 12.0
BACK_WITHIN_S = 5.0
ANSWER_WITHIN_S = 1.0
# A frame is begun before its deadline; then its stick may be late, and the CPU takes its time.
OLDEST_ANSWER_S = 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """A simulation to run.

    Attributes:
        cameras: Weights of cameras at 5 fps.
        is_open: Every frame asks, whatever is under way.
        sticks: How many.
        cpu_ms: What the CPU takes for the large pack, a quarter of it for the small one.
        seats: Of the CPU.
        faults: Of the first stick.
        seed: Of all chance.
    """

    cameras: tuple[float, ...]
    is_open: bool
    sticks: int
    cpu_ms: float
    seats: int
    faults: tuple[Fault, ...]
    seed: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    faults, at_s = [], 2.0
    for kind in draw(st.lists(st.sampled_from(KINDS), max_size=3)):
        at_s += draw(st.floats(0.0, 2.0))
        lasts_s = draw(st.floats(0.2, 3.0))
        if at_s + lasts_s < FAULTS_OVER_S:
            faults.append(Fault(kind, at_s, lasts_s))
        at_s += lasts_s
    return Case(
        cameras=tuple(draw(st.lists(st.sampled_from([1.0, 2.0, 4.0]), min_size=1, max_size=6))),
        is_open=draw(st.booleans()),
        sticks=draw(st.integers(1, 2)),
        cpu_ms=draw(st.floats(20.0, 120.0)),
        seats=draw(st.integers(1, 4)),
        faults=tuple(faults),
        seed=draw(st.integers(0, 1000)),
    )


def world_of(case: Case) -> World:
    plans = [
        CameraPlan(
            f"camera{number}",
            share=CameraShare(weight=weight),
            is_open=case.is_open,
            answer_within_s=ANSWER_WITHIN_S,
        )
        for number, weight in enumerate(case.cameras)
    ]
    stick_ms = {"large": 7.0, "small": 3.5}
    world = World(
        plans,
        [
            *(stick(number, stick_ms) for number in range(case.sticks)),
            cpu(case.seats, {"large": case.cpu_ms, "small": case.cpu_ms / 4}),
        ],
        Policy({"large": LADDER}, {plan.name: plan.share for plan in plans}),
        seed=case.seed,
    )
    for fault in case.faults:
        strike(world, fault)
    return world


@settings(max_examples=15, deadline=None)
@given(cases())
def test_every_frame_has_one_fate_at_every_moment(case: Case) -> None:
    world = world_of(case)
    for tenth in range(1, 150):
        world.run(tenth / 10)
        for camera in world.cameras.values():
            fates = camera.looked_at + sum(camera.shed.values()) + camera.under_way
            assert camera.captured == fates


@settings(max_examples=15, deadline=None)
@given(cases())
def test_no_camera_starves_and_no_answer_is_old_whatever_fails(case: Case) -> None:
    """Six cameras are promised a frame a second each; the slowest CPU here can answer 8 regions."""
    world = world_of(case)
    world.run(15.0)
    for camera in world.cameras.values():
        assert camera.longest_gap_ns < 2.5 * NS_PER_S
        assert max(camera.latencies_ns) < OLDEST_ANSWER_S * NS_PER_S
    assert world.blindness.longest_ns < 1.0 * NS_PER_S


@settings(max_examples=15, deadline=None)
@given(cases())
def test_the_stick_is_used_again_after_every_sequence_of_faults(case: Case) -> None:
    world = world_of(case)
    world.run(FAULTS_OVER_S)
    before = world.answers[STICK]
    world.run(FAULTS_OVER_S + BACK_WITHIN_S + 1.0)
    assert world.condition(STICK) is not Condition.BROKEN
    assert world.answers[STICK] > before


@settings(max_examples=6, deadline=None)
@given(st.sampled_from([1.0, 2.0, 3.0]), st.integers(0, 1000), st.booleans())
def test_shares_go_by_weight_under_overload(weight: float, seed: int, is_open: bool) -> None:
    """Twelve cameras at 10 fps want 264 answers a second of 143; one of them has more weight."""
    plans = [
        CameraPlan(
            f"camera{number}",
            fps=10.0,
            share=CameraShare(weight=weight if number == 0 else 1.0),
            is_open=is_open,
        )
        for number in range(12)
    ]
    only_large = Ladder((Variant("large", frozenset(DeviceKind)),))
    policy = Policy({"large": only_large}, {plan.name: plan.share for plan in plans})
    world = World(plans, [stick(0, {"large": 7.0})], policy, seed=seed)
    world.run(3.0)
    world.forget_figures()
    world.run(18.0)
    heavy, *others = [camera.looked_at for camera in world.cameras.values()]
    mean = sum(others) / len(others)
    assert max(others) < 1.2 * mean
    assert min(others) > 0.8 * mean
    assert heavy <= 1.2 * weight * mean
    if weight > 1.0:
        assert heavy > 1.25 * mean
