"""Weights from a YOLOX-nano: they mean the same here as in the file that they come from."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional

from camera_app.commands.detect import read_picture
from camera_app.inference import load_network
from camera_app.inference.quantization import dequantise
from camera_app.models import find_pack
from tests.workshop.tiny_networks import furthest, pictures, said, tiny_plan
from tools.workshop.errors import WorkshopError
from tools.workshop.losses import cells_of, corners_of, overlap
from tools.workshop.network import STRIDES, Detector, NetworkPlan, standard_widths
from tools.workshop.start_weights import (
    QUARTERS,
    Layer,
    joined_stem,
    numbered,
    read_layers,
    start_from,
)

pytestmark = pytest.mark.workshop
NANO = "models/detect/yolox_nano_coco_416.tflite"


def test_a_6x6_convolution_over_the_picture_is_a_3x3_one_over_its_quarters() -> None:
    noise = np.random.default_rng(0)
    groups = [
        Layer(noise.normal(size=(n, 3, 3, 12)).astype(np.float32), np.zeros(n, np.float32), False)
        for n in (3, 4, 1)
    ]
    over_quarters = torch.cat([group.as_torch() for group in groups])
    x = torch.from_numpy(noise.normal(size=(1, 3, 32, 48)).astype(np.float32))
    quarters = torch.cat([x[..., row::2, column::2] for row, column in QUARTERS], dim=1)
    expected = functional.conv2d(quarters, over_quarters, padding=1)

    stem = Detector(tiny_plan()).stem.conv
    stem.weight.data.copy_(joined_stem(groups).as_torch())
    with torch.no_grad():
        assert furthest(stem(x), expected) < 1e-4


def test_every_layer_of_the_network_has_a_number_and_only_one() -> None:
    names = list(numbered().values())
    assert len(names) == len(set(names))
    plan = NetworkPlan(("person",), 32, 32, standard_widths())
    convolutions = {
        name
        for name, module in Detector(plan).named_modules()
        if isinstance(module, torch.nn.Conv2d)
    }
    # These two lie in the file in three parts each.
    assert set(names) == convolutions - {"stem.conv", "down1.depthwise.0"}


@pytest.mark.shared
def test_it_sees_what_the_file_sees(shared: Path) -> None:
    """The file computes in int8, so the same only nearly: scores, classes and boxes."""
    pack = find_pack("yolox_nano_coco_416")
    network = load_network(pack)
    path = sorted((shared / "images/coco_val128").rglob("*.jpg"))[0]
    prepared = network.prepare(read_picture(str(path)))
    boxes, scores = (
        torch.from_numpy(dequantise(tensor.values, tensor)).float()
        for tensor in sorted(network.invoke(prepared), key=lambda one: one.values.shape[-1])
    )
    plan = NetworkPlan(pack.labels, 416, 416, standard_widths(), activation="silu")
    detector = Detector(plan).eval()
    x = torch.from_numpy(prepared.tensor).float().permute(0, 3, 1, 2) + 128  # int8 to bytes
    start_from(detector, shared / NANO, range(80), [x])
    with torch.no_grad():
        own_boxes, logits = detector(x)
    own_scores = torch.sigmoid(logits)
    theirs, ours = (one[..., :1] * one[..., 1:] for one in (scores, own_scores))
    sure = theirs.amax(-1) > 0.3
    assert int(sure.sum()) > 20
    assert torch.equal(theirs[sure].argmax(-1), ours[sure].argmax(-1))
    best = torch.stack((theirs.amax(-1)[0], ours.amax(-1)[0]))
    assert torch.corrcoef(best)[0, 1].item() > 0.95
    cells = cells_of(416, 416, STRIDES)
    fits = overlap(corners_of(boxes, cells)[sure], corners_of(own_boxes, cells)[sure])
    assert fits.mean().item() > 0.9


@pytest.mark.shared
def test_the_classes_that_are_wanted_are_taken_in_their_order(shared: Path) -> None:
    layers = read_layers(shared / NANO)
    (number,) = [n for n, name in numbered().items() if name == "head4.to_class"]
    detector = Detector(NetworkPlan(("dog", "person"), 64, 64, standard_widths()))
    start_from(detector, shared / NANO, (16, 0), [pictures(2)])
    expected = layers[number].as_torch()[[16, 0]]
    assert torch.equal(detector.head4.to_class.weight.data, expected)
    assert isinstance(detector.stem.act, torch.nn.ReLU6)
    assert torch.isfinite(said(detector, pictures(1))).all()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("file", "widths", "classes", "problem"),
    [
        ("models/detect/ssd_mobilenet_v1_coco_300.tflite", standard_widths(), (0,), "YOLOX-nano"),
        (NANO, standard_widths(8, 16), (0,), r"stem.conv has weights \[8, 3, 6, 6\], the file"),
        (NANO, standard_widths(), (80,), "out of bounds"),
    ],
)
def test_files_and_networks_that_do_not_fit_are_refused(
    shared: Path, file: str, widths: dict[str, int], classes: tuple[int, ...], problem: str
) -> None:
    detector = Detector(NetworkPlan(("person",), 64, 64, widths))
    with pytest.raises(WorkshopError, match=problem) as caught:
        start_from(detector, shared / file, classes, [pictures(1)])
    assert caught.value.where == str(shared / file)
    assert caught.value.remedy


@pytest.mark.parametrize("content", [None, b"", b"no network", b"\x1c\0\0\0TFL3" + b"\xff" * 64])
def test_what_is_no_network_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.tflite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkshopError) as caught:
        read_layers(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
