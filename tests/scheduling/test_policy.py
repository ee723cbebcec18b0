"""Who gets what, what is hedged, and what is given up: one decision after the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from camera_app.clock import NS_PER_S
from camera_app.scheduling.load import (
    CameraShare,
    Condition,
    Decision,
    DeviceKind,
    DeviceState,
    Ladder,
    Pressure,
    Reason,
    Request,
    ShedCause,
    Variant,
    Worth,
)
from camera_app.scheduling.policy import BACKLOG_AT_MOST_NS, Policy

MS = 1_000_000
START_NS = 100 * NS_PER_S
EVERYWHERE = frozenset(DeviceKind)
CPU_ONLY = frozenset({DeviceKind.CPU})
LADDERS = {
    "people": Ladder((Variant("people_large", EVERYWHERE), Variant("people_small", EVERYWHERE))),
    "faces": Ladder((Variant("faces", EVERYWHERE),)),
    "plates": Ladder((Variant("plates", CPU_ONLY),)),
}
STICK_MS, CPU_MS = 7, 40


class Bench:
    """A policy with a stick and a CPU, and what has been asked and given so far."""

    def __init__(self, shares: dict[str, CameraShare] | None = None, *, seats: int = 1) -> None:
        self.policy = Policy(LADDERS, shares or {})
        self.now_ns = START_NS
        self.waiting: list[Request] = []
        self.pressure = Pressure()
        self.states = {
            "stick": DeviceState("stick", DeviceKind.EDGETPU, Condition.HEALTHY, 2, 2),
            "cpu": DeviceState("cpu", DeviceKind.CPU, Condition.HEALTHY, seats, seats),
        }
        self._number = 0
        self._given: dict[str, list[int]] = {}  # by device, oldest first

    def learn(self) -> None:
        """Let both devices answer a few times, so that their service times are known."""
        for device, takes_ms in (("stick", STICK_MS), ("cpu", CPU_MS)):
            hidden = {name: state for name, state in self.states.items() if name != device}
            for name in hidden:
                self.set(name, condition=Condition.BROKEN)
            for _ in range(6):
                self.ask("teacher", age_ms=0)
                self.decide()
                self.after(takes_ms)
                self.finish(device)
            self.states |= hidden
        self.after(1000)

    def set(self, name: str, **changes: object) -> None:
        self.states[name] = replace(self.states[name], **changes)  # type: ignore[arg-type]

    def after(self, ms: float) -> None:
        self.now_ns += round(ms * MS)

    def ask(
        self,
        camera: str,
        *,
        model: str = "people",
        worth: Worth = Worth.MOTION,
        age_ms: float = 10,
        region: int = 0,
        within_ms: float = 1000,
        avoid: Sequence[str] = (),
    ) -> Request:
        captured_ns = self.now_ns - round(age_ms * MS)
        request = Request(
            number=self._number,
            camera=camera,
            region=region,
            model=model,
            worth=worth,
            captured_ns=captured_ns,
            deadline_ns=captured_ns + round(within_ms * MS),
            avoid=frozenset(avoid),
        )
        self._number += 1
        self.waiting.append(request)
        return request

    def decide(self) -> Decision:
        decision = self.policy.decide(
            self.now_ns, self.waiting, list(self.states.values()), self.pressure
        )
        gone = {one.request.number for one in (*decision.assignments, *decision.sheds)}
        self.waiting = [request for request in self.waiting if request.number not in gone]
        for assignment in decision.assignments:
            state = self.states[assignment.device]
            self.set(state.name, free_places=state.free_places - 1)
            self._given.setdefault(state.name, []).append(assignment.request.number)
        return decision

    def finish(self, device: str) -> bool:
        """Let a device answer the oldest that it has."""
        number = self._given[device].pop(0)
        state = self.states[device]
        self.set(device, free_places=state.free_places + 1)
        return self.policy.finished(self.now_ns, device, state.kind, number)

    def fail(self, device: str) -> bool:
        """Let a device fail the oldest that it has."""
        number = self._given[device].pop(0)
        self.set(device, free_places=self.states[device].free_places + 1)
        return self.policy.failed(device, number)

    def occupy(self, device: str) -> None:
        """Leave a device no free place without the policy having had a hand in it."""
        self.set(device, free_places=0)


def given(decision: Decision) -> list[tuple[str, str]]:
    """Return cameras and devices, in the order of the assignments."""
    return [(one.request.camera, one.device) for one in decision.assignments]


def shed(decision: Decision) -> list[tuple[int, ShedCause]]:
    return [(one.request.number, one.cause) for one in decision.sheds]


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.learn()
    return bench


def test_the_quicker_device_takes_what_it_would_answer_sooner_even_behind_another(
    bench: Bench,
) -> None:
    bench.ask("a")
    bench.ask("b")
    assert given(bench.decide()) == [("a", "stick"), ("b", "stick")]


def test_the_slow_device_takes_what_would_wait_longer_for_the_quick_one(bench: Bench) -> None:
    """The stick has two; the sixth after these would be answered after 56 ms, by the CPU in 40."""
    for camera in "abcdefgh":
        bench.ask(camera)
    decision = bench.decide()
    assert given(decision)[:2] == [("a", "stick"), ("b", "stick")]
    (third,) = decision.assignments[2:]
    assert third.device == "cpu"
    ahead = "cdefgh".index(third.request.camera)
    assert (2 + ahead) * STICK_MS < CPU_MS <= (2 + ahead + 1) * STICK_MS


def test_the_slow_device_leaves_alone_what_the_quick_one_will_do_first(bench: Bench) -> None:
    for camera in "abcd":
        bench.ask(camera)
    assert given(bench.decide()) == [("a", "stick"), ("b", "stick")]
    assert [request.camera for request in bench.waiting] == ["c", "d"]


def test_a_pack_without_an_edge_tpu_file_runs_on_the_cpu(bench: Bench) -> None:
    bench.ask("a", model="plates")
    (assignment,) = bench.decide().assignments
    assert (assignment.device, assignment.pack) == ("cpu", "plates")


def test_what_a_device_has_failed_goes_to_another(bench: Bench) -> None:
    bench.ask("a", avoid=["stick"])
    assert given(bench.decide()) == [("a", "cpu")]


def test_within_a_frame_what_is_worth_most_goes_first(bench: Bench) -> None:
    bench.occupy("cpu")
    bench.set("stick", free_places=1)
    bench.ask("a", worth=Worth.STANDING, region=0)
    bench.ask("a", worth=Worth.RULE, region=1)
    bench.ask("a", worth=Worth.TRACK, region=2)
    (assignment,) = bench.decide().assignments
    assert assignment.request.worth is Worth.RULE


def test_a_frame_that_was_begun_is_finished_before_another_camera_begins(bench: Bench) -> None:
    """Else all frames would be half done, and all answers as late as the last."""
    bench.occupy("cpu")
    bench.set("stick", free_places=1)
    for camera in "ab":
        for region in range(2):
            bench.ask(camera, region=region)
    turns = []
    for _ in range(4):
        turns += given(bench.decide())
        bench.after(STICK_MS)
        bench.finish("stick")
    assert [camera for camera, _ in turns] == ["a", "a", "b", "b"]


def serve(bench: Bench, cameras: Sequence[str], rounds: int) -> dict[str, int]:
    """Let every camera ask whenever nothing of it waits, on one place; count who is served."""
    bench.occupy("cpu")
    bench.set("stick", free_places=1)
    served = dict.fromkeys(cameras, 0)
    for _ in range(rounds):
        for camera in cameras:
            if camera not in {request.camera for request in bench.waiting}:
                bench.ask(camera, age_ms=0)
        for camera, _ in given(bench.decide()):
            served[camera] += 1
        bench.after(STICK_MS)
        bench.finish("stick")
    return served


def test_equal_cameras_share_equally(bench: Bench) -> None:
    served = serve(bench, "abcd", 200)
    assert set(served.values()) <= {49, 50, 51}


def test_a_heavier_camera_gets_its_multiple() -> None:
    """Weights 3, 1, 1 of 200 answers; what is promised besides is one of 143 a second each."""
    bench = Bench({"a": CameraShare(weight=3.0)})
    bench.learn()
    served = serve(bench, "abc", 200)
    assert served["a"] == pytest.approx(120, abs=4)
    assert served["b"] == pytest.approx(40, abs=3)


def test_a_camera_that_rested_has_saved_nothing_up(bench: Bench) -> None:
    serve(bench, "ab", 100)
    served = serve(bench, "abc", 90)
    assert served["c"] == pytest.approx(30, abs=2)


def test_a_camera_whose_promised_rate_is_due_goes_before_all_others() -> None:
    """Alone among ten, it would wait for 70 ms; promised 50 frames a second, it does not."""
    bench = Bench({"front": CameraShare(min_fps=50.0)})
    bench.learn()
    others = [f"other{number}" for number in range(10)]
    served = serve(bench, [*others, "front"], 286)  # two seconds
    assert 97 <= served["front"] <= 115  # and a little by its fair share
    assert min(served[name] for name in others) >= 15


def test_a_frame_is_given_up_for_a_newer_one_of_its_camera(bench: Bench) -> None:
    bench.occupy("cpu")
    bench.occupy("stick")
    old = bench.ask("a", age_ms=200)
    bench.ask("a", age_ms=0)
    bench.ask("b", age_ms=300)
    assert shed(bench.decide()) == [(old.number, ShedCause.REPLACED)]


def test_a_frame_of_which_something_was_begun_is_not_replaced(bench: Bench) -> None:
    bench.occupy("cpu")
    bench.set("stick", free_places=1)
    bench.ask("a", age_ms=200, region=0)
    bench.ask("a", age_ms=200, region=1)
    bench.decide()
    bench.ask("a", age_ms=0)
    assert shed(bench.decide()) == []


def test_what_is_too_late_is_given_up_when_its_deadline_passes(bench: Bench) -> None:
    bench.occupy("cpu")
    bench.occupy("stick")
    request = bench.ask("a", age_ms=10, within_ms=500)
    decision = bench.decide()
    assert shed(decision) == []
    assert decision.wake_ns == request.deadline_ns
    bench.now_ns = request.deadline_ns
    assert shed(bench.decide()) == [(request.number, ShedCause.LATE)]


def test_what_no_device_is_left_for_is_given_up_at_once(bench: Bench) -> None:
    request = bench.ask("a", avoid=["stick", "cpu"])
    assert shed(bench.decide()) == [(request.number, ShedCause.NO_DEVICE)]


def test_a_region_is_answered_by_all_its_models_or_by_none(bench: Bench) -> None:
    bench.set("cpu", condition=Condition.BROKEN)
    people = bench.ask("a", model="people", age_ms=5)
    plates = bench.ask("a", model="plates", age_ms=5)
    decision = bench.decide()
    assert decision.assignments == ()
    assert sorted(shed(decision)) == [
        (people.number, ShedCause.NO_DEVICE),
        (plates.number, ShedCause.NO_DEVICE),
    ]


def crowd(bench: Bench, worth: Worth, count: int, first: int = 0) -> None:
    """Let that many cameras ask that had a frame just now, so that nothing is promised them."""
    for number in range(first, first + count):
        bench.ask(f"crowd{number}", worth=worth, age_ms=0)


def fed(bench: Bench, cameras: int) -> None:
    """Serve every camera of the crowd once."""
    crowd(bench, Worth.MOTION, cameras)
    while bench.waiting:
        bench.decide()
        bench.after(STICK_MS)
        bench.finish("stick")
    while bench.states["stick"].free_places < 2:
        bench.after(STICK_MS)
        bench.finish("stick")


def test_under_overload_what_is_worth_least_goes_first() -> None:
    bench = Bench()
    bench.learn()
    bench.set("cpu", condition=Condition.BROKEN)
    fed(bench, 50)
    crowd(bench, Worth.RULE, 20)
    crowd(bench, Worth.STANDING, 10, first=20)
    crowd(bench, Worth.TRACK, 20, first=30)
    decision = bench.decide()
    worths = [one.request.worth for one in decision.sheds]
    assert {one.cause for one in decision.sheds} == {ShedCause.OVERLOAD}
    assert worths.count(Worth.STANDING) >= 9  # one may have been begun
    assert Worth.RULE not in worths
    assert len(bench.waiting) * STICK_MS * MS <= BACKLOG_AT_MOST_NS * 1.02


def test_a_promised_frame_keeps_its_best_region_under_any_overload() -> None:
    bench = Bench()
    bench.learn()
    bench.set("cpu", condition=Condition.BROKEN)
    bench.occupy("stick")
    bench.set("stick", free_places=1)
    for number in range(60):
        for region, worth in enumerate((Worth.STANDING, Worth.TRACK, Worth.MOTION)):
            bench.ask(f"new{number}", worth=worth, region=region)
    bench.decide()
    left = [request for request in bench.waiting if request.worth is Worth.TRACK]
    assert len(left) == 59  # the sixtieth is on the stick
    assert len(bench.waiting) == 59


def test_a_stick_keeps_to_the_weights_that_it_holds_for_a_while(bench: Bench) -> None:
    """Two models alternate in the order of turns; they must not on the stick."""
    bench.occupy("cpu")
    serve(bench, [f"c{number}" for number in range(16)], 16)  # nothing is promised them now
    bench.set("stick", free_places=1)
    for number in range(16):
        bench.ask(f"c{number}", model="people" if number % 2 else "faces", age_ms=0)
    packs = []
    while bench.waiting:
        packs += [one.pack for one in bench.decide().assignments]
        bench.after(STICK_MS)
        bench.finish("stick")
    switches = sum(one != other for one, other in pairwise(packs))
    assert switches <= 2
    assert {"people_large", "faces"} == set(packs)


def test_what_a_stick_is_late_with_is_given_to_another_device_as_well(bench: Bench) -> None:
    bench.ask("a")
    decision = bench.decide()
    assert decision.wake_ns is not None
    late_ms = (decision.wake_ns - bench.now_ns) / MS
    assert STICK_MS < late_ms < 250
    bench.now_ns = decision.wake_ns
    decision = bench.decide()
    assert [(one.device, one.is_hedge) for one in decision.assignments] == [("cpu", True)]
    assert decision.overdue == ("stick",)
    assert bench.decide().overdue == ()  # told once


def test_the_first_answer_counts_and_the_second_does_not(bench: Bench) -> None:
    bench.ask("a")
    bench.now_ns = bench.decide().wake_ns or 0
    bench.decide()
    bench.after(CPU_MS)
    assert bench.finish("cpu") is True
    assert bench.finish("stick") is False


def test_a_late_stick_is_given_nothing_until_it_answers(bench: Bench) -> None:
    bench.ask("a")
    bench.now_ns = bench.decide().wake_ns or 0
    bench.decide()
    bench.ask("b")
    assert given(bench.decide()) == []  # the CPU's only seat has the hedge
    bench.finish("stick")
    assert given(bench.decide()) == [("b", "stick")]


def test_everything_behind_a_late_answer_is_hedged_with_it() -> None:
    bench = Bench(seats=2)
    bench.learn()
    bench.ask("a")
    bench.ask("b")
    decision = bench.decide()
    assert given(decision) == [("a", "stick"), ("b", "stick")]
    bench.now_ns = decision.wake_ns or 0
    assert given(bench.decide()) == [("a", "cpu"), ("b", "cpu")]


def test_a_hedge_waits_for_a_free_seat_and_goes_before_what_is_new(bench: Bench) -> None:
    bench.ask("x", model="plates")
    bench.decide()  # the CPU is busy with what only it can do
    bench.ask("a")
    bench.now_ns = bench.decide().wake_ns or 0
    bench.ask("b")
    assert given(bench.decide()) == []
    bench.finish("cpu")
    assert given(bench.decide()) == [("a", "cpu")]


def test_a_request_whose_device_fails_is_to_be_asked_again_unless_another_has_it(
    bench: Bench,
) -> None:
    bench.ask("a")
    bench.decide()
    assert bench.fail("stick") is True
    bench.ask("b")
    bench.now_ns = bench.decide().wake_ns or 0
    bench.decide()
    assert bench.fail("stick") is False  # the CPU has it


def test_a_hedge_that_fails_alone_is_asked_again_only_without_an_answer(bench: Bench) -> None:
    bench.ask("a")
    bench.now_ns = bench.decide().wake_ns or 0
    bench.decide()
    assert bench.finish("stick") is True
    assert bench.fail("cpu") is False


def test_an_answer_nobody_waits_for_is_refused(bench: Bench) -> None:
    with pytest.raises(KeyError):
        bench.policy.finished(bench.now_ns, "stick", DeviceKind.EDGETPU, 4711)


def test_a_stick_on_probation_gets_one_at_a_time_and_another_answers_too() -> None:
    bench = Bench(seats=2)
    bench.learn()
    bench.set("stick", condition=Condition.PROBATION)
    bench.ask("a")
    bench.ask("b")
    decision = bench.decide()
    assert [(one.request.camera, one.device, one.is_hedge) for one in decision.assignments] == [
        ("a", "stick", False),
        ("a", "cpu", True),
    ]
    assert [request.camera for request in bench.waiting] == ["b"]


def test_a_broken_stick_gets_nothing_and_its_loss_is_told(bench: Bench) -> None:
    bench.set("stick", condition=Condition.BROKEN)
    bench.ask("a")
    decision = bench.decide()
    assert given(decision) == [("a", "cpu")]
    assert decision.reasons == (Reason.STICK_LOST,)


def test_a_stick_slower_than_the_cpu_is_tried_now_and_then_and_used_when_it_recovers() -> None:
    bench = Bench()
    bench.learn()
    bench.set("cpu", condition=Condition.BROKEN)
    for _ in range(3):  # it takes ten times as long: two such answers are a step
        bench.ask("a")
        bench.decide()
        bench.after(10 * STICK_MS)
        bench.finish("stick")
    bench.set("cpu", condition=Condition.HEALTHY)
    bench.ask("a")
    assert given(bench.decide()) == [("a", "cpu")]
    bench.after(CPU_MS)
    bench.finish("cpu")

    tries = []
    for _ in range(150):  # six seconds; the stick is quick again
        bench.ask("a", age_ms=0)
        decision = bench.decide()
        tries += [one for one in decision.assignments if one.device == "stick"]
        for device, takes_ms in (("stick", STICK_MS), ("cpu", CPU_MS - STICK_MS)):
            bench.after(takes_ms)
            while bench._given.get(device):
                bench.finish(device)
    assert len(tries) > 50


def test_a_limit_leaves_time_for_what_is_ahead_and_for_the_first_weights(bench: Bench) -> None:
    bench.ask("a")
    bench.ask("b")
    first, second = bench.decide().assignments
    assert 500 * MS <= first.limit_ns < second.limit_ns < 600 * MS
    fresh = Bench()
    fresh.set("cpu", condition=Condition.BROKEN)
    fresh.ask("a")
    assert fresh.decide().assignments[0].limit_ns == 2000 * MS


def test_heat_takes_seats_from_the_cpu_and_goes_down_a_rung() -> None:
    bench = Bench(seats=4)
    bench.learn()
    bench.set("stick", condition=Condition.BROKEN)
    bench.pressure = Pressure(temperature_c=81.0)
    bench.decide()
    bench.after(200)
    for camera in "abcd":
        bench.ask(camera)
    decision = bench.decide()
    assert [one.pack for one in decision.assignments] == ["people_small"] * 2
    assert decision.rung == 1
    assert Reason.HEAT in decision.reasons


def test_seats_are_left_to_others_who_use_the_processor() -> None:
    bench = Bench(seats=4)
    bench.learn()
    bench.set("stick", condition=Condition.BROKEN)
    bench.pressure = Pressure(cpu_busy_share=0.5)
    for camera in "abcd":
        bench.ask(camera)
    assert len(bench.decide().assignments) == 2


def test_nothing_waits_and_nothing_happens(bench: Bench) -> None:
    assert bench.decide() == Decision()


def test_after_an_answer_one_more_look_brings_rest() -> None:
    bench = Bench()
    bench.set("stick", condition=Condition.BROKEN)
    bench.ask("a")
    assert not bench.decide().is_at_rest
    bench.after(CPU_MS)
    bench.finish("cpu")
    bench.after(1000)
    assert bench.decide().is_at_rest


def test_a_stick_that_owes_an_answer_leaves_no_rest(bench: Bench) -> None:
    bench.ask("a")
    bench.decide()
    bench.after(1000)
    assert not bench.decide().is_at_rest


def test_heat_leaves_no_rest_until_it_is_over(bench: Bench) -> None:
    bench.pressure = Pressure(temperature_c=81.0)
    assert not bench.decide().is_at_rest
    bench.pressure = Pressure(temperature_c=60.0)
    found = []
    for _ in range(30):
        bench.after(1000)
        found.append((decision := bench.decide()).is_at_rest)
        assert decision.is_at_rest == (decision.rung == 0)
    assert found[-1]


def test_a_rung_that_was_not_looked_at_just_now_leaves_no_rest(bench: Bench) -> None:
    assert bench.decide().is_at_rest
    bench.after(1)
    assert not bench.decide().is_at_rest
