"""The devices live: every demand has one answer, whatever sticks do, and what is wrong is told."""

from __future__ import annotations

import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.clock import SystemClock, nanoseconds
from camera_app.errors import DeviceLost, ModelOutputError
from camera_app.inference import Network, Outputs, Tensor, TensorSpec
from camera_app.inference.edgetpu import Finding, StickFailed, StickStats, findings
from camera_app.inference.runtime import Array
from camera_app.models import ModelPack, find_pack
from camera_app.models.pack import Weights
from camera_app.roster import ROSTER
from camera_app.scheduling import (
    Answer,
    CameraShare,
    Condition,
    CpuSeats,
    Demand,
    DemandShed,
    Executor,
    ExecutorStats,
    Pressure,
    Reason,
    ShedCause,
    StickPlan,
    executor,
)
from camera_app.scheduling.stick_device import OWNER_RETRY_S
from camera_app.threads import Closed
from camera_app.values import Box, Detection, Region, Yuv420

LIMIT_S = 10.0
PLACE = "usb:9-1"
LUMA = np.zeros((48, 64), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
REGION = Region(0, 0, 64, 48)
FOUND = Detection(Box(1, 1, 9, 9), "person", 0.9)
CLOCK = SystemClock()


class ScriptedNetwork:
    """What runs on the CPU; can be made to fail, and to wait."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.may_run = threading.Event()
        self.may_run.set()
        self.looks = 0

    def prepare(self, picture: object, region: object) -> object:
        return None

    def invoke(self, prepared: object) -> object:
        assert self.may_run.wait(LIMIT_S)
        self.looks += 1
        if self.failure is not None:
            raise self.failure
        return None

    def decode(self, outputs: object, prepared: object, *, min_score: float) -> list[Detection]:
        return [FOUND]


class ScriptedStick:
    """A stick that does as it is told; its answers find nothing."""

    def __init__(self, packs: Sequence[ModelPack], inputs: Sequence[TensorSpec]) -> None:
        self.place = PLACE
        self.is_open = False
        self.refused: dict[str, Finding] = {}
        self.opening: Finding | None = None
        self.failure: Finding | None = None
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.invokes = 0
        self.opened = 0
        self.checks = 0
        self._packs = packs
        self._inputs = tuple(inputs)

    @property
    def stats(self) -> StickStats:
        packs = tuple(pack.name for pack in self._packs if pack.name not in self.refused)
        return StickStats(is_open=self.is_open, packs=packs, refused=self.refused)

    def inputs(self, pack: str) -> tuple[TensorSpec, ...]:
        if pack in self.refused:
            raise StickFailed(self.refused[pack])
        return self._inputs

    def outputs(self, pack: str) -> tuple[TensorSpec, ...]:
        rows = TensorSpec("rows", (1, 1029, 4), "int8"), TensorSpec("s", (1, 1029, 2), "int8")
        return tuple(replace(row, scale=0.01) for row in rows)

    def open(self, limit_s: float = 1.0) -> None:
        self.opened += 1
        if self.opening is not None:
            raise StickFailed(self.opening)
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    def invoke(self, pack: str, inputs: Sequence[Array], limit_s: float) -> Outputs:
        self._fail_if_told()
        assert self.may_answer.wait(LIMIT_S)
        self.invokes += 1
        return tuple(
            Tensor(spec.name, np.full(spec.shape, -100, np.int8), spec.scale)
            for spec in self.outputs(pack)
        )

    def check_next_answer(self, limit_s: float) -> None:
        self.checks += 1
        self._fail_if_told()

    def _fail_if_told(self) -> None:
        if self.failure is not None:
            self.is_open = False
            raise StickFailed(self.failure)


class Rig:
    """An executor with one CPU seat and one stick, which nothing but this test can see."""

    def __init__(self, root: Path, *, places: tuple[str, ...] = ()) -> None:
        small = find_pack("person_small")
        weights = Weights(file="twin.tflite", sha256="0" * 64, size_bytes=1)
        self.pack = replace(small, name="m", edgetpu=weights)
        self.network = ScriptedNetwork()
        spec = TensorSpec("input", small.input.shape, "int8", 1.0, -128)
        self.stick = ScriptedStick([self.pack], [spec])
        self.root = root
        seats = CpuSeats({"m": self.pack}, 1, load=lambda _: cast(Network, self.network))
        plan = StickPlan(lambda _place, _packs: self.stick, places)
        self.executor = Executor({"m": (self.pack,)}, seats, {"c": CameraShare()}, CLOCK, plan)

    def plug(self) -> None:
        folder = self.root / "sys/bus/usb/devices/9-1"
        folder.mkdir(parents=True)
        files = {"idVendor": "18d1", "idProduct": "9302", "busnum": "9", "devnum": "2"}
        for name, text in {**files, "speed": "5000", "product": "x"}.items():
            (folder / name).write_text(text)

    def ask(
        self, count: int = 1, *, within_s: float = 30.0, picture: Yuv420 = PICTURE
    ) -> list[Answer]:
        now_ns = CLOCK.monotonic_ns()
        deadline_ns = now_ns + round(within_s * 1e9)
        return self.executor.ask(
            [
                Demand(
                    "m", picture, REGION, 0.1, "c", 0, captured_ns=now_ns, deadline_ns=deadline_ns
                )
                for _ in range(count)
            ]
        )

    def stats_when(self, holds: Callable[[ExecutorStats], bool]) -> ExecutorStats:
        turn = threading.Event()
        for _ in range(400):
            stats = self.executor.stats
            if holds(stats):
                return stats
            turn.wait(LIMIT_S / 400)
        raise AssertionError(f"never came: {stats}")

    def use_stick(self) -> None:
        self.plug()
        self.stats_when(lambda stats: stats.in_use == PLACE)

    def trust_stick(self) -> None:
        """Have it answer until its answers are no longer asked of the CPU as well."""
        self.use_stick()
        while self.executor.stats.devices[1].condition is Condition.PROBATION:
            self.ask()[0].result(LIMIT_S)


@pytest.fixture
def nobody_comes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The executor decides when something happens, and at no other time."""
    monkeypatch.setattr(executor, "LONGEST_WAIT_NS", nanoseconds(3600.0))
    monkeypatch.setattr(executor, "RESTING_WAIT_NS", nanoseconds(3600.0))


@pytest.fixture
def nobody_wakes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once at rest, the executor sleeps until something happens."""
    monkeypatch.setattr(executor, "LONGEST_WAIT_NS", nanoseconds(0.2))
    monkeypatch.setattr(executor, "RESTING_WAIT_NS", nanoseconds(3600.0))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(tmp_path / "root"))
    rig = Rig(tmp_path / "root")
    rig.executor.start()
    yield rig
    rig.network.may_run.set()
    rig.stick.may_answer.set()
    rig.executor.stop()


def test_neither_seat_nor_stick_keeps_a_picture_that_was_looked_at(rig: Rig) -> None:
    rig.use_stick()  # on probation, so both look
    luma = np.zeros((48, 64), np.uint8)
    lent = weakref.ref(luma)
    picture = Yuv420(luma, LUMA[::2, ::2], LUMA[::2, ::2])
    rig.ask(picture=picture)[0].result(LIMIT_S)
    rig.stats_when(lambda _: rig.stick.invokes == 1 and rig.network.looks == 1)
    del luma, picture
    rig.stats_when(lambda _: lent() is None)


def test_without_a_stick_the_cpu_answers_and_nothing_is_amiss(rig: Rig) -> None:
    assert [answer.result(LIMIT_S) for answer in rig.ask(3)] == [[FOUND]] * 3
    stats = rig.executor.stats
    assert (stats.in_use, stats.reasons, stats.fallbacks) == ("cpu", (), 0)
    assert stats.devices[0].answers == 3


def test_a_stick_that_is_plugged_in_is_used_by_itself(rig: Rig) -> None:
    rig.use_stick()
    assert rig.ask()[0].result(LIMIT_S) is not None
    stats = rig.stats_when(lambda stats: stats.devices[1].answers > 0)
    assert stats.devices[1].name == PLACE
    assert rig.stick.invokes == 1


def test_what_a_stick_fails_the_cpu_answers_and_the_loss_is_told(rig: Rig) -> None:
    rig.trust_stick()
    rig.stick.failure = rig.stick.opening = findings.died(PLACE, "SIGABRT", "running")
    assert rig.ask()[0].result(LIMIT_S) == [FOUND]
    stats = rig.stats_when(lambda stats: stats.fallbacks == 1)
    assert (stats.in_use, stats.reasons) == ("cpu", (Reason.STICK_LOST,))
    assert stats.devices[1].finding is not None
    assert stats.devices[1].finding.kind == "died"
    rig.stick.failure = rig.stick.opening = None
    back = rig.stats_when(lambda stats: stats.in_use == PLACE)
    assert (back.reasons, back.devices[1].finding, back.fallbacks) == ((), None, 1)


@pytest.mark.usefixtures("nobody_comes_by")
def test_what_a_stick_is_late_with_goes_to_the_first_seat_that_is_free(rig: Rig) -> None:
    """Nothing else waits, and nobody comes by later to look."""
    rig.trust_stick()
    rig.stick.may_answer.clear()
    rig.network.may_run.clear()
    answers = rig.ask(2)  # one for the stick, one for the seat
    stick = rig.executor._sticks[
        PLACE
    ]  # that it is late shows nowhere else: it was in doubt before
    rig.stats_when(lambda _: stick.is_overdue)
    rig.network.may_run.set()
    assert [answer.result(LIMIT_S / 2) for answer in answers] == [[FOUND]] * 2
    assert rig.executor.stats.hedges >= 1


@pytest.mark.usefixtures("nobody_wakes_it")
def test_heat_is_told_though_nothing_was_asked_for_long(rig: Rig) -> None:
    rig.stats_when(lambda _: rig.executor._is_at_rest)
    rig.executor.note_pressure(Pressure(temperature_c=70.0))
    assert rig.executor._is_at_rest
    rig.executor.note_pressure(Pressure(temperature_c=81.0))
    rig.stats_when(lambda stats: stats.reasons == (Reason.HEAT,))


@pytest.mark.usefixtures("nobody_wakes_it")
def test_what_is_asked_after_a_rest_is_still_given_up_in_time(rig: Rig) -> None:
    rig.network.may_run.clear()
    rig.stats_when(lambda _: rig.executor._is_at_rest)
    _, late = rig.ask(2, within_s=0.05)  # the seat has the first
    with pytest.raises(DemandShed):
        late.result(LIMIT_S / 2)


@pytest.mark.usefixtures("nobody_wakes_it")
def test_the_timer_gives_signs_of_life_however_much_is_asked(rig: Rig) -> None:
    before = signs_of_timer()
    end_s = time.monotonic() + LIMIT_S
    while signs_of_timer() < before + 3:
        assert time.monotonic() < end_s
        rig.ask()[0].result(LIMIT_S)


def signs_of_timer() -> int:
    return next(s.count for s in reversed(ROSTER.signs()) if s.thread == "camera-app-scheduler")


def test_an_eased_supply_is_told_though_nothing_is_asked(rig: Rig) -> None:
    rig.executor.note_pressure(Pressure(under_voltage=True))
    rig.stats_when(lambda stats: stats.reasons == (Reason.UNDER_VOLTAGE,))
    rig.executor.note_pressure(Pressure())
    rig.stats_when(lambda stats: stats.reasons == ())


def test_a_stick_that_answers_nonsense_is_put_away_by_its_known_answers(rig: Rig) -> None:
    rig.use_stick()
    rig.ask()[0].result(LIMIT_S)
    rig.stick.failure = rig.stick.opening = findings.wrong_answers(PLACE, "5 steps off")
    stats = rig.stats_when(lambda stats: stats.fallbacks == 1)
    assert rig.stick.checks > 0
    assert stats.devices[1].finding is not None
    assert stats.devices[1].finding.kind == "wrong_answers"


def test_a_pack_that_a_stick_refuses_is_looked_at_by_the_cpu_and_told(rig: Rig) -> None:
    """Its Edge TPU file and its CPU file are of different networks, say."""
    rig.stick.refused = {"m": findings.twins_disagree(PLACE, "m", "3 outputs there, 2 here")}
    rig.use_stick()
    assert [answer.result(LIMIT_S) for answer in rig.ask(5)] == [[FOUND]] * 5
    stick = rig.executor.stats.devices[1]
    assert stick.failures == 0
    assert stick.finding is not None
    assert "3 outputs there, 2 here" in str(stick.finding)


def test_a_stick_that_another_program_has_is_told_with_who_and_the_cpu_looks(rig: Rig) -> None:
    rig.stick.opening = findings.busy(PLACE, 4711)
    rig.plug()
    stats = rig.stats_when(lambda stats: stats.reasons != ())
    assert "process 4711 has this stick" in str(stats.devices[1].finding)
    assert rig.ask()[0].result(LIMIT_S) == [FOUND]


def test_what_only_the_owner_can_mend_is_not_tried_again_and_again(rig: Rig) -> None:
    rig.stick.opening = findings.library_missing(PLACE, "cannot open shared object file")
    rig.plug()
    rig.stats_when(lambda stats: stats.reasons != ())
    keeper = rig.executor._sticks[PLACE].device._keeper
    long_ns = nanoseconds(OWNER_RETRY_S / 2)
    rig.stats_when(lambda _: keeper._not_before_ns - CLOCK.monotonic_ns() > long_ns)
    opened = rig.stick.opened
    rig.executor.wake_stick(PLACE)  # plugged in anew, or asked to: it may have been mended
    rig.stats_when(lambda _: rig.stick.opened > opened)


def test_a_named_place_without_a_stick_is_a_fault_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(tmp_path / "root"))
    rig = Rig(tmp_path / "root", places=(PLACE,))
    rig.executor.start()
    try:
        stats = rig.stats_when(lambda stats: stats.reasons == (Reason.STICK_LOST,))
        assert "no Edge TPU is in this place" in str(stats.devices[1].finding)
        assert rig.ask()[0].result(LIMIT_S) == [FOUND]
        assert rig.stick.opened == 0
        rig.use_stick()
    finally:
        rig.executor.stop()


def test_a_word_to_a_stick_that_is_gone_is_a_clear_error_and_the_camera_looks_on(rig: Rig) -> None:
    rig.use_stick()
    shutil.rmtree(rig.root / "sys/bus/usb/devices/9-1")
    rig.stick.failure = findings.died(PLACE, "SIGABRT", "running")
    rig.stats_when(lambda stats: stats.in_use == "cpu")
    for device in (PLACE, "usb:1-9"):
        rig.stats_when(lambda _, device=device: is_refused(rig, device))  # type: ignore[misc]
    assert rig.ask()[0].result(LIMIT_S) == [FOUND]


def is_refused(rig: Rig, device: str) -> bool:
    try:
        rig.executor.wake_stick(device)
    except DeviceLost as error:
        return f"{device}: no Edge TPU is in this place" in str(error) and PLACE in error.remedy
    return False


def test_a_model_that_fails_everywhere_says_why(rig: Rig) -> None:
    rig.network.failure = ModelOutputError("three tensors where four are expected")
    with pytest.raises(ModelOutputError, match="three tensors"):
        rig.ask()[0].result(LIMIT_S)
    rig.network.failure = None
    assert rig.ask()[0].result(LIMIT_S) == [FOUND]


def test_what_is_too_late_is_shed_and_counted(rig: Rig) -> None:
    rig.network.may_run.clear()
    first = rig.ask()[0]
    second = rig.ask(within_s=0.05)[0]
    with pytest.raises(DemandShed) as caught:
        second.result(LIMIT_S)
    assert caught.value.cause in (ShedCause.LATE, ShedCause.REPLACED)
    rig.network.may_run.set()
    assert first.result(LIMIT_S) == [FOUND]
    assert sum(rig.executor.stats.sheds.values()) == 1


def test_stopping_cancels_what_waits_and_refuses_what_comes(rig: Rig) -> None:
    rig.network.may_run.clear()
    waiting = rig.ask(3)[-1]
    stopper = threading.Thread(target=rig.executor.stop)
    stopper.start()
    with pytest.raises(CancelledError):
        waiting.result(LIMIT_S)
    rig.network.may_run.set()
    stopper.join(LIMIT_S)
    with pytest.raises(Closed):
        rig.ask()


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(st.sampled_from(["ask", "ask", "ask", "fail", "mend"]), max_size=25))
def test_every_demand_has_one_end_whatever_the_stick_does(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """On the real classes: asked = answered + shed, and nothing is kept of what is over."""
    root = tmp_path_factory.mktemp("machine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAMERA_APP_SYSTEM_ROOT", str(root))
        rig = Rig(root)
        rig.executor.start()
        try:
            rig.trust_stick()
            answers: list[Answer] = []
            for step in steps:
                if step == "ask":
                    answers += rig.ask(2)
                broken = findings.died(PLACE, "SIGABRT", "running") if step == "fail" else None
                if step in ("fail", "mend"):
                    rig.stick.failure = rig.stick.opening = broken
            outcomes = [answer.exception(LIMIT_S) for answer in answers]
            shed = [error for error in outcomes if isinstance(error, DemandShed)]
            assert all(error is None or isinstance(error, DemandShed) for error in outcomes)
            assert sum(rig.executor.stats.sheds.values()) == len(shed)
            rig.stats_when(lambda _: not rig.executor._jobs and not rig.executor._waiting)
        finally:
            rig.executor.stop()
