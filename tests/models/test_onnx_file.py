from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.errors import PackRejected
from camera_app.models.inspect import WeightsKind, check_structure, structural_fault
from camera_app.models.onnx_file import Scaling, fault_of_onnx, scalings

DATA = Path(__file__).parent.parent / "inference/data"
FLOAT = (DATA / "bright_things.onnx").read_bytes()
QUANTISED = DATA / "bright_things_int8.onnx"


def field(number: int, content: bytes | int) -> bytes:
    """Return a field as protocol buffers write it."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def model(graph: bytes) -> bytes:
    return field(1, 8) + field(7, graph)


def test_a_whole_file_has_no_fault() -> None:
    assert fault_of_onnx(FLOAT) == ""
    assert fault_of_onnx(model(b"")) == ""


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.999])
def test_a_file_cut_short_is_told(share: float) -> None:
    assert "ONNX file" in fault_of_onnx(FLOAT[: max(1, int(len(FLOAT) * share))])


@given(st.binary(max_size=200))
def test_noise_is_judged_without_a_crash(noise: bytes) -> None:
    assert isinstance(fault_of_onnx(noise), str)


@given(st.integers(0, len(FLOAT) - 1), st.integers(0, 255))
def test_a_changed_byte_is_judged_without_a_crash(position: int, value: int) -> None:
    changed = bytearray(FLOAT)
    changed[position] = value
    assert isinstance(fault_of_onnx(bytes(changed)), str)


OUTSIDE = field(8, b"weight") + field(14, 1)
INSIDE = field(8, b"weight") + field(9, b"\0\0\0\0")


def node_with(attribute: bytes) -> bytes:
    return field(1, field(4, b"Constant") + field(5, attribute))


@pytest.mark.parametrize(
    "graph",
    [
        field(5, OUTSIDE),
        node_with(field(5, OUTSIDE)),
        node_with(field(10, OUTSIDE)),
        node_with(field(6, field(5, OUTSIDE))),
        node_with(field(11, node_with(field(5, OUTSIDE)))),
        field(15, field(1, OUTSIDE)),
    ],
    ids=["initializer", "constant", "constants", "branch", "branch in branch", "sparse"],
)
def test_weights_in_another_file_are_refused_wherever_they_are_named(graph: bytes) -> None:
    assert "lie in another file" in fault_of_onnx(model(graph))


def test_weights_inside_are_no_fault() -> None:
    assert fault_of_onnx(model(field(5, INSIDE) + node_with(field(5, INSIDE)))) == ""


def test_graphs_without_end_are_refused() -> None:
    graph = b""
    for _ in range(200):
        graph = node_with(field(6, graph))
    assert "nested too deep" in fault_of_onnx(model(graph))


def test_scales_are_read_where_the_file_has_them() -> None:
    found = scalings(QUANTISED)
    assert found["picture"] == Scaling(pytest.approx(1 / 255), -128)
    assert found["boxes"] == Scaling(pytest.approx(0.01), 0)
    assert found["scores"] == Scaling(pytest.approx(1 / 256), -128)


def quantising(zero_point: bytes) -> bytes:
    scale = field(8, b"s") + field(2, 1) + field(4, b"\0\0\0\x3f")  # 0.5
    zero = field(8, b"z") + field(2, 3) + zero_point
    names = b"".join(field(1, name) for name in (b"x", b"s", b"z"))
    node = names + field(2, b"y") + field(4, b"QuantizeLinear")
    return model(field(1, node) + field(5, scale) + field(5, zero))


@pytest.mark.parametrize(
    "zero_point",
    [
        field(9, b"\xfd"),
        field(5, varint((1 << 64) - 3)),
        field(5, (1 << 64) - 3),
    ],
    ids=["raw", "list", "alone"],
)
def test_a_zero_point_is_read_however_it_is_written(tmp_path: Path, zero_point: bytes) -> None:
    path = tmp_path / "q.onnx"
    path.write_bytes(quantising(zero_point))
    assert scalings(path) == {"y": Scaling(0.5, -3)}


def test_scales_by_channel_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "q.onnx"
    path.write_bytes(quantising(field(5, varint(1) + varint(2))))
    assert scalings(path) == {}


def test_the_ending_of_a_name_says_what_the_file_must_be(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes((DATA / "bright_things.tflite").read_bytes())
    with pytest.raises(PackRejected, match=r"TensorFlow Lite file.*its name says ONNX"):
        check_structure(path)
    path.write_bytes(FLOAT)
    check_structure(path)
    assert "no TensorFlow Lite file" in structural_fault(path, WeightsKind.TFLITE)


def test_a_file_of_any_name_can_be_checked_as_onnx(tmp_path: Path) -> None:
    path = tmp_path / "f3a1"
    path.write_bytes(FLOAT)
    assert structural_fault(path, WeightsKind.ONNX) == ""
