"""Makes the small networks of this folder: the same one for every runtime, float and quantised.

    .venv-workshop/bin/python tests/inference/data/make.py

A detector whose weights are set by hand, not learned: it finds bright things. A cell of 8 or 16
pixels holds one if it is bright in the middle of the range or above; the redder, the wider the
box, the greener, the higher; blue moves it. So a swapped channel, axis or scale changes the boxes.
"""

from __future__ import annotations

from pathlib import Path

import litert_torch
import numpy as np
import onnx
import torch
from ai_edge_quantizer import quantizer, recipe
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = Path(__file__).parent
SIDE = 64
STRIDES = (8, 16)


class Cells(nn.Module):
    """One stride: boxes (1, n, 4) and scores (1, n, 2) of a picture in 0..1, channels first."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.mean = nn.Conv2d(3, 3, stride, stride, groups=3, bias=False)
        self.box = nn.Conv2d(3, 4, 1)
        self.score = nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            self.mean.weight.fill_(1 / stride**2)
            self.box.weight.zero_()
            self.box.weight[2, 0] = 1.0
            self.box.weight[3, 1] = 1.0
            # A channel without any weight would lose its bias in int8: its scale is nothing.
            self.box.weight[:2, 2] = 0.5
            self.box.bias.copy_(torch.tensor([0.25, 0.25, 0.0, 0.0]))
            self.score.weight.fill_(8.0)
            self.score.bias.fill_(-12.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = self.mean(x)
        return rows(self.box(mean)), rows(torch.sigmoid(self.score(mean)))


def rows(maps: torch.Tensor) -> torch.Tensor:
    """Return maps (1, c, h, w) as rows (1, h * w, c)."""
    return maps.permute(0, 2, 3, 1).reshape(1, -1, maps.shape[1])


class BrightThings(nn.Module):
    """The detector."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList(Cells(stride) for stride in STRIDES)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        boxes, scores = zip(*(cells(x) for cells in self.cells), strict=True)
        return torch.cat(boxes, 1), torch.cat(scores, 1)


def make_tflite(model: nn.Module) -> None:
    path = HERE / "bright_things.tflite"
    last = litert_torch.to_channel_last_io(model, args=[0])
    litert_torch.convert(last, (torch.rand(1, SIDE, SIDE, 3),)).export(str(path))
    maker = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    samples = [{"args_0": sample} for sample in blocks(16)]
    ranges = maker.calibrate({"serving_default": samples})
    maker.quantize(ranges).export_model(str(HERE / "bright_things_int8.tflite"), overwrite=True)


def blocks(count: int) -> list[np.ndarray]:
    """Return pictures of 16-pixel blocks, black, white and in colours: the whole range in each."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 2, (count, 1, 4, 4, 3)).astype(np.float32)
    colours[..., 0, 0, :], colours[..., 0, 1, :] = 0.0, 1.0
    return list(colours.repeat(16, axis=2).repeat(16, axis=3))


def make_onnx(model: nn.Module) -> None:
    path = HERE / "bright_things.onnx"
    torch.onnx.export(
        model,
        (torch.rand(1, 3, SIDE, SIDE),),
        str(path),
        input_names=["picture"],
        output_names=["boxes", "scores"],
        opset_version=18,
        external_data=False,
        dynamo=True,
    )
    onnx.save(stripped(onnx.load(path)), path)
    onnx.save(with_integers_outside(onnx.load(path)), HERE / "bright_things_int8.onnx")


def stripped(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model without the notes of its exporter, which name files of this machine."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    return model


def with_integers_outside(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model whose input and outputs are int8: quantised at its edges only."""
    graph = model.graph
    (picture,) = graph.input
    first = quantised_edge(graph, picture, "DequantizeLinear", 1 / 255, -128)
    for node in graph.node:
        node.input[:] = [f"{name}_real" if name == picture.name else name for name in node.input]
    last = [
        quantised_edge(graph, output, "QuantizeLinear", scale, zero)
        for output, scale, zero in zip(graph.output, (1 / 100, 1 / 256), (0, -128), strict=True)
    ]
    for node in graph.node:
        made = {output.name for output in graph.output}
        node.output[:] = [f"{name}_real" if name in made else name for name in node.output]
    graph.node.insert(0, first)
    graph.node.extend(last)
    onnx.checker.check_model(model)
    return model


def quantised_edge(
    graph: onnx.GraphProto, value: onnx.ValueInfoProto, kind: str, scale: float, zero: int
) -> onnx.NodeProto:
    value.type.tensor_type.elem_type = TensorProto.INT8
    scale_name, zero_name = f"{value.name}_scale", f"{value.name}_zero"
    graph.initializer.append(numpy_helper.from_array(np.float32(scale), scale_name))
    graph.initializer.append(helper.make_tensor(zero_name, TensorProto.INT8, [], [zero]))
    outside, inside = value.name, f"{value.name}_real"
    ends = (outside, inside) if kind == "DequantizeLinear" else (inside, outside)
    return helper.make_node(kind, [ends[0], scale_name, zero_name], [ends[1]])


if __name__ == "__main__":
    torch.manual_seed(1)
    network = BrightThings().eval()
    make_tflite(network)
    make_onnx(network)
