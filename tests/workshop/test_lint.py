"""What an Edge TPU takes: the rules one by one, the split, and the real compiler's own files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.workshop.tflite_files import NetWriter, write_two_layers
from tools.workshop import edgetpu_rules
from tools.workshop import lint as lint_module
from tools.workshop.__main__ import main
from tools.workshop.errors import WorkshopError
from tools.workshop.lint import Cache, Report, compile_file, disagreements, lint, read_log
from tools.workshop.tflite_graph import read_graph

# As compiler 16.0 prints it with -s, for the two layers and one that it left out.
LOG = """Edge TPU Compiler version 16.0.384591198
Started a compilation timeout timer of 180 seconds.

Model compiled successfully in 21 ms.

Input model: two.tflite
Number of Edge TPU subgraphs: 1
Number of operations that will run on Edge TPU: 1
Number of operations that will run on CPU: 1

Operator                       Count      Status

LOGISTIC                       1          More than one subgraph is not supported
CONV_2D                        1          Mapped to Edge TPU
Compilation succeeded!
"""

EYE = np.eye(4, dtype=np.int8)

OneOperator = Callable[..., Report]


@pytest.fixture
def one(tmp_path: Path) -> OneOperator:
    """Lint a network of one operator: shapes of input and output, then what is special."""

    def make(
        kind: str,
        before: list[int],
        after: list[int],
        options: str = "",
        *,
        constants: tuple[object, ...] = (),
        dtype: str = "INT8",
        scales: tuple[float, ...] = (0.05,),
        signature: list[int] | None = None,
        version: int = 1,
        **fields: object,
    ) -> Report:
        net = NetWriter()
        source = net.tensor("in", before, dtype, scales=scales, signature=signature)
        result = net.tensor("out", after, dtype, scales=scales)
        others = [net.constant(f"c{i}", value) for i, value in enumerate(constants)]
        net.operator(kind, [source, *others], [result], options, version=version, **fields)
        return lint(net.write(tmp_path / "one.tflite", [source], [result]))

    return make


def rules_of(report: Report) -> list[str]:
    return [cut.finding.rule for cut in report.cuts if cut.finding]


def test_a_plain_int8_network_runs_there_whole(tmp_path: Path) -> None:
    report = lint(write_two_layers(tmp_path / "two.tflite"))

    assert (report.on_device, report.on_cpu, report.cache) == (2, 0, Cache.FITS)
    assert report.weight_bytes == 4 * 27 + 4 * 4


@pytest.mark.parametrize(
    ("kind", "before", "after", "more", "rule"),
    [
        ("LEAKY_RELU", [1, 4, 4, 2], [1, 4, 4, 2], {}, "operator"),
        ("TFLite_Detection_PostProcess", [1, 4, 4, 2], [1, 4, 4, 2], {}, "operator"),
        ("LOGISTIC", [1, 4, 4, 2], [1, 4, 4, 2], {"dtype": "FLOAT32"}, "data-type"),
        ("LOGISTIC", [1, 4, 4, 2], [1, 4, 4, 2], {"dtype": "INT16"}, "data-type"),
        ("LOGISTIC", [1, 4, 4, 2], [1, 4, 4, 2], {"scales": ()}, "no-scale"),
        ("LOGISTIC", [2, 4, 4, 2], [2, 4, 4, 2], {}, "batch"),
        ("LOGISTIC", [1, 2, 4, 4, 2], [1, 2, 4, 4, 2], {}, "rank"),
        ("LOGISTIC", [1, 1, 4, 2], [1, 1, 4, 2], {"signature": [1, -1, 4, 2]}, "dynamic-shape"),
        ("LOGISTIC", [1, 2100, 2000, 2], [1, 2100, 2000, 2], {}, "activation-size"),
        ("SOFTMAX", [1, 10, 2], [1, 10, 2], {}, "softmax"),
        ("SOFTMAX", [1, 16001], [1, 16001], {}, "softmax"),
        ("FULLY_CONNECTED", [1, 4], [3, 4], {"constants": (EYE,)}, "fully-connected"),
    ],
)
def test_one_operator_is_refused_by_its_rule(
    one: OneOperator, kind: str, before: list[int], after: list[int], more: dict, rule: str
) -> None:
    report = one(kind, before, after, **more)

    assert rules_of(report) == [rule]
    assert report.cuts[0].finding is not None
    assert report.cuts[0].finding.remedy


@pytest.mark.parametrize(
    ("kind", "before", "after", "values", "rule"),
    [
        ("PAD", [1, 4, 4, 2], [1, 6, 6, 2], [[0, 0], [1, 1], [1, 1], [0, 0]], None),
        ("PAD", [1, 4, 4, 2], [2, 4, 4, 2], [[0, 1], [0, 0], [0, 0], [0, 0]], "batch"),
        ("MEAN", [1, 4, 4, 2], [1, 2], [1, 2], None),
        ("MEAN", [1, 4, 4, 6], [1, 4, 4], [3], "mean-depth"),
        ("MEAN", [1, 4, 4, 8], [1, 4, 4], [3], None),
        ("REDUCE_MAX", [1, 4, 4, 2], [4, 4, 2], [0], "batch-axis"),
        ("TRANSPOSE", [1, 4, 4, 2], [1, 2, 4, 4], [0, 3, 1, 2], None),
        ("TRANSPOSE", [1, 4, 4, 1], [1, 1, 4, 4], [3, 0, 1, 2], "batch-axis"),
        ("RESIZE_BILINEAR", [1, 4, 4, 2], [1, 8, 8, 2], [8, 8], None),
        ("RESIZE_BILINEAR", [1, 1, 1, 2], [1, 33, 33, 2], [33, 33], "resize"),
        ("RESIZE_NEAREST_NEIGHBOR", [1, 33, 33, 2], [1, 1, 1, 2], [1, 1], "resize"),
    ],
)
def test_operators_with_an_operand_follow_its_values(
    one: OneOperator, kind: str, before: list[int], after: list[int], values: list, rule: str | None
) -> None:
    report = one(kind, before, after, constants=(np.array(values, np.int32),))

    assert rules_of(report) == ([rule] if rule else [])


@pytest.mark.parametrize(("stride", "rule"), [(1, []), (2, ["strided-slice"])])
def test_a_slice_may_not_step_over_pixels(one: OneOperator, stride: int, rule: list[str]) -> None:
    corners = (np.zeros(4, np.int32), np.full(4, 4, np.int32))
    steps = np.array([1, stride, 1, 1], np.int32)

    report = one("STRIDED_SLICE", [1, 4, 4, 2], [1, 4 // stride, 4, 2], constants=(*corners, steps))

    assert rules_of(report) == rule


@pytest.mark.parametrize(
    ("kind", "options", "activation", "rules"),
    [
        ("AVERAGE_POOL_2D", "Pool2DOptions", "NONE", []),
        ("AVERAGE_POOL_2D", "Pool2DOptions", "RELU6", ["activation"]),
        ("MAX_POOL_2D", "Pool2DOptions", "RELU", ["activation"]),
        ("L2_NORMALIZATION", "L2NormOptions", "RELU", []),
        ("L2_NORMALIZATION", "L2NormOptions", "TANH", ["activation"]),
    ],
)
def test_fused_activations_are_allowed_by_kind(
    one: OneOperator, kind: str, options: str, activation: str, rules: list[str]
) -> None:
    number = {name: number for number, name in edgetpu_rules.ACTIVATIONS.items()}[activation]

    report = one(kind, [1, 4, 4, 2], [1, 4, 4, 2], options, fusedActivationFunction=number)

    assert rules_of(report) == rules


@pytest.mark.parametrize(("across", "rules"), [(2, []), (3, ["dilation"])])
def test_dilation_must_be_the_same_both_ways(tmp_path: Path, across: int, rules: list[str]) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 8, 8, 3])
    result = net.conv(
        "conv",
        picture,
        [1, 8, 8, 4],
        np.ones((4, 3, 3, 3)),
        dilationHFactor=2,
        dilationWFactor=across,
    )

    report = lint(net.write(tmp_path / "net.tflite", [picture], [result]))

    assert rules_of(report) == rules


@pytest.mark.parametrize(("value", "rules"), [(0, []), (5, ["concatenation"])])
def test_only_zeros_may_be_concatenated_as_a_constant(
    one: OneOperator, value: int, rules: list[str]
) -> None:
    constant = np.full((1, 4, 4, 2), value, np.int8)

    report = one("CONCATENATION", [1, 4, 4, 2], [1, 4, 4, 4], constants=(constant,))

    assert rules_of(report) == rules


@pytest.mark.parametrize(
    ("kind", "shape", "axis", "rules"),
    [
        ("CONV_2D", (2, 3, 3, 3), 0, []),
        ("CONV_2D", (2, 3, 3, 3), 3, ["per-channel"]),
        ("DEPTHWISE_CONV_2D", (1, 3, 3, 2), 3, []),
        ("FULLY_CONNECTED", (2, 3), 0, ["per-channel"]),
    ],
)
def test_scales_by_channel_are_for_convolutions_along_their_outputs(
    tmp_path: Path, kind: str, shape: tuple[int, ...], axis: int, rules: list[str]
) -> None:
    net = NetWriter()
    picture = net.tensor("picture", [1, 1, 1, 3])
    weights = net.constant("weights", np.ones(shape, np.int8), scales=(0.1, 0.2), axis=axis)
    result = net.tensor("result", [1, 1, 1, 2])
    net.operator(kind, [picture, weights, -1], [result])

    report = lint(net.write(tmp_path / "net.tflite", [picture], [result]))

    assert rules_of(report) == rules


def test_weights_that_are_computed_are_refused(tmp_path: Path) -> None:
    net = NetWriter()
    picture, weights = net.tensor("picture", [1, 8, 8, 3]), net.tensor("weights", [1, 3, 3, 3])
    result = net.tensor("result", [1, 8, 8, 1])
    net.operator("CONV_2D", [picture, weights, -1], [result])

    report = lint(net.write(tmp_path / "net.tflite", [picture, weights], [result]))

    assert rules_of(report) == ["computed-parameter"]


def test_one_operator_that_is_too_new_keeps_the_compiler_from_reading_the_file(
    one: OneOperator,
) -> None:
    assert one("LOGISTIC", [1, 4], [1, 4], version=3).blocker is None

    report = one("LOGISTIC", [1, 4], [1, 4], version=4)

    assert report.blocker is not None
    assert report.blocker.rule == "operator-version"
    assert report.on_device == 0
    assert report.cuts == ()  # nothing is wrong with the operator but its version


def test_a_kind_born_later_keeps_the_compiler_from_reading_the_file(one: OneOperator) -> None:
    report = one("GELU", [1, 4], [1, 4])

    assert report.blocker is not None
    assert "no such operator" in report.blocker.problem


def test_an_open_batch_is_a_doubt_and_no_refusal(one: OneOperator) -> None:
    report = one("LOGISTIC", [1, 4, 4, 2], [1, 4, 4, 2], signature=[-1, 4, 4, 2])

    assert report.on_cpu == 0
    assert [doubt.rule for doubt in report.placements[0].doubts] == ["open-batch"]


def chain(tmp_path: Path, kinds: list[str], *, by: dict[int, int] | None = None) -> Report:
    """Lint operators that each read the one before, or the one that `by` says."""
    net = NetWriter()
    tensors = [net.tensor("t0", [1, 4, 4, 2])]
    for index, kind in enumerate(kinds):
        source = tensors[(by or {}).get(index, index)]
        tensors.append(net.tensor(f"t{index + 1}", [1, 4, 4, 2]))
        net.operator(kind, [source], [tensors[-1]])
    return lint(net.write(tmp_path / "chain.tflite", tensors[:1], tensors[-1:]))


@pytest.mark.parametrize(
    ("kinds", "on_device"),
    [
        (["LOGISTIC", "TANH", "ELU", "LOGISTIC"], [0, 1]),
        (["ELU", "LOGISTIC", "TANH"], [1, 2]),
        (["ELU", "LOGISTIC", "ELU", "TANH"], [1]),
        (["ELU"], []),
    ],
)
def test_the_first_part_that_suits_goes_to_the_device_and_no_later_one(
    tmp_path: Path, kinds: list[str], on_device: list[int]
) -> None:
    report = chain(tmp_path, kinds)

    assert [p.operator.index for p in report.placements if p.is_on_device] == on_device


def test_a_branch_beside_the_refused_one_stays_on_the_device(tmp_path: Path) -> None:
    report = chain(tmp_path, ["LOGISTIC", "ELU", "TANH"], by={2: 1})

    assert [placement.is_on_device for placement in report.placements] == [True, False, True]


def test_what_stands_behind_a_refused_one_is_no_cut_of_its_own(tmp_path: Path) -> None:
    report = chain(tmp_path, ["LOGISTIC", "ELU", "TANH"])

    assert rules_of(report) == ["operator"]
    assert report.on_cpu == 2
    assert report.placements[2].finding is not None
    assert report.placements[2].finding.rule == "split"


@pytest.mark.parametrize(
    ("rows", "cache"), [(4000, Cache.FITS), (7000, Cache.DOUBTFUL), (9000, Cache.STREAMED)]
)
def test_the_cache_holds_less_than_its_eight_megabytes(
    tmp_path: Path, rows: int, cache: Cache
) -> None:
    net = NetWriter()
    source, result = net.tensor("in", [1, 1000]), net.tensor("out", [1, rows])
    weights = net.constant("weights", np.ones((rows, 1000), np.int8), scales=(0.1,))
    net.operator("FULLY_CONNECTED", [source, weights, -1], [result])

    assert lint(net.write(tmp_path / "net.tflite", [source], [result])).cache is cache


def test_silu_is_taken_but_noted(tmp_path: Path) -> None:
    net = NetWriter()
    tensors = [net.tensor(f"t{index}", [1, 4, 4, 2]) for index in range(3)]
    net.operator("LOGISTIC", [tensors[0]], [tensors[1]])
    net.operator("MUL", [tensors[0], tensors[1]], [tensors[2]], "MulOptions")

    report = lint(net.write(tmp_path / "silu.tflite", tensors[:1], tensors[2:]))

    assert report.on_cpu == 0
    assert [finding.rule for finding in report.advice] == ["silu"]


# The compiler's own files beside those it was given: what it left outside its operator.
@pytest.mark.shared
@pytest.mark.parametrize(
    ("given", "compiled"),
    [
        ("classify/mobilenet_v1_0.25_128", "edgetpu/mobilenet_v1_0.25_128_edgetpu"),
        ("pose/movenet_lightning_192", "edgetpu/movenet_lightning_192_edgetpu"),
        ("edgetpu/split_concat", "edgetpu/split_concat_edgetpu"),
    ],
)
def test_the_prediction_is_what_the_real_compiler_did(
    shared: Path, given: str, compiled: str
) -> None:
    report = lint(shared / "models" / f"{given}.tflite")
    real = read_graph(shared / "models" / f"{compiled}.tflite")

    left = Counter(p.operator.kind for p in report.placements if not p.is_on_device)
    actual = Counter(operator.kind for operator in real.operators)
    assert actual.pop("edgetpu-custom-op") == 1
    assert left == actual


@pytest.mark.shared
def test_the_tail_of_deeplab_is_as_long_as_the_compiled_one(shared: Path) -> None:
    """Its compiled file, which is not here, ends in 8 operators on the CPU."""
    report = lint(shared / "models" / "segment" / "deeplab_v3_dm05_513.tflite")

    assert report.on_cpu == 8
    assert rules_of(report)[0] == "resize"


@pytest.mark.shared
def test_a_compiled_file_is_told_from_one_to_compile(shared: Path) -> None:
    report = lint(shared / "models" / "edgetpu" / "movenet_lightning_192_edgetpu.tflite")

    assert report.is_compiled
    assert (report.on_device, report.on_cpu) == (1, 59)


def test_the_compilers_log_is_read() -> None:
    log = read_log(LOG)

    assert log.version == "16.0.384591198"
    assert log.mapped == {"CONV_2D": 1}
    assert log.refused == {("LOGISTIC", "More than one subgraph is not supported"): 1}


def test_where_the_compiler_disagrees_is_said_by_kind(tmp_path: Path) -> None:
    report = lint(write_two_layers(tmp_path / "two.tflite"))

    (wrong,) = disagreements(report, read_log(LOG))

    assert (wrong.kind, wrong.predicted, wrong.actual) == ("LOGISTIC", 1, 0)


def fake_compiler(folder: Path, body: str) -> Path:
    """Put a stand-in for the compiler into a folder; it wants -s, -o and a file as the real one."""
    script = folder / "edgetpu_compiler"
    script.write_text(
        '#!/bin/sh\n[ "$1" = -s ] && [ "$2" = -o ] && [ -d "$3" ] && [ -f "$4" ] || exit 64\n'
        f"{body}\n"
    )
    script.chmod(0o755)
    return script


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    compiler = fake_compiler(tmp_path, "echo 'Internal compiler error. Aborting!'; exit 1")

    with pytest.raises(WorkshopError, match="Internal compiler error"):
        compile_file(compiler, write_two_layers(tmp_path / "two.tflite"))


def test_the_step_asks_the_compiler_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "log.txt").write_text(LOG)
    fake_compiler(tmp_path, f"cat {tmp_path}/log.txt")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    path = write_two_layers(tmp_path / "two.tflite")

    code = main(["lint", str(path)])

    printed = capsys.readouterr().out
    assert code == 0  # by the prediction
    assert "LOGISTIC: predicted 1, mapped 0" in printed


def test_the_step_prints_layer_reason_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain(tmp_path, ["LOGISTIC", "LEAKY_RELU"])

    code = main(["lint", "--no-compiler", str(tmp_path / "chain.tflite")])

    printed = capsys.readouterr().out
    assert code == 1
    assert "1 operators on the Edge TPU, 1 on the CPU" in printed
    assert "LEAKY_RELU" in printed
    assert "PRELU" in printed


def test_the_steps_json_has_every_operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain(tmp_path, ["LOGISTIC", "LEAKY_RELU"])

    main(["lint", "--no-compiler", "--json", str(tmp_path / "chain.tflite")])

    (document,) = json.loads(capsys.readouterr().out)
    assert [op["on_edgetpu"] for op in document["operators"]] == [True, False]
    assert document["operators"][1]["finding"]["rule"] == "operator"


def test_the_guide_names_every_rule() -> None:
    root = Path(__file__).parents[2]
    guide = (root / "docs/guide/edgetpu-lint.md").read_text(encoding="utf-8")
    sources = (Path(module.__file__ or "").read_text() for module in (edgetpu_rules, lint_module))
    rules = {rule for text in sources for rule in re.findall(r'Finding\(\s*"([a-z-]+)"', text)}

    assert len(rules) > 25
    assert [rule for rule in sorted(rules) if f"`{rule}`" not in guide] == []
