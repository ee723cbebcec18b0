"""What every stick does: the simulated one, and a real one where there is one.

For a real one set EDGETPU_TEST_PLACE to its place and EDGETPU_TEST_PACK to the folder of a signed
pack that has a file for it, compiled by the real compiler.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_app.errors import ModelOutputError
from camera_app.inference import Interpreter, load_network, runtime_for
from camera_app.inference.edgetpu import PLACES, FindingKind, Stick, StickFailed
from camera_app.inference.edgetpu.lock import holder_of
from camera_app.inference.edgetpu.places import ROOT_VARIABLE
from camera_app.inference.runtime import Array
from camera_app.models import (
    TRUSTED_VARIABLE,
    ModelPack,
    find_pack,
    kind_of,
    locate_weights,
)
from camera_app.values import Rgb
from tests.inference.edgetpu.conftest import LIMIT_S, PLACE, MakeTwin

REAL_PLACE = os.environ.get("EDGETPU_TEST_PLACE", "")
REAL_PACK = os.environ.get("EDGETPU_TEST_PACK", "")
# What a real one may need of the owner's environment, of which tests are otherwise kept clean.
REAL_ENVIRONMENT = {
    name: os.environ[name] for name in (TRUSTED_VARIABLE, ROOT_VARIABLE) if name in os.environ
}
# Silicon rounds in its own way; the simulation computes with the CPU's own kernels.
REAL_STEPS = 6


@pytest.fixture(params=["simulated", *(["real"] if REAL_PLACE else [])])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if kind == "real":
        for name, value in REAL_ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        return REAL_PLACE
    request.getfixturevalue("sticks")
    return PLACE


@pytest.fixture
def pack(kind: str, place: str, make_twin: MakeTwin) -> ModelPack:
    return find_pack(REAL_PACK) if kind == "real" else make_twin()


@pytest.fixture
def stick(place: str, pack: ModelPack) -> Iterator[Stick]:
    stick = Stick(place, [pack])
    yield stick
    stick.close()


@pytest.fixture
def cpu(pack: ModelPack) -> Interpreter:
    return runtime_for(kind_of(pack.weights.file)).load(locate_weights(pack))


def chance(cpu: Interpreter, seed: int) -> list[Array]:
    """Inputs of chance, the same for the same seed."""
    random = np.random.default_rng(seed)
    return [random.integers(-100, 100, spec.shape, np.int8) for spec in cpu.inputs]


def test_it_answers_as_its_twin_on_the_cpu_does(
    kind: str, stick: Stick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    for seed in range(3):
        inputs = chance(cpu, seed)
        here, there = stick.invoke(pack.name, inputs, LIMIT_S), cpu.invoke(inputs)
        assert [tensor.name for tensor in here] == [tensor.name for tensor in there]
        for one, other in zip(here, there, strict=True):
            steps = np.abs(one.values.astype(int) - other.values.astype(int))
            assert steps.max() <= (REAL_STEPS if kind == "real" else 0)
            assert (one.scale, one.zero_point) == (other.scale, other.zero_point)


def test_its_tensors_are_those_of_the_cpu(stick: Stick, pack: ModelPack, cpu: Interpreter) -> None:
    stick.open(LIMIT_S)
    assert stick.inputs(pack.name) == cpu.inputs
    assert stick.outputs(pack.name) == cpu.outputs


def test_the_networks_own_decoder_takes_its_answers(stick: Stick, pack: ModelPack) -> None:
    stick.open(LIMIT_S)
    network = load_network(pack)
    picture = Rgb(np.random.default_rng(1).integers(0, 255, (220, 308, 3), np.uint8))
    prepared = network.prepare(picture)
    outputs = stick.invoke(pack.name, [prepared.tensor], LIMIT_S)
    assert network.decode(outputs, prepared, min_score=0.0)


def test_several_askers_at_once_get_their_own_answers(
    stick: Stick, pack: ModelPack, cpu: Interpreter
) -> None:
    """Two are under way, the others in line: nobody may get what another one asked for."""
    stick.open(LIMIT_S)
    wrong: list[int] = []

    def ask(asker: int) -> None:
        inputs = chance(cpu, asker)
        for _ in range(20):
            answer = stick.invoke(pack.name, inputs, LIMIT_S)
            is_own = np.abs(answer[0].values.astype(int) - expected[asker]).max() <= REAL_STEPS
            if not is_own:
                wrong.append(asker)

    expected = [cpu.invoke(chance(cpu, asker))[0].values.astype(int) for asker in range(4)]
    assert np.abs(expected[0] - expected[1]).max() > 2 * REAL_STEPS
    threads = [threading.Thread(target=ask, args=(asker,)) for asker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT_S)
    assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert stick.stats.invokes >= 80
    assert PLACES == 2


def test_an_answer_is_an_own_copy(stick: Stick, pack: ModelPack, cpu: Interpreter) -> None:
    stick.open(LIMIT_S)
    first = stick.invoke(pack.name, chance(cpu, 1), LIMIT_S)
    kept = first[0].values.copy()
    for seed in range(2, 5):
        stick.invoke(pack.name, chance(cpu, seed), LIMIT_S)
    assert (first[0].values == kept).all()


def test_inputs_need_not_be_contiguous(stick: Stick, pack: ModelPack, cpu: Interpreter) -> None:
    stick.open(LIMIT_S)
    [inputs] = chance(cpu, 1)
    turned = np.asfortranarray(inputs)
    one = stick.invoke(pack.name, [inputs], LIMIT_S)
    other = stick.invoke(pack.name, [turned], LIMIT_S)
    assert (one[0].values == other[0].values).all()


def test_wrong_inputs_are_refused_and_the_stick_stays_open(
    stick: Stick, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    with pytest.raises(ModelOutputError, match="expects inputs"):
        stick.invoke(pack.name, [np.zeros((1, 2, 3), np.int8)], LIMIT_S)
    stick.invoke(pack.name, chance(cpu, 1), LIMIT_S)


def test_its_known_answers_are_right_one_by_one_and_all(stick: Stick, pack: ModelPack) -> None:
    stick.open(LIMIT_S)
    assert pack.known_answers is not None
    before = stick.stats.invokes
    stick.check_next_answer(LIMIT_S)
    assert stick.stats.invokes == before + 1
    stick.check_answers(LIMIT_S)
    assert stick.stats.invokes == before + 1 + len(pack.known_answers.answers)


def test_two_of_us_on_one_stick_is_a_finding_with_the_holder(
    stick: Stick, place: str, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    second = Stick(place, [pack])
    with pytest.raises(StickFailed) as failure:
        second.open(LIMIT_S)
    second.close()
    assert failure.value.finding.kind is FindingKind.BUSY
    assert f"process {os.getpid()}" in str(failure.value)
    stick.invoke(pack.name, chance(cpu, 1), LIMIT_S)  # the first one has not noticed


def test_after_close_the_process_is_gone_and_the_stick_is_free(
    stick: Stick, place: str, pack: ModelPack, cpu: Interpreter
) -> None:
    stick.open(LIMIT_S)
    pid = stick.pid
    assert holder_of(place) == os.getpid()
    stick.close()
    stick.close()
    assert not Path(f"/proc/{pid}").exists()
    assert holder_of(place) is None
    with pytest.raises(StickFailed, match="not open"):
        stick.invoke(pack.name, chance(cpu, 1), LIMIT_S)
    stick.open(LIMIT_S)
    stick.invoke(pack.name, chance(cpu, 1), LIMIT_S)
    assert stick.stats.opened == 2
    assert stick.stats.finding is None


def test_opening_an_open_stick_starts_afresh(stick: Stick, pack: ModelPack) -> None:
    stick.open(LIMIT_S)
    first = stick.pid
    stick.open(LIMIT_S)
    assert stick.pid != first
    stick.check_answers(LIMIT_S)


def test_a_stick_that_was_never_opened_is_closed_without_harm(place: str) -> None:
    stick = Stick(place, [])
    stick.close()
    assert not stick.is_open
    with pytest.raises(StickFailed, match="not open"):
        stick.check_next_answer(LIMIT_S)


def test_it_can_be_opened_without_any_network(place: str) -> None:
    stick = Stick(place, [])
    stick.open(LIMIT_S)
    assert stick.is_open
    stick.check_answers(LIMIT_S)
    stick.close()


def test_a_pack_that_it_was_not_given_is_told_by_name(stick: Stick) -> None:
    stick.open(LIMIT_S)
    with pytest.raises(StickFailed, match="model pack other: this pack was not given"):
        stick.invoke("other", [], LIMIT_S)
    assert stick.is_open
