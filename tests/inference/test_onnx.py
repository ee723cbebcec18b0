from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from camera_app.errors import DeviceRefused, ModelError, ModelOutputError, PackRejected
from camera_app.inference import runtime_for
from camera_app.inference.onnx import (
    OnnxInterpreter,
    OnnxRuntime,
    choose_onnx_runtime,
    foreign_errors,
)
from camera_app.inference.preprocess import Preprocessor
from camera_app.inference.runtime import TensorSpec
from camera_app.models import InputGeometry, Scaling, WeightsKind, kind_of
from camera_app.models.pack import Normalisation
from camera_app.values import Rgb

NETWORK = Path(__file__).parent / "data/bright_things.onnx"
ERRORS = (RuntimeError,)


class FakeSession:
    """An `InferenceSession` that doubles its input; with a lever to fail."""

    def __init__(self, shape: Sequence[Any] = (1, 2), kind: str = "tensor(int8)") -> None:
        self.shape = list(shape)
        self.kind = kind
        self.fails = False

    def get_inputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="in", shape=self.shape, type=self.kind)]

    def get_outputs(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(name="out", shape=self.shape, type=self.kind)]

    def run(self, _: None, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        if self.fails:
            raise RuntimeError("Non-zero status code returned while running Reshape node")
        return [feeds["in"] * 2]


def interpreter(session: FakeSession) -> OnnxInterpreter:
    return OnnxInterpreter(session, {"out": Scaling(0.5, 3)}, ERRORS, where="fake")


def test_an_open_batch_is_one_picture() -> None:
    loaded = interpreter(FakeSession(["batch", 2]))
    assert (loaded.inputs[0].shape, loaded.outputs[0].shape) == ((1, 2), (1, 2))
    (output,) = loaded.invoke([np.ones((1, 2), np.int8)])
    assert (output.values.tolist(), output.scale, output.zero_point) == ([[2, 2]], 0.5, 3)


@pytest.mark.parametrize("shape", [(1, "height", 2), (1, None, 2), ("batch", 3, "h", "w"), (1, 0)])
def test_an_input_whose_sides_are_open_is_refused(shape: tuple[Any, ...]) -> None:
    with pytest.raises(PackRejected, match=r"fake: input in has sides .*without dynamic axes"):
        interpreter(FakeSession(shape))


def test_an_output_that_is_known_only_after_a_run_has_no_shape() -> None:
    session = FakeSession()
    session.get_outputs = lambda: [  # type: ignore[method-assign]
        SimpleNamespace(name="out", shape=[1, "found", 4], type="tensor(float)")
    ]
    assert interpreter(session).outputs[0].shape == ()


def test_a_tensor_that_is_no_array_of_numbers_is_refused() -> None:
    with pytest.raises(PackRejected, match=r"tensor in is of type seq\(tensor\(float\)\)"):
        interpreter(FakeSession(kind="seq(tensor(float))"))


def test_a_failed_run_is_an_error_of_the_model_and_the_next_one_works() -> None:
    session = FakeSession()
    loaded = interpreter(session)
    session.fails = True
    with pytest.raises(ModelError, match="fake: the network failed to run: .*Reshape node"):
        loaded.invoke([np.ones((1, 2), np.int8)])
    session.fails = False
    assert loaded.invoke([np.ones((1, 2), np.int8)])[0].values.tolist() == [[2, 2]]


def test_without_the_library_the_line_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeviceRefused, match=r"ONNX file.*pip install onnxruntime"):
        choose_onnx_runtime()


def test_the_kind_of_the_weights_chooses_the_runtime() -> None:
    assert runtime_for(kind_of("network.onnx")).name == "onnxruntime"
    assert runtime_for(kind_of("Network.ONNX")).name == "onnxruntime"
    assert runtime_for(kind_of("network.tflite")).name == "ai-edge-litert"
    assert kind_of("weights.bin") is WeightsKind.TFLITE


def test_every_error_of_the_library_is_translated() -> None:
    """They share no base, and a new release may bring new ones: all of them must be caught."""
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = {name for name, kind in vars(state).items() if is_error(kind)}
    assert {"Fail", "InvalidArgument", "InvalidProtobuf", "NotImplemented"} <= names
    caught = foreign_errors(onnxruntime)
    assert all(issubclass(getattr(state, name), caught) for name in names)


def is_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Exception)


def test_the_library_is_told_to_say_nothing_to_anybody() -> None:
    said = []
    module = SimpleNamespace(
        __name__="onnxruntime",
        disable_telemetry_events=lambda: said.append("no telemetry"),
        set_default_logger_severity=lambda level: said.append(f"level {level}"),
    )
    OnnxRuntime(module)
    assert said == ["no telemetry", "level 3"]


def test_a_session_gets_one_thread_and_only_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    runtime = choose_onnx_runtime()
    asked: dict[str, Any] = {}

    def remember(path: str, *, sess_options: Any, providers: list[str]) -> Any:
        asked.update(options=sess_options, providers=providers)
        return FakeSession()

    monkeypatch.setattr(onnxruntime, "InferenceSession", remember)
    runtime.load(NETWORK)
    options = asked["options"]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert asked["providers"] == ["CPUExecutionProvider"]


def test_loading_says_nothing_on_standard_error() -> None:
    code = """
import sys
from pathlib import Path
from camera_app.inference import runtime_named
runtime_named("onnxruntime").load(Path(sys.argv[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(NETWORK)],
        env={"PYTHONPATH": ":".join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("", "")


# --- channels first --------------------------------------------------------------------------


def test_channels_first_holds_the_same_numbers_in_another_order() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    unit = Normalisation(mean=0, divisor=255)
    last = InputGeometry(width=8, height=6, normalise=unit)
    first = last.model_copy(update={"layout": "nchw"})
    a = Preprocessor(last, TensorSpec("in", (1, 6, 8, 3), "float32")).prepare(Rgb(pixels)).tensor
    b = Preprocessor(first, TensorSpec("in", (1, 3, 6, 8), "float32")).prepare(Rgb(pixels)).tensor
    assert b.flags.c_contiguous
    assert b.dtype == np.float32
    np.testing.assert_array_equal(b, a.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(b[0, 2], pixels[..., 2] / 255, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_channels_first_of_integers(dtype: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
    geometry = InputGeometry(width=8, height=6, layout="nchw")
    spec = TensorSpec("in", (1, 3, 6, 8), dtype, 1.0, 0)
    tensor = Preprocessor(geometry, spec).prepare(Rgb(pixels)).tensor
    offset = 128 if dtype == "int8" else 0
    np.testing.assert_array_equal(tensor[0].astype(int) + offset, pixels.transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("layout", "shape", "other"), [("nhwc", (1, 3, 6, 8), "nchw"), ("nchw", (1, 6, 8, 3), "nhwc")]
)
def test_channels_in_the_other_place_are_refused_with_the_line_to_write(
    layout: str, shape: tuple[int, ...], other: str
) -> None:
    geometry = InputGeometry(width=8, height=6).model_copy(update={"layout": layout})
    with pytest.raises(ModelOutputError, match=f'Write layout = "{other}" below'):
        Preprocessor(geometry, TensorSpec("in", shape, "uint8"))
