from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from camera_app.errors import DeviceRefused, ModelError, ModelOutputError, PackRejected
from camera_app.inference import Interpreter, choose_runtime
from camera_app.inference import runtime as runtime_module
from camera_app.inference.runtime import TfliteInterpreter, TfliteRuntime


class FakeInterpreter:
    """Doubles its input; with levers. Errors pile up in its texts as those of the real one do."""

    def __init__(self) -> None:
        self.fails = 0
        self.texts = ""
        self.values = np.zeros((1, 2), np.int8)

    def get_input_details(self) -> list[dict[str, Any]]:
        return [self._details("in", 7)]

    def get_output_details(self) -> list[dict[str, Any]]:
        return [self._details("out", 9)]

    def _details(self, name: str, index: int) -> dict[str, Any]:
        return {
            "name": name,
            "index": index,
            "shape": np.array([1, 2]),
            "dtype": np.int8,
            "quantization": (0.5, 3),
        }

    def set_tensor(self, index: int, values: np.ndarray) -> None:
        assert index == 7
        self.values = values

    def invoke(self) -> None:
        if self.fails:
            self.fails -= 1
            self.texts += "Node number 34 failed to invoke.\n" * 20
            raise RuntimeError(self.texts)

    def get_tensor(self, index: int) -> np.ndarray:
        assert index == 9
        return self.values * 2


class FakeOpener:
    """Makes fakes and remembers them."""

    def __init__(self) -> None:
        self.made: list[FakeInterpreter] = []

    def __call__(self) -> FakeInterpreter:
        self.made.append(FakeInterpreter())
        return self.made[-1]


ONES = np.ones((1, 2), np.int8)


def test_an_interpreter_describes_its_tensors_and_runs() -> None:
    interpreter: Interpreter = TfliteInterpreter(FakeOpener(), where="fake")
    (spec,) = interpreter.inputs
    assert (spec.name, spec.shape, spec.dtype, spec.scale, spec.zero_point) == (
        "in",
        (1, 2),
        "int8",
        0.5,
        3,
    )
    (output,) = interpreter.invoke([ONES])
    assert (output.name, output.values.tolist(), output.scale) == ("out", [[2, 2]], 0.5)


def test_a_failed_run_is_told_shortly_and_the_next_starts_afresh() -> None:
    """The library repeats all earlier failures in each text, thousands of characters soon."""
    opener = FakeOpener()
    interpreter = TfliteInterpreter(opener, where="fake")
    opener.made[0].fails = 1
    with pytest.raises(ModelError, match="failed to invoke") as failed:
        interpreter.invoke([ONES])
    assert len(str(failed.value)) < 400
    assert interpreter.invoke([ONES])[0].values.tolist() == [[2, 2]]
    assert len(opener.made) == 2


@pytest.mark.parametrize(
    "wrong", [np.ones((1, 3), np.int8), np.ones((1, 2), np.uint8), np.ones((2,), np.int8)]
)
def test_an_input_of_another_shape_or_type_is_refused(wrong: np.ndarray) -> None:
    interpreter = TfliteInterpreter(FakeOpener(), where="fake")
    with pytest.raises(ModelOutputError, match=r"expects inputs .*\(1, 2\).*int8"):
        interpreter.invoke([wrong])


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), RuntimeError("no"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no")],
)
def test_a_file_that_the_library_refuses_is_a_rejected_pack(error: Exception) -> None:
    def fail() -> FakeInterpreter:
        raise error

    with pytest.raises(PackRejected, match=r"some/file: the runtime does not take this file: .*no"):
        TfliteInterpreter(fail, where="some/file")


def test_without_any_runtime_the_line_to_type_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_module, "KNOWN_RUNTIMES", (("not_there.at_all", "not-there"),))
    with pytest.raises(DeviceRefused, match=r"not-there: No module.*pip install ai-edge-litert"):
        choose_runtime()


def test_where_the_best_runtime_is_absent_the_next_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    second = SimpleNamespace(Interpreter=FakeInterpreter)
    monkeypatch.setitem(sys.modules, "second_best", second)  # type: ignore[arg-type]
    known = (("not_there.at_all", "not-there"), ("second_best", "second"))
    monkeypatch.setattr(runtime_module, "KNOWN_RUNTIMES", known)
    assert choose_runtime().name == "second"


def test_litert_is_chosen_and_knows_its_version() -> None:
    chosen = choose_runtime()
    assert chosen.name == "ai-edge-litert"
    assert int(chosen.version.split(".")[0]) >= 2


@pytest.mark.shared
def test_a_real_network_runs_on_the_real_runtime(shared: Path) -> None:
    """Split three inputs, put them together again: what goes in must come out."""
    interpreter = choose_runtime().load(shared / "models/edgetpu/split_concat.tflite")
    assert [spec.name for spec in interpreter.inputs] == ["input1", "inputs/rnn1", "inputs/rnn2"]
    rng = np.random.default_rng(1)
    inputs = [rng.integers(0, 256, spec.shape).astype(spec.dtype) for spec in interpreter.inputs]
    outputs = {tensor.name: tensor.values for tensor in interpreter.invoke(inputs)}
    assert len(outputs) == 5
    np.testing.assert_array_equal(outputs["concat/split0"][..., 0], inputs[0][..., 0])


@pytest.mark.shared
def test_outputs_stay_what_they_were_when_the_network_runs_again(shared: Path) -> None:
    interpreter = choose_runtime().load(shared / "models/edgetpu/split_concat.tflite")
    zeros = [np.zeros(spec.shape, spec.dtype) for spec in interpreter.inputs]
    ones = [np.ones(spec.shape, spec.dtype) for spec in interpreter.inputs]
    first = interpreter.invoke(zeros)
    interpreter.invoke(ones)
    assert not first[0].values.any()


def python(code: str, *arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_importing_the_room_imports_no_runtime() -> None:
    code = (
        "import sys, camera_app.inference; print([m for m in sys.modules if 'lite' in m.lower()])"
    )
    loaded = python(code).stdout
    assert "ai_edge_litert" not in loaded
    assert "tflite_runtime" not in loaded


@pytest.mark.shared
def test_loading_keeps_standard_error_clean_but_for_what_others_say(shared: Path) -> None:
    code = """
import os, sys
from pathlib import Path
from camera_app.inference import choose_runtime, runtime
with runtime._without_chatter():
    os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\\nsomething else\\n")
choose_runtime().load(Path(sys.argv[1]))
os.write(2, b"still here\\n")
"""
    path = shared / "models/face/blazeface_short_128_float.tflite"
    assert python(code, str(path)).stderr == "something else\nstill here\n"


@pytest.mark.shared
def test_a_network_for_an_edge_tpu_is_refused_in_words(shared: Path) -> None:
    path = shared / "models/edgetpu/split_concat_edgetpu.tflite"
    with pytest.raises(PackRejected, match="edgetpu-custom-op"):
        choose_runtime().load(path)


def test_a_runtime_is_named_after_its_distribution() -> None:
    assert TfliteRuntime(SimpleNamespace(), "ai-edge-litert").name == "ai-edge-litert"
