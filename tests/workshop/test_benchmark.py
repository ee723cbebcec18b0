"""Latency in rounds, loading in a process of its own, and operators that stand alone."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_app.inference import TensorSpec, choose_runtime
from tests.workshop.tflite_files import write_two_layers
from tools.workshop.__main__ import main
from tools.workshop.benchmark import (
    Subject,
    by_kind,
    find_subject,
    latency_of,
    make_inputs,
    measure,
    measure_loading,
    profile,
    ratio_of,
)
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_cut import Cutter
from tools.workshop.tflite_graph import read_graph


class Ticks:
    """A clock that moves on by a step each time it is read."""

    def __init__(self, step_s: float) -> None:
        self._step_s = step_s
        self._now_s = 0.0
        self.readings = 0

    def __call__(self) -> float:
        self.readings += 1
        self._now_s += self._step_s
        return self._now_s


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_two_layers(tmp_path / "two.tflite")


def test_percentiles_are_of_all_runs() -> None:
    latency = latency_of(np.arange(1, 102) / 1000)

    assert latency.best_ms == pytest.approx(1)
    assert latency.p50_ms == pytest.approx(51)
    assert latency.p90_ms == pytest.approx(91)
    assert latency.p99_ms == pytest.approx(100)
    assert latency.runs == 101


def test_a_ratio_is_of_rounds_and_not_of_the_whole() -> None:
    """The machine got three times slower after the first round; the ratio stays one half."""
    baseline = np.array([[2.0, 2.0, 2.0], [6.0, 6.0, 6.0], [6.0, 6.0, 90.0]])

    ratio = ratio_of(baseline / 2, baseline)

    assert (ratio.median, ratio.p10, ratio.p90) == pytest.approx((0.5, 0.5, 0.5))


def test_every_network_runs_as_often_as_asked_and_is_timed_by_the_given_clock(
    network: Path,
) -> None:
    clock = Ticks(0.003)

    first, second = measure(
        [Subject("a", network), Subject("b", network)],
        baseline=Subject("c", network),
        rounds=3,
        runs=2,
        now=clock,
    )

    # Two readings a run: three networks, five runs to warm up and three rounds of two each.
    assert clock.readings == 2 * 3 * (5 + 3 * 2)
    assert first.latency.runs == second.latency.runs == 6
    assert first.latency.p50_ms == pytest.approx(3.0)
    assert first.ratio is not None
    assert first.ratio.median == pytest.approx(1.0)


def test_size_parameters_and_macs_are_those_of_the_file(network: Path) -> None:
    (result,) = measure([Subject("a", network)], rounds=1, runs=1)

    assert result.size_bytes == network.stat().st_size
    assert result.parameters == 4 * 27 + 4
    assert result.macs == 8 * 8 * 4 * 27
    assert result.ratio is None


def test_loading_is_measured_in_a_process_of_its_own(network: Path) -> None:
    loading = measure_loading(network)

    assert loading.load_ms > 0
    assert loading.first_ms > 0
    assert loading.rss_rise_bytes > 0


def test_a_file_that_no_runtime_takes_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "broken.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + bytes(100))

    with pytest.raises(WorkshopError, match="does not take this file"):
        measure_loading(path)


@pytest.mark.parametrize(("dtype", "expected"), [("uint8", 255), ("int8", 127), ("float32", 1.0)])
def test_a_picture_is_fed_in_the_inputs_own_type(
    tmp_path: Path, dtype: str, expected: float
) -> None:
    path = tmp_path / "white.png"
    cv2.imwrite(str(path), np.full((20, 30, 3), 255, np.uint8))

    (array,) = make_inputs([TensorSpec("in", (1, 8, 8, 3), dtype)], path, seed=1)

    assert array.shape == (1, 8, 8, 3)
    assert array.dtype.name == dtype
    assert (array == expected).all()


def test_a_grey_input_gets_one_channel_and_other_inputs_noise(tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    cv2.imwrite(str(path), np.full((20, 30, 3), 255, np.uint8))
    specs = [TensorSpec("in", (1, 8, 8, 1), "uint8"), TensorSpec("state", (1, 64), "float32")]

    picture, state = make_inputs(specs, path, seed=1)

    assert (picture == 255).all()
    assert 0.0 <= state.min() < state.max() < 1.0


def test_a_picture_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_text("no picture")

    with pytest.raises(WorkshopError, match="no picture") as caught:
        make_inputs([TensorSpec("in", (1, 8, 8, 3), "uint8")], path, seed=1)

    assert caught.value.where == str(path)


def test_an_operator_cut_out_computes_what_it_computes_in_the_whole(
    network: Path, tmp_path: Path
) -> None:
    """The cut operators, run one after the other, give what the file gives."""
    runtime = choose_runtime()
    whole = runtime.load(network)
    values = make_inputs(whole.inputs, None, seed=3)
    expected = whole.invoke(values)[0].values

    for index in range(len(read_graph(network).operators)):
        path = tmp_path / f"{index}.tflite"
        path.write_bytes(Cutter(network).operator(index).content)
        values = [tensor.values for tensor in runtime.load(path).invoke(values)]

    np.testing.assert_array_equal(values[0], expected)
    assert expected.std() > 1  # and not because all of it is one value


def test_a_cut_names_the_tensors_of_the_whole_file(network: Path) -> None:
    graph = read_graph(network)

    cut = Cutter(network).operator(1)

    assert cut.inputs == tuple(tensor.index for tensor in graph.operators[0].outputs)
    assert cut.outputs == (graph.outputs[0].index,)


def test_the_profile_has_every_operator_and_adds_up_by_kind(network: Path) -> None:
    times = profile(network, runs=3, now=Ticks(0.002))

    assert [(item.kind, item.macs) for item in times] == [
        ("CONV_2D", 8 * 8 * 4 * 27),
        ("LOGISTIC", 0),
    ]
    assert by_kind(times) == {
        "CONV_2D": (1, pytest.approx(2.0)),
        "LOGISTIC": (1, pytest.approx(2.0)),
    }


@pytest.mark.shared
def test_most_operators_of_a_real_network_run_alone(shared: Path) -> None:
    times = profile(shared / "models" / "face" / "ssd_slim_face_160x120_gray.tflite", runs=1)

    assert len(times) == 68
    assert [item.name for item in times if item.ms is None] == []


@pytest.mark.shared
def test_a_subject_is_a_file_or_a_pack(network: Path, shared: Path) -> None:
    assert find_subject(str(network)) == Subject("two", network)
    pack = find_subject("ssd_slim_face_160x120_gray")
    assert pack.name == "ssd_slim_face_160x120_gray"
    assert pack.path.is_relative_to(shared)


def test_the_step_prints_a_row_a_network_and_its_dearest_operators(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["benchmark", str(network), "--against", str(network), "--profile"]

    code = main([*words, "--rounds", "2", "--runs", "1"])

    printed = capsys.readouterr().out
    assert code == 0
    assert [line.split()[0] for line in printed.splitlines()[:2]] == ["network", "two"]
    assert "operators one by one" in printed
    assert "LOGISTIC" in printed


def test_the_steps_json_has_figures_and_profile(
    network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["benchmark", str(network), "--profile", "--json", "--rounds", "2", "--runs", "1"])

    (document,) = json.loads(capsys.readouterr().out)
    assert document["latency"]["runs"] == 2
    assert document["ratio"] is None
    assert [item["kind"] for item in document["profile"]] == ["CONV_2D", "LOGISTIC"]


def test_no_rounds_at_all_are_refused(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["benchmark", str(network), "--rounds", "0"])

    assert "less than 1" in capsys.readouterr().err
