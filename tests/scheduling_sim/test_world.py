"""The simulator does what it says: devices take their time and fail, cameras ask in turn."""

from __future__ import annotations

from random import Random

import pytest

from camera_app.scheduling.load import Condition, DeviceKind, Ladder, Variant
from camera_app.scheduling.policy import Policy
from tools.scheduling_sim.cameras import CameraPlan
from tools.scheduling_sim.devices import DevicePlan, SimulatedDevice, cpu, stick
from tools.scheduling_sim.figures import most_an_hour
from tools.scheduling_sim.timeline import Timeline
from tools.scheduling_sim.world import Change, World

MS = 1_000_000
S = 1_000 * MS
STICK = "usb:0"
LADDER = Ladder((Variant("large", frozenset(DeviceKind)),))


def run_device(plan: DevicePlan, packs: str, **faults: object) -> list[tuple[int, int]]:
    """Give a device a request a letter at once; return (number, ms) of the answers."""
    timeline = Timeline()
    device = SimulatedDevice(plan, timeline, Random(1))
    for name, value in faults.items():
        setattr(device, name, value)
    answers: list[tuple[int, int]] = []
    for number, pack in enumerate(packs):
        device.give(
            number,
            pack,
            lambda number: answers.append((number, round(timeline.now_ns / MS))),
            lambda number: answers.append((number, -1)),
        )
    timeline.run_until(S)
    return answers


def test_a_stick_works_one_after_the_other_and_pays_for_other_weights() -> None:
    plan = stick(0, {"a": 10.0, "b": 10.0}, switch_ms=100.0)
    numbers, ms = zip(*run_device(plan, "aab"), strict=True)
    assert numbers == (0, 1, 2)
    assert ms == pytest.approx((110, 120, 230), abs=5)


def test_a_cpu_works_side_by_side() -> None:
    _, ms = zip(*run_device(cpu(2, {"a": 50.0}), "aa"), strict=True)
    assert ms == pytest.approx((50, 50), abs=6)


def test_a_hung_device_never_answers_and_a_refusing_one_fails() -> None:
    plan = stick(0, {"a": 10.0})
    assert run_device(plan, "aa", is_hung=True) == []
    assert run_device(plan, "a", is_refusing=True) == [(0, -1)]
    assert run_device(plan, "a", slowness=10.0)[0][1] == pytest.approx(300, abs=20)


def small_world(cameras: int = 2) -> World:
    plans = [CameraPlan(f"camera{number}") for number in range(cameras)]
    devices = [stick(0, {"large": 7.0}), cpu(2, {"large": 40.0})]
    return World(plans, devices, Policy({"large": LADDER}, {}))


def test_a_quiet_world_looks_at_every_frame_on_the_stick() -> None:
    world = small_world()
    world.run(30.0)
    for camera in world.cameras.values():
        assert camera.captured == pytest.approx(150, abs=3)
        assert camera.looked_at == camera.captured - camera.under_way
    assert world.condition(STICK) is Condition.HEALTHY
    assert world.answers["cpu"] < 0.05 * world.answers[STICK]


def test_the_same_seed_gives_the_same_run() -> None:
    one, other = small_world(4), small_world(4)
    one.run(10.0)
    other.run(10.0)
    assert [camera.latencies_ns for camera in one.cameras.values()] == [
        camera.latencies_ns for camera in other.cameras.values()
    ]


def test_a_hung_stick_is_killed_and_its_work_is_done_by_the_cpu() -> None:
    world = small_world()
    world.run(10.0)
    world.hang(STICK)
    world.run(14.0)
    assert world.condition(STICK) is Condition.BROKEN
    assert world.blindness.longest_ns < 0.5 * S
    assert all(not camera.shed for camera in world.cameras.values())
    world.release(STICK)
    world.run(20.0)
    assert world.condition(STICK) in (Condition.SUSPECT, Condition.HEALTHY)


def test_a_stick_that_was_slow_for_a_while_is_used_again_beside_an_equal_one() -> None:
    """One camera needs no second stick; a property found that the slow one was never tried."""
    world = World(
        [CameraPlan("camera")],
        [stick(0, {"large": 7.0}), stick(1, {"large": 7.0}), cpu(1, {"large": 200.0})],
        Policy({"large": LADDER}, {}),
    )
    world.slow_down(STICK, 10.0)
    world.run(5.0)
    world.slow_down(STICK, 1.0)
    before = world.answers[STICK]
    world.run(15.0)
    assert world.answers[STICK] > before


def test_an_unplugged_stick_is_opened_again_soon_after_it_is_plugged_in() -> None:
    world = small_world()
    world.run(5.0)
    world.unplug(STICK)
    world.run(30.0)
    assert world.condition(STICK) is Condition.BROKEN
    world.plug(STICK)
    world.run(31.0)
    assert world.condition(STICK) is not Condition.BROKEN


def test_blindness_is_seen_where_nothing_can_answer() -> None:
    """A world without a CPU: hung for 1.5 s, killed after 0.5, opened again when it is released."""
    plans = [CameraPlan("camera")]
    world = World(plans, [stick(0, {"large": 7.0})], Policy({"large": LADDER}, {}))
    world.run(5.0)
    world.hang(STICK)
    world.run(6.5)
    world.release(STICK)
    world.run(15.0)
    assert 1.4 * S < world.blindness.longest_ns < 4.0 * S
    assert world.cameras["camera"].shed["no_device"] > 3


def test_nobody_is_blind_while_nothing_moves() -> None:
    """The stick is away for ten minutes in which no frame comes."""
    world = World(
        [CameraPlan("camera", bursts_a_day=1e-6)],
        [stick(0, {"large": 7.0})],
        Policy({"large": LADDER}, {}),
    )
    world.run(1.0)
    world.cameras["camera"].stir(5.0)
    world.run(20.0)
    world.unplug(STICK)
    world.run(620.0)
    world.plug(STICK)
    world.run(630.0)
    world.cameras["camera"].stir(5.0)
    world.run(640.0)
    assert world.blindness.longest_ns < 0.1 * S


def test_the_worst_hour_is_found_wherever_it_begins() -> None:
    moments = [0, 1000, 4000, 4500, 5000, 9000]
    changes = [Change(second * S, "rung", "1") for second in moments]
    assert most_an_hour(changes, "rung") == 3  # 1000 to 4600
    assert most_an_hour(changes, "rung", "0") == 0
