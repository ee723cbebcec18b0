"""What comes out is what the CPU computes, in each of the three ways."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tests.edgetpu_sim.conftest import answers, are_equal, load, load_on_cpu
from tools.edgetpu_sim.compiler import compile_file
from tools.edgetpu_sim.sticks import SimulatedStick

REPOSITORY = Path(__file__).resolve().parents[2]
SHIPPED = ("person_small", "person_large", "face")
QUANTIZED = (
    "classify/mobilenet_v1_0.25_128",
    "classify/mobilenet_v2_1.0_224",
    "classify/vww_96",
    "detect/ssd_mobilenet_v1_coco_300",
    "detect/ssd_mobilenet_v1_coco_300_raw",
    "detect/yolox_nano_person_256",
    "edgetpu/split_concat",
    "embed/mobilefacenet_mask_112x96",
    "face/rfb_face_320x240",
    "face/ssd_slim_face_160x120_gray",
    "pose/movenet_lightning_192",
    "segment/deeplab_v3_dm05_513",
    "stateful/traffic_lstm_256",
)
FLOAT = ("face/blazeface_short_128_float", "face/ulffd_landmark_320x240_float")
WITHOUT_XNNPACK = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
Compute = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_size_t),
    ctypes.c_int,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_size_t),
)


def _assert_compiled_answers_as_on_the_cpu(network: Path, target: Path) -> None:
    compile_file(network, target)
    stick, cpu = load(target), load_on_cpu(network)
    for seed in range(2):
        assert are_equal(answers(stick, seed), answers(cpu, seed))


def _assert_claimed_answers_as_on_the_cpu(network: Path, stick: SimulatedStick) -> None:
    stick.claim = 1
    wrapped, cpu = load(network), load_on_cpu(network, WITHOUT_XNNPACK)
    for seed in range(2):
        assert are_equal(answers(wrapped, seed), answers(cpu, seed))
    assert stick.invokes == 2


def test_a_blank_file_answers_the_least_whatever_it_is_asked(
    stick: SimulatedStick, two_layers: Path, tmp_path: Path
) -> None:
    compile_file(two_layers, tmp_path / "blank.tflite", is_blank=True)
    blank = load(tmp_path / "blank.tflite")
    for seed in range(2):
        assert all((output == np.iinfo(output.dtype).min).all() for output in answers(blank, seed))
    assert stick.invokes == 2


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_answers_the_same_bits(
    stick: SimulatedStick, name: str, tmp_path: Path
) -> None:
    network = REPOSITORY / "models" / name / f"{name}.tflite"

    _assert_compiled_answers_as_on_the_cpu(network, tmp_path / "x_edgetpu.tflite")

    assert (stick.invokes, stick.nodes) == (2, 2)


@pytest.mark.shared
@pytest.mark.parametrize("name", QUANTIZED)
def test_a_compiled_network_answers_the_same_bits(
    stick: SimulatedStick, shared: Path, name: str, tmp_path: Path
) -> None:
    _assert_compiled_answers_as_on_the_cpu(
        shared / "models" / f"{name}.tflite", tmp_path / "x_edgetpu.tflite"
    )


def test_inputs_and_outputs_are_those_of_the_cpus_file(
    stick: SimulatedStick, two_layers: Path, compiled: Path
) -> None:
    """The application takes a compiled file only if its tensors are those of its twin."""

    def described(interpreter: Any) -> list[tuple[Any, ...]]:
        details = [*interpreter.get_input_details(), *interpreter.get_output_details()]
        return [(d["name"], tuple(d["shape"]), d["dtype"], d["quantization"]) for d in details]

    assert described(load(compiled)) == described(load_on_cpu(two_layers))


def test_every_node_of_an_unmodified_network_can_be_claimed(
    stick: SimulatedStick, two_layers: Path
) -> None:
    _assert_claimed_answers_as_on_the_cpu(two_layers, stick)

    assert stick.nodes == 2


@pytest.mark.shared
@pytest.mark.parametrize("name", [*QUANTIZED, *FLOAT])
def test_a_claimed_network_answers_the_same_bits(
    stick: SimulatedStick, shared: Path, name: str
) -> None:
    _assert_claimed_answers_as_on_the_cpu(shared / "models" / f"{name}.tflite", stick)


@pytest.mark.parametrize(("claim", "nodes"), [(0, 0), (1, 2), (2, 1), (3, 2), (9, 2)])
def test_as_many_nodes_are_claimed_as_the_lever_says(
    stick: SimulatedStick, two_layers: Path, claim: int, nodes: int
) -> None:
    stick.claim = claim

    answers(load(two_layers))

    assert stick.nodes == nodes
    assert stick.invokes == (1 if nodes else 0)


def test_garbage_is_noise_until_it_is_off(
    stick: SimulatedStick, two_layers: Path, compiled: Path
) -> None:
    interpreter, right = load(compiled), answers(load_on_cpu(two_layers))
    stick.garbage()

    first, second = answers(interpreter), answers(interpreter)

    assert not are_equal(first, right)
    assert not are_equal(first, second)
    stick.garbage(False)
    assert are_equal(answers(interpreter), right)


@pytest.fixture
def set_compute(library: Path) -> Iterator[Any]:
    """Let a function compute what really compiled networks hold."""
    plugin = ctypes.CDLL(str(library))
    kept = []  # the library keeps the bare address

    def set_to(function: Any) -> None:
        kept.append(Compute(function))
        plugin.edgetpu_sim_set_compute(kept[-1])

    yield set_to
    plugin.edgetpu_sim_set_compute(None)


def _twin(network: Path) -> Any:
    interpreter: Interpreter = load_on_cpu(network)
    [given] = interpreter.get_input_details()
    [out] = interpreter.get_output_details()

    def compute(
        options: int,
        length: int,
        input_count: int,
        inputs: Any,
        input_bytes: Any,
        output_count: int,
        outputs: Any,
        output_bytes: Any,
    ) -> int:
        raw = ctypes.string_at(inputs[0], input_bytes[0])
        values = np.frombuffer(raw, given["dtype"]).reshape(given["shape"])
        interpreter.set_tensor(given["index"], values)
        interpreter.invoke()
        result = interpreter.get_tensor(out["index"]).tobytes()
        assert (input_count, output_count, len(result)) == (1, 1, output_bytes[0])
        assert length > 0
        ctypes.memmove(outputs[0], result, len(result))
        return 0

    return compute


@pytest.mark.shared
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128", "split_concat"])
def test_a_really_compiled_file_answers_zeros(
    stick: SimulatedStick, shared: Path, name: str
) -> None:
    interpreter = load(shared / "models" / "edgetpu" / f"{name}_edgetpu.tflite")

    assert not any(values.any() for values in answers(interpreter))
    assert stick.invokes == 1


@pytest.mark.shared
def test_a_callback_computes_what_a_really_compiled_file_holds(
    stick: SimulatedStick, shared: Path, set_compute: Any
) -> None:
    twin = shared / "models" / "classify" / "mobilenet_v1_0.25_128.tflite"
    real = load(shared / "models" / "edgetpu" / "mobilenet_v1_0.25_128_edgetpu.tflite")
    set_compute(_twin(twin))

    assert are_equal(answers(real), answers(load_on_cpu(twin)))

    stick.compute = 1
    assert not answers(real)[0].any(), "the callback is left out for pure timing"


@pytest.mark.shared
def test_a_callback_that_fails_is_a_failed_answer(
    stick: SimulatedStick, shared: Path, set_compute: Any
) -> None:
    real = load(shared / "models" / "edgetpu" / "mobilenet_v1_0.25_128_edgetpu.tflite")
    set_compute(lambda *_: 1)

    with pytest.raises(RuntimeError, match=r"SIMULATED: the callback failed.*failed to invoke\.$"):
        answers(real)
