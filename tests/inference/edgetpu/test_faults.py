"""Whatever a stick does, whoever asks it hears of it in time, and it comes back."""

from __future__ import annotations

import _ctypes
import gc
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camera_app.inference import Interpreter, runtime_for
from camera_app.inference.edgetpu import FindingKind, Performance, Stick, StickFailed, life
from camera_app.inference.runtime import Array
from camera_app.models import ModelPack, find_pack, kind_of, locate_weights
from tests.inference.edgetpu.conftest import LIMIT_S, PLACE, MakeStick, MakeTwin
from tests.waiting import wait_until
from tools.edgetpu_sim.sticks import OnUnplug, PrepMode, SimulatedStick, SimulatedSticks

SHORT_S = 0.1


@pytest.fixture
def pack(make_twin: MakeTwin) -> ModelPack:
    return make_twin()


@pytest.fixture
def stick(simulated: SimulatedStick, make_stick: MakeStick, pack: ModelPack) -> Stick:
    return make_stick(pack)


@pytest.fixture
def cpu(pack: ModelPack) -> Interpreter:
    return runtime_for(kind_of(pack.weights.file)).load(locate_weights(pack))


def chance(stick: Stick, pack: ModelPack, seed: int = 1) -> list[Array]:
    random = np.random.default_rng(seed)
    return [random.integers(-100, 100, spec.shape, np.int8) for spec in stick.inputs(pack.name)]


def why_not_opened(stick: Stick, limit_s: float = LIMIT_S) -> FindingKind:
    with pytest.raises(StickFailed) as failure:
        stick.open(limit_s)
    assert not stick.is_open
    assert stick.stats.finding == failure.value.finding
    return failure.value.finding.kind


def why_not_answered(stick: Stick, pack: ModelPack, limit_s: float = LIMIT_S) -> FindingKind:
    inputs = chance(stick, pack)
    with pytest.raises(StickFailed) as failure:
        stick.invoke(pack.name, inputs, limit_s)
    return failure.value.finding.kind


def assert_works(stick: Stick, pack: ModelPack, cpu: Interpreter) -> None:
    inputs = chance(stick, pack, seed=99)
    answer, expected = stick.invoke(pack.name, inputs, LIMIT_S), cpu.invoke(inputs)
    assert (answer[0].values == expected[0].values).all()


def is_gone(pid: int | None) -> bool:
    return not Path(f"/proc/{pid}").exists()


# --- at work -------------------------------------------------------------------------------------


def test_a_stick_that_hangs_is_killed_and_opened_again(
    stick: Stick,
    simulated: SimulatedStick,
    pack: ModelPack,
    cpu: Interpreter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life, "DYING_GRACE_S", 2 * LIMIT_S)  # nothing but the kill ends it
    stick.open(LIMIT_S)
    pid = stick.pid
    simulated.hang()
    assert why_not_answered(stick, pack, SHORT_S) is FindingKind.HUNG
    assert not stick.is_open
    assert wait_until(lambda: is_gone(pid))
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)
    assert stick.stats.failed == {"hung": 1}


def test_all_who_wait_on_a_hung_stick_are_told(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack
) -> None:
    """One is in the network, one is on its way, one stands in line."""
    stick.open(LIMIT_S)
    inputs = chance(stick, pack)
    simulated.hang(times=-1)
    told: list[FindingKind] = []

    def ask(limit_s: float) -> None:
        try:
            stick.invoke(pack.name, inputs, limit_s)
        except StickFailed as failure:
            told.append(failure.finding.kind)

    threads = [threading.Thread(target=ask, args=(LIMIT_S,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert wait_until(lambda: simulated.hung >= 1)
    ask(SHORT_S)  # the fourth has the least patience
    for thread in threads:
        thread.join(LIMIT_S)
    assert told == [FindingKind.HUNG] * 4
    assert stick.stats.failed == {"hung": 1}


def test_an_answer_that_comes_too_late_reaches_nobody(
    stick: Stick,
    simulated: SimulatedStick,
    pack: ModelPack,
    cpu: Interpreter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(life.Life, "_send_kill", lambda _: None)  # it has time to say it yet
    stick.open(LIMIT_S)
    for _ in range(3):
        simulated.hang()
        assert why_not_answered(stick, pack, SHORT_S) is FindingKind.HUNG
        simulated.release()
        stick.open(LIMIT_S)
        assert_works(stick, pack, cpu)


def test_an_error_of_the_library_is_told_with_its_last_words(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    simulated.fail()
    with pytest.raises(StickFailed, match="failed to invoke") as failure:
        stick.invoke(pack.name, chance(stick, pack), LIMIT_S)
    assert failure.value.finding.kind is FindingKind.FAILED
    assert len(str(failure.value)) < 800
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


@pytest.mark.parametrize("how", [OnUnplug.ABORT, OnUnplug.FAIL, OnUnplug.HANG])
def test_a_pulled_plug_is_told_as_such_and_a_plugged_stick_is_used_again(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter, how: OnUnplug
) -> None:
    stick.open(LIMIT_S)
    simulated.on_unplug = how
    simulated.unplug()
    expected, limit_s = {
        OnUnplug.ABORT: (FindingKind.ABSENT, LIMIT_S),
        OnUnplug.FAIL: (FindingKind.FAILED, LIMIT_S),
        OnUnplug.HANG: (FindingKind.HUNG, SHORT_S),  # all others are told before the limit
    }[how]
    assert why_not_answered(stick, pack, limit_s) is expected
    assert why_not_opened(stick) is FindingKind.ABSENT
    simulated.plug()
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


def test_a_stick_that_dies_idle_is_noticed_without_asking_it(
    stick: Stick, simulated: SimulatedStick
) -> None:
    stick.open(LIMIT_S)
    simulated.on_unplug = OnUnplug.ABORT_AT_ONCE
    simulated.reset()
    assert wait_until(lambda: not stick.is_open)
    finding = stick.stats.finding
    assert finding is not None
    assert finding.kind is FindingKind.DIED
    assert "SIGABRT" in finding.what
    assert "idle" in finding.what


def test_a_stick_that_aborts_at_work_is_told_apart_from_an_idle_one(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack
) -> None:
    stick.open(LIMIT_S)
    simulated.reset()  # it is still there: a loose contact, or too little power
    with pytest.raises(StickFailed, match=r"ended \(SIGABRT\) while running a network"):
        stick.invoke(pack.name, chance(stick, pack), LIMIT_S)


def test_a_stick_that_another_program_takes_is_lost_and_comes_back(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    simulated.on_unplug = OnUnplug.ABORT_AT_ONCE
    with simulated.stolen(limit_s=LIMIT_S):
        assert wait_until(lambda: not stick.is_open)
        assert why_not_opened(stick) is FindingKind.REFUSED
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


def test_a_stick_that_computes_nonsense_is_found_out(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    simulated.garbage()
    with pytest.raises(StickFailed, match="known answers: person_small, input") as failure:
        stick.check_next_answer(LIMIT_S)
    assert failure.value.finding.kind is FindingKind.WRONG_ANSWERS
    assert not stick.is_open
    assert why_not_opened(stick) is FindingKind.WRONG_ANSWERS
    simulated.garbage(False)
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


def test_a_slow_stick_is_no_dead_one(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    simulated.slow(50)
    assert_works(stick, pack, cpu)
    assert stick.is_open


# --- at its start --------------------------------------------------------------------------------


def why_it_hung_at_load(stick: Stick, place: str) -> str:
    """Open it in vain with more and more time, until its process comes as far as to a place.

    How long that takes is this machine's.
    """
    limit_s = 2.0
    while True:
        assert why_not_opened(stick, limit_s) is FindingKind.HUNG_AT_LOAD
        told = str(stick.stats.finding)
        if place in told or limit_s > LIMIT_S:
            return told
        limit_s *= 2


def test_a_hang_at_load_ends_with_the_limit(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    simulated.create_us = -1
    place = "while opening the stick"
    assert place in why_it_hung_at_load(stick, place)
    simulated.release()
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


def test_a_hang_in_the_first_run_ends_with_the_limit_too(
    stick: Stick, simulated: SimulatedStick
) -> None:
    simulated.hang(times=-1)
    place = "while running person_small for the first time"
    assert place in why_it_hung_at_load(stick, place)


def test_a_limit_that_is_over_before_there_is_a_child_is_kept(stick: Stick) -> None:
    assert why_not_opened(stick, 0.0) is FindingKind.HUNG_AT_LOAD
    stick.open(LIMIT_S)


def test_close_ends_an_open_that_hangs(stick: Stick, simulated: SimulatedStick) -> None:
    simulated.create_us = -1
    told: list[FindingKind] = []
    opener = threading.Thread(target=lambda: told.append(why_not_opened_quietly(stick)))
    opener.start()
    assert wait_until(lambda: simulated.opens > 0 or simulated.hung > 0 or stick_child_runs())
    stick.close()
    opener.join(LIMIT_S)
    assert told == [FindingKind.CLOSED]
    assert stick.stats.failed == {}


def why_not_opened_quietly(stick: Stick) -> FindingKind:
    try:
        stick.open(LIMIT_S)
    except StickFailed as failure:
        return failure.finding.kind
    raise AssertionError("it opened")


def stick_child_runs() -> bool:
    return any(thread.name.startswith("camera-app-stick") for thread in threading.enumerate())


def test_a_place_with_nothing_in_it_is_absent(sticks: SimulatedSticks, pack: ModelPack) -> None:
    for place in ("usb:3-7", "pci:apex_5", "usb:nonsense", ""):
        stick = Stick(place, [pack])
        assert why_not_opened(stick) is FindingKind.ABSENT
        assert stick.pid is None
        assert stick.stats.failed == {"absent": 1}


def test_a_bad_cable_is_told_before_the_stick_is_touched(
    stick: Stick, simulated: SimulatedStick
) -> None:
    simulated.unplug()
    simulated.plug(speed_mbit=12)
    assert why_not_opened(stick) is FindingKind.WRONG_CABLE
    assert "12 Mbit/s" in str(stick.stats.finding)
    assert simulated.opens == 0


def test_a_stick_that_is_not_passed_into_the_container_is_told(
    stick: Stick, sticks: SimulatedSticks, simulated: SimulatedStick
) -> None:
    for file in (sticks.folder / "root/dev/bus/usb/009").iterdir():
        file.unlink()
    assert why_not_opened(stick) is FindingKind.NO_PERMISSION
    assert simulated.opens == 0


def test_a_missing_library_is_told(stick: Stick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    assert why_not_opened(stick) is FindingKind.LIBRARY_MISSING
    assert "libedgetpu.so.1" in str(stick.stats.finding)


def test_a_library_without_the_entry_points_is_told(
    stick: Stick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Any other library under that name will do; ctypes has one of its own.
    (tmp_path / "libedgetpu.so.1").symlink_to(_ctypes.__file__)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert why_not_opened(stick) is FindingKind.LIBRARY_MISMATCH


def test_a_library_that_crashes_with_this_runtime_does_not_match_it(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack, cpu: Interpreter
) -> None:
    simulated.prep_mode = PrepMode.CRASH
    assert why_not_opened(stick) is FindingKind.LIBRARY_MISMATCH
    assert "SIGSEGV" in str(stick.stats.finding)
    simulated.prep_mode = PrepMode.WORK
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)


def test_a_model_for_a_newer_runtime_is_told(stick: Stick, simulated: SimulatedStick) -> None:
    simulated.prep_mode = PrepMode.NEEDS_NEWER_RUNTIME
    assert why_not_opened(stick) is FindingKind.NEWER_RUNTIME_NEEDED
    assert "person_small" in str(stick.stats.finding)


def test_a_stick_that_the_library_refuses_is_told(stick: Stick, simulated: SimulatedStick) -> None:
    simulated.create_fail = 1
    assert why_not_opened(stick) is FindingKind.REFUSED


def test_a_stick_that_another_program_has_is_refused(
    stick: Stick, simulated: SimulatedStick
) -> None:
    with simulated.occupied():
        assert why_not_opened(stick) is FindingKind.REFUSED


@pytest.mark.parametrize("performance", list(Performance))
def test_every_performance_is_one_that_the_library_knows(
    simulated: SimulatedStick, performance: Performance
) -> None:
    stick = Stick(PLACE, [], performance)
    stick.open(LIMIT_S)
    stick.close()


def test_a_card_is_a_stick_too(
    sticks: SimulatedSticks, make_stick: MakeStick, pack: ModelPack, cpu: Interpreter
) -> None:
    sticks["pci0"].temperature_c = 51.5
    stick = make_stick(pack, place="pci:apex_0")
    stick.open(LIMIT_S)
    assert_works(stick, pack, cpu)
    assert stick.stats.temperature_c == 51.5


def test_each_of_two_sticks_runs_where_it_sits(
    sticks: SimulatedSticks, make_stick: MakeStick, pack: ModelPack
) -> None:
    """The library counts sticks, we name them: the second stays the second without the first."""
    second = make_stick(pack, place="usb:9-2")
    for change in (sticks["usb0"].unplug, sticks["usb0"].plug):
        change()
        second.open(LIMIT_S)
        before = sticks["usb1"].invokes
        second.invoke(pack.name, chance(second, pack), LIMIT_S)
        assert sticks["usb1"].invokes == before + 1
    assert sticks["usb0"].invokes == 0


def test_close_lets_the_library_give_the_stick_back(
    stick: Stick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(life, "STOP_GRACE_S", 2 * LIMIT_S)  # only an orderly end is quick enough
    stick.open(LIMIT_S)
    pid = stick.pid
    stick.close()
    assert is_gone(pid)


# --- packs ---------------------------------------------------------------------------------------


def test_files_that_are_no_twins_are_refused_with_both_named_and_others_run(
    simulated: SimulatedStick,
    make_twin: MakeTwin,
    make_stick: MakeStick,
    compiled: Callable[[Path], Path],
    pack: ModelPack,
    cpu: Interpreter,
) -> None:
    stranger = compiled(locate_weights(find_pack("face")))
    changeling = make_twin("person_large", name="changeling", edgetpu=stranger)
    stick = make_stick(changeling, pack)
    stick.open(LIMIT_S)
    assert stick.stats.packs == (pack.name,)
    refusal = stick.stats.refused["changeling"]
    assert refusal.kind is FindingKind.TWINS_DISAGREE
    assert "person_large_edgetpu.tflite and person_large.tflite" in refusal.what
    assert_works(stick, pack, cpu)
    with pytest.raises(StickFailed, match="not the twin"):
        stick.invoke("changeling", [], LIMIT_S)
    assert stick.is_open


def test_a_pack_whose_answers_are_wrong_is_refused_if_another_proves_the_stick(
    simulated: SimulatedStick,
    make_twin: MakeTwin,
    make_stick: MakeStick,
    pack: ModelPack,
) -> None:
    liar = make_twin("face")
    assert liar.known_answers is not None
    first = liar.known_answers.answers[0]
    output = first.outputs[0].model_copy(
        update={"values": tuple(value + 100 for value in first.outputs[0].values)}
    )
    answers = (first.model_copy(update={"outputs": (output,)}), *liar.known_answers.answers[1:])
    liar = replace(liar, known_answers=liar.known_answers.model_copy(update={"answers": answers}))
    stick = make_stick(liar, pack)
    stick.open(LIMIT_S)
    assert stick.stats.packs == (pack.name,)
    assert stick.stats.refused["face"].kind is FindingKind.WRONG_ANSWERS


def test_packs_without_a_file_for_it_or_with_a_missing_one_are_refused_by_name(
    simulated: SimulatedStick, make_twin: MakeTwin, make_stick: MakeStick, pack: ModelPack
) -> None:
    lost = make_twin("face")
    assert lost.edgetpu is not None
    (lost.folder / lost.edgetpu.file).unlink()
    stick = make_stick(find_pack("person_large"), lost, pack)
    stick.open(LIMIT_S)
    assert stick.stats.packs == (pack.name,)
    refused = {name: finding.what for name, finding in stick.stats.refused.items()}
    assert refused["person_large"] == "this pack has no file for the Edge TPU"
    assert "weights are missing: face_edgetpu.tflite" in refused["face"]


def test_without_any_pack_that_runs_the_stick_is_not_opened(
    simulated: SimulatedStick, make_stick: MakeStick
) -> None:
    stick = make_stick(find_pack("person_large"))
    assert why_not_opened(stick) is FindingKind.PACK_REFUSED
    assert stick.pid is None


def test_several_packs_run_on_one_stick(
    simulated: SimulatedStick, make_twin: MakeTwin, make_stick: MakeStick
) -> None:
    packs = [make_twin("person_small"), make_twin("face")]
    stick = make_stick(*packs)
    stick.open(LIMIT_S)
    for _ in range(3):
        for pack in packs:
            stick.invoke(pack.name, chance(stick, pack), LIMIT_S)
    stick.check_answers(LIMIT_S)


# --- nothing is left -----------------------------------------------------------------------------


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def shared_memories() -> int:
    return Path("/proc/self/maps").read_text().count("camera-app-tensors")


def children() -> set[str]:
    folder = Path(f"/proc/self/task/{os.getpid()}/children")
    return set(folder.read_text().split())


def test_nothing_is_left_behind_however_often_it_dies(
    stick: Stick, simulated: SimulatedStick, pack: ModelPack
) -> None:
    stick.open(LIMIT_S)
    stick.close()
    gc.collect()  # what earlier tests left to be collected is not this one's
    before = open_files(), shared_memories(), threading.active_count()
    assert before[1] == 0
    for cycle in range(8):
        stick.open(LIMIT_S)
        match cycle % 4:
            case 0:
                simulated.hang()
                assert why_not_answered(stick, pack, SHORT_S) is FindingKind.HUNG
                simulated.release()
            case 1:
                simulated.reset()
                assert why_not_answered(stick, pack) is FindingKind.DIED
            case 2:
                simulated.fail()
                assert why_not_answered(stick, pack) is FindingKind.FAILED
            case 3:
                stick.close()
    stick.close()
    after = open_files(), shared_memories(), threading.active_count()
    assert all(now <= then for now, then in zip(after, before, strict=True)), (before, after)
    assert children() == set()


def test_its_process_is_small(stick: Stick) -> None:
    """What only the parent needs is not in it: that would cost a second at each restart."""
    stick.open(LIMIT_S)
    mapped = Path(f"/proc/{stick.pid}/maps").read_text()
    assert "libedgetpu" in mapped
    assert not [name for name in ("cv2", "pydantic", "sodium", "/av/") if name in mapped]
