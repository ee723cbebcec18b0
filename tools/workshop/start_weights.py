"""Weights to start from, read out of a YOLOX-nano in a TFLite file.

A network that has seen a hundred thousand pictures is a better start than chance: its weights,
batch normalisation folded in, become ours, and normalisation is put back with the statistics of
the pictures at hand. Its activation is another one than ours; exchanged alone, the network is
ruined (person AP50 0.00 on 128 pictures of COCO), since each layer gets other numbers than it was
made for. With the normalisations measured anew after the exchange it sees again (0.22), before
any training.

Source: the layout of Megvii's YOLOX-nano; the converter numbers each layer's addition of a bias in
the order in which the network was traced, and by that number layers are told apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tools.workshop.errors import WorkshopError
from tools.workshop.network import Detector, set_activation
from tools.workshop.normalisation import measure_anew, renormalise
from tools.workshop.tflite_graph import Graph, GraphTensor, read_graph

Reals = npt.NDArray[np.float32]

NUMBER = re.compile(r"tf\.math\.add(?:_(\d+))?/")
# The first convolution and the depthwise one after it come in three groups of channels, each
# with its own quantisation.
STEM = (0, 1, 2)
DOWN1 = (3, 4, 5)
# Where the four quarters of a picture, of which the first convolution is fed every second row
# and column, come from: row and column.
QUARTERS = ((0, 0), (1, 0), (0, 1), (1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A convolution of the file, as real numbers.

    Attributes:
        weights: (out, rows, columns, in), or (1, rows, columns, channels) if depthwise.
        bias: (out,).
        depthwise: Each channel by itself.
    """

    weights: Reals
    bias: Reals
    depthwise: bool

    def as_torch(self) -> Tensor:
        """Return the weights in PyTorch's order."""
        axes = (3, 0, 1, 2) if self.depthwise else (0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(self.weights.transpose(axes)))


def read_layers(path: Path) -> dict[int, Layer]:
    """Return the convolutions of a TFLite file by their number.

    Raises:
        WorkshopError: It is no such file, or has no such numbers.
    """
    try:
        found = dict(_layers(read_graph(path)))
    except ValueError as error:
        raise _no_teacher(path, str(error)) from error
    if not found:
        raise _no_teacher(path, "no layer carries a number")
    return found


def _layers(graph: Graph) -> Iterable[tuple[int, Layer]]:
    for operator in graph.operators:
        number = NUMBER.search(operator.outputs[0].name) if operator.outputs else None
        if number is not None and operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weights, bias = (_reals(tensor) for tensor in operator.inputs[1:3])
            depthwise = operator.kind == "DEPTHWISE_CONV_2D"
            yield int(number[1] or 0), Layer(weights, bias, depthwise)


def _reals(tensor: GraphTensor | None) -> Reals:
    if tensor is None or tensor.values is None:
        raise ValueError("a layer has no constant weights")
    values = tensor.values.astype(np.float32)
    quantisation = tensor.quantisation
    if quantisation is None:
        return values
    sides = [1] * values.ndim
    if quantisation.is_per_channel:
        sides[quantisation.axis] = -1
    scales, zeros = (
        np.array(numbers, np.float32).reshape(sides)
        for numbers in (quantisation.scales, quantisation.zero_points)
    )
    return np.asarray((values - zeros) * scales, np.float32)


def start_from(
    detector: Detector, path: Path, classes: Iterable[int], pictures: Sequence[Tensor]
) -> None:
    """Give a network of standard widths the weights of a YOLOX-nano.

    Args:
        detector: Changed in place.
        path: The TFLite file.
        classes: Which of the file's classes the network's own are, in order.
        pictures: Some to measure statistics on: batches, float32 (n, 3, height, width).

    Raises:
        WorkshopError: The file is none, or its layers do not fit.
    """
    set_activation(detector, "silu")
    _set_all(detector, path, classes)
    renormalise(detector, pictures)
    if detector.plan.activation != "silu":
        set_activation(detector, detector.plan.activation)
        measure_anew(detector, pictures)


def _set_all(detector: Detector, path: Path, classes: Iterable[int]) -> None:
    layers = read_layers(path)
    modules = dict(detector.named_modules())
    kept = list(classes)
    try:
        _set(modules, "stem.conv", joined_stem([layers[number] for number in STEM]))
        _set(modules, "down1.depthwise.0", _joined([layers[number] for number in DOWN1], axis=3))
        for number, name in numbered().items():
            layer = layers[number]
            if name.endswith("to_class"):
                layer = Layer(layer.weights[kept], layer.bias[kept], depthwise=False)
            _set(modules, name, layer)
    except (KeyError, IndexError, ValueError) as error:
        raise _no_teacher(path, f"its layers do not fit: {error}") from error


def _no_teacher(path: Path, why: str) -> WorkshopError:
    return WorkshopError(
        f"this is not a YOLOX-nano to start from: {why}",
        where=str(path),
        remedy="Give yolox_nano_coco_416.tflite, with --base 16 and --head 64, or --start none",
    )


def _joined(layers: list[Layer], axis: int) -> Layer:
    weights = np.concatenate([layer.weights for layer in layers], axis=axis)
    bias = np.concatenate([layer.bias for layer in layers])
    return Layer(weights, bias, layers[0].depthwise)


def joined_stem(layers: list[Layer]) -> Layer:
    """Return a 3x3 convolution over four quarters as one 6x6 over the picture: the same sums."""
    joined = _joined(layers, axis=0)
    weights = np.zeros((len(joined.bias), 6, 6, 3), np.float32)
    for quarter, (row, column) in enumerate(QUARTERS):
        weights[:, row::2, column::2] = joined.weights[..., quarter * 3 : quarter * 3 + 3]
    return Layer(weights, joined.bias, depthwise=False)


def _set(modules: Mapping[str, nn.Module], name: str, layer: Layer) -> None:
    conv = modules[name]
    assert isinstance(conv, nn.Conv2d)
    weights = layer.as_torch()
    if conv.weight.shape != weights.shape:
        expected, got = list(conv.weight.shape), list(weights.shape)
        raise ValueError(f"{name} has weights {expected}, the file {got}")
    conv.weight.data.copy_(weights)
    norm = modules.get(_norm_of(name))
    bias = torch.from_numpy(layer.bias.copy())
    if not isinstance(norm, nn.BatchNorm2d):
        assert conv.bias is not None
        conv.bias.data.copy_(bias)
        return
    norm.weight.data.fill_(1.0)
    norm.bias.data.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1.0 - norm.eps)


def _norm_of(name: str) -> str:
    if name.endswith("depthwise.0"):
        return name[:-1] + "1"
    return name.removesuffix("conv") + "norm" if name.endswith("conv") else ""


def numbered() -> dict[int, str]:
    """Return our layers by the numbers that the file's have."""
    names = {6: "down1.conv", 57: "pool.reduce.conv", 58: "pool.join.conv"}
    names |= {65: "lateral5.conv", 72: "lateral4.conv"}
    for name, depthwise, pointwise in (
        ("down2", 15, 16),
        ("down3", 35, 36),
        ("down4", 55, 56),
        ("to4", 79, 81),
        ("to5", 99, 101),
    ):
        names |= {depthwise: f"{name}.depthwise.0", pointwise: f"{name}.conv"}
    for name, numbers in {
        "stage1": (7, 8, 9, 10, 11, 14),
        "stage2": (17, 18, 19, 20, 21, 24, 25, 26, 29, 30, 31, 34),
        "stage3": (37, 38, 39, 40, 41, 44, 45, 46, 49, 50, 51, 54),
        "stage4": (59, 60, 61, 62, 63, 64),
        "up4": (66, 67, 68, 69, 70, 71),
        "up3": (73, 74, 75, 76, 77, 78),
        "down4out": (86, 87, 90, 93, 97, 98),
        "down5out": (106, 107, 110, 113, 117, 118),
    }.items():
        names |= dict(zip(numbers, _cross(name, len(numbers) // 3 - 1), strict=True))
    for level, numbers in {
        3: (80, 82, 83, 84, 85, 88, 89, 91, 92, 94, 95, 96),
        4: (100, 102, 103, 104, 105, 108, 109, 111, 112, 114, 115, 116),
        5: (119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130),
    }.items():
        names |= {n: f"head{level}.{part}" for n, part in zip(numbers, HEAD, strict=True)}
    return names


HEAD = (
    "stem.conv",
    *("what0.depthwise.0", "where0.depthwise.0", "what0.conv", "where0.conv"),
    *("what1.depthwise.0", "where1.depthwise.0", "what1.conv", "where1.conv"),
    *("to_class", "to_box", "to_objectness"),
)


def _cross(name: str, depth: int) -> list[str]:
    names = [f"{name}.main.conv", f"{name}.side.conv"]
    for index in range(depth):
        names.append(f"{name}.narrow.{index}.conv")
        names.extend((f"{name}.wide.{index}.depthwise.0", f"{name}.wide.{index}.conv"))
    return [*names, f"{name}.join.conv"]
