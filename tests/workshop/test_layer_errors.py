"""Which layer quantization ruins: hand-made twins, and a network through the real quantizer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.workshop.tflite_files import NetWriter
from tools.workshop.errors import WorkshopError
from tools.workshop.layer_errors import LayerError, compare, decibels, matched, report_lines
from tools.workshop.tflite_graph import read_graph

SIZE = 8
CHANNELS = 8
PICTURES = 4


def pictures(count: int = PICTURES) -> list[Any]:
    noise = np.random.default_rng(5)
    return [
        noise.uniform(-1, 1, (1, SIZE, SIZE, CHANNELS)).astype(np.float32) for _ in range(count)
    ]


def filters(gains: Sequence[float]) -> Any:
    """Pointwise filters that mix all channels; one gain for each that comes out."""
    mixed = np.random.default_rng(6).uniform(-1, 1, (CHANNELS, 1, 1, CHANNELS))
    return mixed / np.abs(mixed).sum(axis=3, keepdims=True) * np.reshape(gains, (-1, 1, 1, 1))


def write_twins(folder: Path, layers: Sequence[Any], ranges: Sequence[float]) -> tuple[Path, Path]:
    """Write pointwise convolutions as a float network and as its int8 one.

    Args:
        folder: Where.
        layers: Filters of each.
        ranges: Of each layer's output in the int8 network: it holds -range to range.
    """
    shape = [1, SIZE, SIZE, CHANNELS]
    plain, whole = NetWriter(), NetWriter()
    floats = [plain.tensor("picture", shape, "FLOAT32", scales=())]
    ints = [whole.tensor("picture", shape, scales=(1 / 127,))]
    for number, (weights, limit) in enumerate(zip(layers, ranges, strict=True)):
        name = f"layer{number}"
        floats.append(plain.tensor(name, shape, "FLOAT32", scales=()))
        ints.append(whole.tensor(name, shape, scales=(limit / 127,)))
        _add_conv(plain, floats, weights.astype(np.float32), np.zeros(CHANNELS, np.float32))
        scales = np.abs(weights).max(axis=(1, 2, 3)) / 127
        rounded = np.round(weights / scales.reshape(-1, 1, 1, 1)).astype(np.int8)
        _add_conv(whole, ints, rounded, np.zeros(CHANNELS, np.int32), scales=tuple(scales))
    return (
        plain.write(folder / "float.tflite", floats[:1], floats[-1:]),
        whole.write(folder / "int8.tflite", ints[:1], ints[-1:]),
    )


def _add_conv(
    net: NetWriter, tensors: Sequence[int], weights: Any, bias: Any, *, scales: Any = ()
) -> None:
    source = net.tensors[tensors[-2]].quantization
    of_bias = tuple(scale * source.scale[0] for scale in scales)
    net.operator(
        "CONV_2D",
        [
            tensors[-2],
            net.constant("weights", weights, scales=scales),
            net.constant("bias", bias, scales=of_bias),
        ],
        [tensors[-1]],
        "Conv2DOptions",
        version=3 if scales else 1,
        strideW=1,
        strideH=1,
        dilationWFactor=1,
        dilationHFactor=1,
    )


EVEN = filters([1.0] * CHANNELS)
UNEVEN = filters([100.0, 100.0, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])


def by_name(errors: Sequence[LayerError]) -> dict[str, LayerError]:
    return {error.name: error for error in errors}


def test_layers_that_fit_their_range_are_not_suspected(tmp_path: Path) -> None:
    errors = compare(*write_twins(tmp_path, [EVEN, EVEN, EVEN], [0.7, 0.4, 0.2]), pictures())

    assert len(errors) == 3
    assert min(error.own_snr_db for error in errors) > 25
    assert not any(error.is_suspect for error in errors)
    assert all(error.reason == "" for error in errors)


def test_a_layer_of_uneven_channels_stands_on_top_with_its_reason(tmp_path: Path) -> None:
    """Its quiet channels are a step of the common scale high: the mean over all hides it."""
    errors = compare(*write_twins(tmp_path, [EVEN, UNEVEN, EVEN], [0.7, 40, 40]), pictures())

    worst = errors[0]
    assert worst.name == "layer1"
    assert worst.own_snr_db < 5
    assert worst.channel_spread > 300
    assert "one scale" in worst.reason
    assert worst.total_snr_db > 25


def test_what_stands_behind_the_culprit_is_not_blamed(tmp_path: Path) -> None:
    """A layer that turns the quiet channels up again passes noise on, and adds none."""
    quiet_only = filters([1.0] * CHANNELS)
    quiet_only[..., :2] = 0
    twins = write_twins(tmp_path, [UNEVEN, quiet_only], [70, 0.05])

    errors = by_name(compare(*twins, pictures()))

    assert errors["layer0"].is_suspect
    assert errors["layer1"].total_snr_db < 10
    assert errors["layer1"].own_snr_db > 15
    assert not errors["layer1"].is_suspect


def test_clipping_is_seen(tmp_path: Path) -> None:
    errors = compare(*write_twins(tmp_path, [EVEN], [0.05]), pictures())

    assert errors[0].clipped > 0.3
    assert errors[0].range_used > 1
    assert "clipped" in errors[0].reason


def test_a_range_that_nothing_fills_is_seen(tmp_path: Path) -> None:
    errors = compare(*write_twins(tmp_path, [EVEN], [100]), pictures())

    assert errors[0].range_used < 0.02
    assert "outlier" in errors[0].reason


def test_errors_are_in_real_units(tmp_path: Path) -> None:
    """Rounding to steps of 1/127 is wrong by half of one at most, and by a quarter on average."""
    (error,) = compare(*write_twins(tmp_path, [EVEN], [1.0]), pictures())

    assert error.mean_error == pytest.approx(0.25 / 127, rel=0.3)
    assert 0.4 / 127 < error.max_error < 1.5 / 127
    assert -1 < error.low < 0 < error.high < 1


def test_layers_are_matched_by_name_where_the_order_differs(tmp_path: Path) -> None:
    before, after = NetWriter(), NetWriter()
    for net, kinds, dtype in (
        (before, ("LOGISTIC", "TANH"), "FLOAT32"),
        (after, ("LOGISTIC", "QUANTIZE", "RELU", "TANH"), "INT8"),
    ):
        tensors = [net.tensor("picture", [1, 4], dtype, scales=(0.1,) if dtype == "INT8" else ())]
        for kind in kinds:
            scales = (0.1,) if dtype == "INT8" else ()
            tensors.append(net.tensor(f"out/{kind}", [1, 4], dtype, scales=scales))
            net.operator(kind, [tensors[-2]], [tensors[-1]])
        net.write(tmp_path / f"{dtype}.tflite", tensors[:1], tensors[-1:])

    pairs = matched(read_graph(tmp_path / "FLOAT32.tflite"), read_graph(tmp_path / "INT8.tflite"))

    assert [(a.index, b.index, b.kind) for a, b in pairs] == [(0, 0, "LOGISTIC"), (1, 3, "TANH")]


def test_networks_that_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    float_path, _ = write_twins(tmp_path, [EVEN], [1.0])

    with pytest.raises(WorkshopError, match="no layer in common"):
        compare(float_path, float_path, pictures())


def test_no_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match="no pictures"):
        compare(*write_twins(tmp_path, [EVEN], [1.0]), [])


def test_a_picture_of_the_wrong_size_is_refused_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match="8, 8, 8"):
        compare(*write_twins(tmp_path, [EVEN], [1.0]), [np.zeros((1, 4, 4, 8), np.float32)])


def test_progress_is_told_once_a_picture(tmp_path: Path) -> None:
    told: list[int] = []

    compare(*write_twins(tmp_path, [EVEN], [1.0]), pictures(3), progress=lambda: told.append(1))

    assert len(told) == 3


def test_the_report_names_the_worst_first_and_every_suspect(tmp_path: Path) -> None:
    errors = compare(*write_twins(tmp_path, [EVEN, UNEVEN], [0.7, 40]), pictures())

    lines = list(report_lines(errors, most=1))

    assert lines[1].endswith("layer1")
    assert [line for line in lines if "suspect" in line] == lines[2:]
    assert len(lines) == 3


def test_no_noise_and_no_signal_are_not_infinite() -> None:
    ratios = decibels(np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0]))

    assert ratios.tolist() == [120.0, -120.0, 120.0]


@pytest.mark.workshop
@pytest.mark.filterwarnings("ignore")  # the converter's libraries warn each other
def test_a_bad_layer_is_found_after_the_real_converter_and_quantizer(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    float_path, int8_path = tmp_path / "float.tflite", tmp_path / "int8.tflite"
    _convert(torch, float_path)
    faces = [
        np.random.default_rng(n).uniform(0, 1, (1, 32, 32, 3)).astype(np.float32) for n in range(8)
    ]
    _quantize(float_path, int8_path, faces)

    errors = compare(float_path, int8_path, faces)

    assert len(errors) == 4
    worst, second, *others = errors
    assert (worst.index, second.index) == (0, 1)
    assert "one scale" in worst.reason
    # What evens the channels out has the same gap between its weights, which share a scale too.
    assert "weights" in second.reason
    assert not any(error.is_suspect for error in others)


def _convert(torch: Any, path: Path) -> None:
    """Write a float network whose first layer has channels of very different range."""
    litert_torch = pytest.importorskip("litert_torch")
    torch.manual_seed(3)
    layers = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((3, 16, 16, 16, 4))]
    gains = torch.logspace(-3, 1, 16)
    with torch.no_grad():
        layers[0].weight *= gains.reshape(-1, 1, 1, 1)
        layers[0].bias *= gains
        layers[1].weight /= gains.reshape(1, -1, 1, 1)  # evens out again what comes in
    network = torch.nn.Sequential(*layers)
    channel_last = litert_torch.to_channel_last_io(network, args=[0], outputs=[0]).eval()
    litert_torch.convert(channel_last, (torch.zeros(1, 32, 32, 3),)).export(str(path))


def _quantize(float_path: Path, int8_path: Path, faces: Sequence[Any]) -> None:
    quantizer = pytest.importorskip("ai_edge_quantizer.quantizer")
    recipe = pytest.importorskip("ai_edge_quantizer.recipe")
    (name, signature), *_ = Interpreter(str(float_path)).get_signature_list().items()
    tool = quantizer.Quantizer(str(float_path), recipe.static_wi8_ai8())
    ranges = tool.calibrate({name: [{signature["inputs"][0]: face} for face in faces]})
    tool.quantize(ranges).export_model(str(int8_path), overwrite=True)
