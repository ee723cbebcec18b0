"""From a trained network to int8: what the file holds, what it loses, and what is refused."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("ai_edge_quantizer")

from camera_app.commands.detect import read_picture
from camera_app.inference import Network
from camera_app.inference.quantization import dequantise
from tests.workshop.tiny_networks import short, tiny_plan
from tests.workshop.training_pictures import painted_set
from tools.workshop.__main__ import main
from tools.workshop.augment import Augmentation
from tools.workshop.candidates import load_model
from tools.workshop.dataset import DataSet
from tools.workshop.errors import WorkshopError
from tools.workshop.lint import lint
from tools.workshop.network import Detector
from tools.workshop.quantize import FEWEST_PICTURES, calibration_inputs, quantize
from tools.workshop.tflite_graph import read_graph
from tools.workshop.train import Training

pytestmark = [
    pytest.mark.workshop,
    # Of PyTorch, JAX and the converter about themselves and each other.
    pytest.mark.filterwarnings("ignore"),
]


@dataclasses.dataclass(frozen=True)
class Twins:
    """A run folder with a float network and its int8 one, and how quantizing it ended."""

    run: Path
    code: int

    @property
    def networks(self) -> tuple[Network, Network]:
        return tuple(load_model(str(self.run / name)) for name in ("float.tflite", "int8.tflite"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, DataSet]:
    folder = tmp_path_factory.mktemp("data")
    return folder, painted_set(folder, FEWEST_PICTURES)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, data: tuple[Path, DataSet]) -> Twins:
    return made(tmp_path_factory.mktemp("plain"), *data)


def made(run: Path, folder: Path, data: DataSet) -> Twins:
    """Train a network that is hard to round, convert it and quantize it."""
    schedule = short(12, batch=16, rate=5e-3, how=Augmentation())
    Training(hard_to_round(), data, schedule, run).run()
    assert main(["convert", "--run", str(run)]) == 0
    words = ["quantize", "--run", str(run), "--calibration", str(folder), "--compare", "2"]
    return Twins(run, main(words))


def hard_to_round() -> Detector:
    """Return a fresh network in which one weight of each channel is far larger than the others."""
    torch.manual_seed(0)
    detector = Detector(tiny_plan())
    with torch.no_grad():
        for module in detector.modules():
            if isinstance(module, torch.nn.Conv2d):
                flat = module.weight.view(len(module.weight), -1)
                flat[:, 0] = flat.abs().amax(1) * 3
    return detector


def apart(twins: Twins, pictures: list[Path]) -> float:
    """Return how far int8 is from float over all outputs, as a share of their spread."""
    networks = twins.networks
    shares = []
    for path in pictures:
        real, rounded = (
            [
                dequantise(one.values, one)
                for one in net.invoke(net.prepare(read_picture(str(path))))
            ]
            for net in networks
        )
        shares += [np.abs(a - b).mean() / a.std() for a, b in zip(real, rounded, strict=True)]
    return float(np.mean(shares))


# --- the file ----------------------------------------------------------------------------------


def test_all_is_int8_from_the_input_to_the_outputs(plain: Twins) -> None:
    graph = read_graph(plain.run / "int8.tflite")
    assert [tensor.dtype for tensor in (*graph.inputs, *graph.outputs)] == ["INT8"] * 3
    kinds = {t.dtype for operator in graph.operators for t in (*operator.given, *operator.outputs)}
    assert not {kind for kind in kinds if kind.startswith("FLOAT")}


def test_weights_have_a_scale_for_each_channel(plain: Twins) -> None:
    graph = read_graph(plain.run / "int8.tflite")
    weights = [o.inputs[1] for o in graph.operators if o.kind == "CONV_2D"]
    assert weights
    for tensor in weights:
        assert tensor is not None
        assert tensor.quantisation is not None
        assert len(tensor.quantisation.scales) == tensor.shape[0]


def test_an_edge_tpu_takes_every_operator(plain: Twins) -> None:
    report = lint(plain.run / "int8.tflite")
    assert report.blocker is None
    assert (report.on_cpu, report.on_device > 30) == (0, True)


def test_a_byte_of_a_picture_stands_for_itself_at_the_input(plain: Twins) -> None:
    """Black and white are among what it is calibrated on, whatever the pictures hold."""
    source = read_graph(plain.run / "int8.tflite").inputs[0].quantisation
    assert source is not None
    assert source.scales[0] == pytest.approx(1.0, abs=0.005)
    assert source.zero_points[0] == -128


# --- what it loses -----------------------------------------------------------------------------


def test_int8_says_nearly_what_the_float_network_says(
    plain: Twins, data: tuple[Path, DataSet]
) -> None:
    assert apart(plain, [image.path for image in data[1].images[:4]]) < 0.2


def test_what_was_done_is_recorded(plain: Twins) -> None:
    record = json.loads((plain.run / "quantize.json").read_text())
    figures = record["figures"]
    assert figures["pictures"] == FEWEST_PICTURES
    assert figures["float_bytes"] == (plain.run / "float.tflite").stat().st_size
    assert figures["int8_bytes"] == (plain.run / "int8.tflite").stat().st_size
    layers = json.loads((plain.run / "layer_errors.json").read_text())
    assert set(figures["suspect_layers"]) <= {layer["name"] for layer in layers}
    # Suspect layers are told by the exit status as well: whoever scripts it can stop.
    assert plain.code == bool(figures["suspect_layers"])


# --- refusals ----------------------------------------------------------------------------------


def test_too_few_pictures_are_counted(plain: Twins, data: tuple[Path, DataSet]) -> None:
    few = dataclasses.replace(data[1], images=data[1].images[:10])
    with pytest.raises(WorkshopError, match="10 of 10 pictures are too few"):
        calibration_inputs(plain.run / "float.tflite", few, 300)
    with pytest.raises(WorkshopError, match="5 of 64 pictures are too few"):
        calibration_inputs(plain.run / "float.tflite", data[1], 5)


def test_a_picture_that_cannot_be_read_is_named(
    plain: Twins, data: tuple[Path, DataSet], tmp_path: Path
) -> None:
    broken = dataclasses.replace(data[1].images[0], path=tmp_path / "broken.png")
    broken.path.write_bytes(b"no picture")
    spoilt = dataclasses.replace(data[1], images=(*data[1].images, broken))
    with pytest.raises(WorkshopError, match=r"broken\.png"):
        calibration_inputs(plain.run / "float.tflite", spoilt, 300)


def test_a_network_of_which_some_stays_in_real_numbers_is_refused(
    plain: Twins, data: tuple[Path, DataSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left that could be taken for an int8 file."""
    from ai_edge_quantizer import quantizer

    source = plain.run / "float.tflite"
    result = type("Result", (), {"quantized_model": source.read_bytes()})
    monkeypatch.setattr(quantizer.Quantizer, "quantize", lambda *_: result)
    inputs = calibration_inputs(source, data[1], FEWEST_PICTURES)[:2]
    with pytest.raises(WorkshopError, match=r"\d+ operators have no integer form .* such as"):
        quantize(source, tmp_path / "int8.tflite", inputs)
    assert not (tmp_path / "int8.tflite").exists()


def test_an_integer_network_is_not_quantized_again(
    plain: Twins, data: tuple[Path, DataSet], tmp_path: Path
) -> None:
    shutil.copy(plain.run / "network.json", tmp_path)
    shutil.copy(plain.run / "int8.tflite", tmp_path / "float.tflite")
    words = ["quantize", "--run", str(tmp_path), "--calibration", str(data[0])]
    assert main(words) == 2
