"""The fake compiler splits as the real one does, and refuses what it cannot compile."""

from __future__ import annotations

from pathlib import Path

import pytest

from camera_app.errors import CameraAppError
from tests.workshop.tflite_files import NetWriter
from tools.edgetpu_sim.compiler import compile_file, compile_network
from tools.edgetpu_sim.errors import SimulationError
from tools.workshop.tflite_graph import read_graph


def _kinds(path: Path) -> list[str]:
    return [operator.kind for operator in read_graph(path).operators]


def _compile(path: Path) -> Path:
    target = path.with_name("compiled.tflite")
    compile_file(path, target)
    return target


def _branching(path: Path) -> Path:
    """Write: float head, int8 part, a float side way out of it, and int8 beside and behind that."""
    net = NetWriter()
    raw = net.tensor("raw", [1, 4], "FLOAT32", scales=())
    names = ("start", "left", "right", "back")
    start, left, right, back = (net.tensor(name, [1, 4]) for name in names)
    real = net.tensor("real", [1, 4], "FLOAT32", scales=())
    net.operator("QUANTIZE", [raw], [start])
    net.operator("RELU", [start], [left])
    net.operator("DEQUANTIZE", [left], [real])
    net.operator("RELU", [start], [right])
    net.operator("QUANTIZE", [real], [back])
    last = net.tensor("last", [1, 4])
    net.operator("RELU", [back], [last])
    return net.write(path, [raw], [right, last])


def test_a_network_that_suits_is_one_part(two_layers: Path, compiled: Path) -> None:
    assert _kinds(two_layers) == ["CONV_2D", "LOGISTIC"]
    assert _kinds(compiled) == ["edgetpu-custom-op", "CONV_2D", "LOGISTIC", "edgetpu-custom-op"]


def test_what_does_not_suit_stays_before_and_behind(tmp_path: Path) -> None:
    """What depends on a refused operator is refused too; what stands beside it is not."""
    made = _compile(_branching(tmp_path / "net.tflite"))

    assert _kinds(made) == [
        "QUANTIZE",
        "edgetpu-custom-op",
        "RELU",
        "RELU",
        "edgetpu-custom-op",
        "DEQUANTIZE",
        "QUANTIZE",
        "RELU",
    ]


def test_a_blank_file_has_one_operator_for_all_that_is_claimed(tmp_path: Path) -> None:
    blank = tmp_path / "blank.tflite"
    compile_file(_branching(tmp_path / "net.tflite"), blank, is_blank=True)

    kinds = ["QUANTIZE", "edgetpu-custom-op", "DEQUANTIZE", "QUANTIZE", "RELU"]
    assert _kinds(blank) == kinds


def test_only_what_is_wanted_outside_comes_out(tmp_path: Path) -> None:
    made = read_graph(_compile(_branching(tmp_path / "net.tflite")))
    begin, end = (o for o in made.operators if o.kind == "edgetpu-custom-op")

    assert [tensor.name for tensor in begin.given] == ["start"]
    assert [tensor.name for tensor in begin.outputs] == ["start_sim"]
    assert [tensor.name for tensor in end.outputs] == ["left", "right"]
    assert [tensor.name for tensor in made.outputs] == ["right", "last"]


def test_the_same_network_is_compiled_to_the_same_bytes(two_layers: Path) -> None:
    content = two_layers.read_bytes()

    assert (
        compile_network(content, where="x").content == compile_network(content, where="x").content
    )


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("classify/mobilenet_v1_0.25_128", (0, 31, 0)),
        ("pose/movenet_lightning_192", (2, 98, 57)),
        ("edgetpu/split_concat", (0, 3, 0)),
    ],
)
def test_known_networks_split_as_the_real_compiler_splits_them(
    shared: Path, name: str, split: tuple[int, int, int]
) -> None:
    content = (shared / "models" / f"{name}.tflite").read_bytes()

    made = compile_network(content, where=name)

    assert (made.head, made.claimed, made.tail) == split


def test_a_float_network_is_refused(tmp_path: Path) -> None:
    net = NetWriter()
    given = net.tensor("given", [1, 4], "FLOAT32", scales=())
    out = net.tensor("out", [1, 4], "FLOAT32", scales=())
    net.operator("RELU", [given], [out])
    path = net.write(tmp_path / "float.tflite", [given], [out])

    with pytest.raises(SimulationError, match="no operator that an Edge TPU would run"):
        _compile(path)


def test_a_compiled_network_is_not_compiled_again(compiled: Path) -> None:
    """It would be bracketed twice, and the library knows one pair."""
    with pytest.raises(SimulationError, match="compiled already"):
        compile_network(compiled.read_bytes(), where="x")


@pytest.mark.shared
@pytest.mark.parametrize(
    "name", ["empty", "random_bytes_4k", "truncated_60pct", "root_offset_past_end"]
)
def test_what_is_no_network_is_refused(shared: Path, name: str) -> None:
    content = (shared / "models" / "broken" / f"{name}.tflite").read_bytes()

    with pytest.raises(CameraAppError):
        compile_network(content, where=name)
