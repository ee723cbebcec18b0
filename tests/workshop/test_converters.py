"""The converters themselves, each where its libraries are: PyTorch here, the others in children."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tools.workshop.__main__ import main
from tools.workshop.convert import (
    Feeding,
    converted_graph,
    differences,
    operator_counts,
    random_samples,
)
from tools.workshop.environments import KERAS, ONNX, REPOSITORY
from tools.workshop.errors import WorkshopError

pytestmark = [
    pytest.mark.workshop,
    # Of PyTorch, JAX and the converter about themselves and each other.
    pytest.mark.filterwarnings("ignore"),
]
DATA = Path(__file__).parent.parent / "inference/data"
needs_onnx = pytest.mark.skipif(not ONNX.is_ready, reason="needs the environment of onnx2tf")
needs_keras = pytest.mark.skipif(not KERAS.is_ready, reason="needs the environment of Keras")


def record(run: Path) -> dict[str, Any]:
    document = json.loads((run / "convert.json").read_text())
    assert isinstance(document, dict)
    return document


# --- PyTorch ---------------------------------------------------------------------------------

MODULES = """
import torch
from torch import nn


class Odd(nn.Module):
    def forward(self, x):
        return torch.special.gammaincc(x.abs() + 1, x.abs())


class Deciding(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


def build():
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(),
        nn.Conv2d(8, 8, 3, 2, 1, groups=8), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 4, 1),
    )


def unsupported():
    return nn.Sequential(nn.Conv2d(3, 4, 1), Odd())


def deciding():
    return Deciding()


def number():
    return 3
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module of the owner's, in the current folder; returns its name."""
    pytest.importorskip("torch")
    pytest.importorskip("litert_torch")
    name = f"mine_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_a_module_becomes_a_file_without_transposes(modules: str, tmp_path: Path) -> None:
    words = ["convert", "--run", "run", "--torch", f"{modules}:build", "--shape", "1,3,32,48"]
    assert main([*words, "--divisor", "255"]) == 0
    graph = converted_graph(tmp_path / "run/float.tflite")
    assert graph.inputs[0].shape == (1, 32, 48, 3)
    assert graph.outputs[0].shape == (1, 8, 12, 4)
    assert "TRANSPOSE" not in operator_counts(graph)
    figures = record(tmp_path / "run")["figures"]
    assert all(item["share"] < 1e-4 for item in figures["differences"])
    assert figures["operators"]["PAD"] == 2
    assert any("PAD left" in line for line in figures["advice"])


def test_padding_folds_into_the_weights_and_nothing_changes(modules: str, tmp_path: Path) -> None:
    import torch

    from tools.workshop import convert_torch

    module, shape = convert_torch.to_channels_last(
        convert_torch.load_module(f"{modules}:build"), (1, 3, 32, 48)
    )
    folded, count = convert_torch.with_folded_padding(module, shape)
    x = torch.rand(shape)
    assert count == 2
    torch.testing.assert_close(folded(x)[0], module(x)[0])
    path = tmp_path / "folded.tflite"
    convert_torch.convert(folded, shape, path)
    assert "PAD" not in operator_counts(converted_graph(path))
    samples = random_samples([spec_of(path)], Feeding(divisor=255.0), 2, seed=1)
    (found,) = differences(path, samples, convert_torch.answers(module, samples), "random")
    assert found.share < 1e-4


def spec_of(path: Path) -> Any:
    from tools.workshop.convert import input_specs

    return input_specs(path)[0]


def test_padding_of_odd_maps_stays(modules: str) -> None:
    from tools.workshop import convert_torch

    module = convert_torch.load_module(f"{modules}:build")
    assert convert_torch.with_folded_padding(module, (1, 3, 33, 48))[1] == 0


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("unsupported", r"aten\.igammac.*\(layer .*1\).*Write the layer with convolutions"),
        ("deciding", r"depends on what it sees.*Take out the `if`"),
    ],
)
def test_what_cannot_be_converted_is_named(modules: str, name: str, fault: str) -> None:
    from tools.workshop import convert_torch

    module, shape = convert_torch.to_channels_last(
        convert_torch.load_module(f"{modules}:{name}"), (1, 3, 16, 16)
    )
    with pytest.raises(WorkshopError, match=fault):
        convert_torch.convert(module, shape, Path("out.tflite"))
    assert not list(Path().glob("*out.tflite*"))


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("build", "expected MODULE:CALLABLE"),
        ("no_such_module:build", "No module named"),
        ("MINE:absent", "has no attribute"),
        ("MINE:number", "made a int, expected a torch.nn.Module"),
    ],
)
def test_a_module_that_cannot_be_made_is_told(modules: str, name: str, fault: str) -> None:
    from tools.workshop import convert_torch

    with pytest.raises(WorkshopError, match=fault):
        convert_torch.load_module(name.replace("MINE", modules))


def test_a_wrong_shape_is_told_with_the_place(modules: str) -> None:
    from tools.workshop import convert_torch

    module = convert_torch.load_module(f"{modules}:build")
    with pytest.raises(WorkshopError, match=r"does not run on an input \[1, 5, 8, 8\].*--shape"):
        convert_torch.convert(module, (1, 5, 8, 8), Path("out.tflite"))


# --- ONNX ------------------------------------------------------------------------------------


@needs_onnx
def test_an_onnx_file_becomes_a_tflite_file_that_says_the_same(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["convert", "--run", str(run), "--onnx", str(DATA / "bright_things.onnx")]
    assert main([*words, "--divisor", "255"]) == 0
    graph = converted_graph(run / "float.tflite")
    assert graph.inputs[0].shape == (1, 64, 64, 3)
    assert sorted(tensor.shape for tensor in graph.outputs) == [(1, 80, 2), (1, 80, 4)]
    assert all(item["share"] < 1e-4 for item in record(run)["figures"]["differences"])
    assert [path.name for path in run.iterdir() if path.name.startswith(".")] == []


@needs_onnx
def test_operators_that_onnx2tf_does_not_know_are_named_with_their_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    value = [helper.make_tensor_value_info(n, 1, [1, 3, 8, 8]) for n in ("in", "out")]
    node = helper.make_node("MyFilter", ["in"], ["out"], name="body/odd", domain="my.company")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.company", 1)]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    path = tmp_path / "odd.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    assert main(["convert", "--run", str(tmp_path / "run"), "--onnx", str(path)]) == 2
    assert "MyFilter (layer body/odd)" in capsys.readouterr().err


# --- Keras -----------------------------------------------------------------------------------

MAKE_KERAS = """
import os, sys
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import keras
import tensorflow as tf
from keras import layers

keras.utils.set_random_seed(1)
picture = layers.Input((32, 48, 3), name="picture")
x = layers.ReLU(6.0)(layers.Conv2D(8, 3, 2, "same")(picture))
boxes = layers.Reshape((384, 4))(layers.Conv2D(4, 1)(x))
scores = layers.Reshape((384, 2))(layers.Conv2D(2, 1, activation="sigmoid")(x))
model = keras.Model(picture, [boxes, scores])
model.save("net.keras")
model.save("net.h5")
model.export("net", verbose=False)

@tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3))])
def odd(x):
    return tf.math.igamma(tf.abs(x) + 1.0, tf.abs(x), name="my_odd_layer")

module = tf.Module()
module.odd = odd
tf.saved_model.save(module, "odd", signatures={"serving_default": odd})
"""


@pytest.fixture(scope="module")
def keras_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same small network in all three forms, and one with an operator that is not to be had."""
    folder = tmp_path_factory.mktemp("keras")
    command = [str(KERAS.python), "-c", MAKE_KERAS]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return folder


@needs_keras
@pytest.mark.parametrize("name", ["net.keras", "net.h5", "net"])
def test_a_keras_network_becomes_a_tflite_file(
    keras_sources: Path, tmp_path: Path, name: str
) -> None:
    run = tmp_path / "run"
    words = ["convert", "--run", str(run), "--keras", str(keras_sources / name)]
    assert main([*words, "--divisor", "255"]) == 0
    graph = converted_graph(run / "float.tflite")
    assert graph.inputs[0].shape == (1, 32, 48, 3)
    # An open batch would leave operators that work out shapes.
    assert set(operator_counts(graph)) <= {"CONV_2D", "RESHAPE", "LOGISTIC"}
    assert all(item["share"] < 1e-4 for item in record(run)["figures"]["differences"])


@needs_keras
def test_a_keras_network_becomes_int8_with_a_calibration_folder(
    keras_sources: Path, tmp_path: Path
) -> None:
    import cv2

    rng = np.random.default_rng(1)
    for index in range(40):
        patches = rng.integers(0, 256, (4, 6, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        cv2.imwrite(str(tmp_path / f"{index}.png"), patches)
    run = tmp_path / "run"
    words = ["convert", "--run", str(run), "--keras", str(keras_sources / "net.keras")]
    words += ["--divisor", "255", "--int8", "--calibration", str(tmp_path)]
    assert main(words) == 0
    graph = converted_graph(run / "int8.tflite")
    assert {tensor.dtype for tensor in (*graph.inputs, *graph.outputs)} == {"INT8"}
    found = record(run)["figures"]["int8"]["differences"]
    assert all(0.0 < item["share"] < 0.05 for item in found)


@needs_keras
def test_an_operator_that_tensorflow_lite_lacks_is_named(
    keras_sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["convert", "--run", str(tmp_path / "run"), "--keras", str(keras_sources / "odd")]
    assert main(words) == 2
    assert "Igamma (layer my_odd_layer)" in capsys.readouterr().err


# --- the guide -------------------------------------------------------------------------------

GUIDE = REPOSITORY / "docs/guide/bring-your-own-model.md"


def test_the_network_of_the_guide_is_converted_as_the_guide_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("litert_torch")
    text = GUIDE.read_text(encoding="utf-8")
    code = text.split("```python\n", 1)[1].split("```", 1)[0]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_network.py").write_text(textwrap.dedent(code))
    line = next(line for line in text.splitlines() if "tools.workshop convert" in line)
    words = line.split("tools.workshop", 1)[1].split()
    sys.modules.pop("my_network", None)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(words) == 0
