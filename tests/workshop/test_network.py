"""The network itself: what its plan decides, what it says, and how it is kept."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from camera_app.inference import Tensor, TensorSpec
from camera_app.inference.decoders import YoloxDecoder
from camera_app.models import YoloxDecode
from camera_app.values import Size
from tests.workshop.tiny_networks import furthest, pictures, said, tiny, tiny_plan
from tests.workshop.training_pictures import SIDE
from tools.workshop.errors import WorkshopError
from tools.workshop.losses import cells_of, corners_of
from tools.workshop.network import (
    PLAN_FILE,
    STRIDES,
    WEIGHTS_FILE,
    DeployedDetector,
    Detector,
    fused,
    load_run,
    read_plan,
    save,
    set_activation,
    standard_widths,
)

pytestmark = pytest.mark.workshop
CELLS = 8 * 8 + 4 * 4 + 2 * 2
SOME_LAYERS = ("stem", "down2", "stage2.narrow1", "stage3.join", "pool.reduce", "lateral4")
SOME_LAYERS += ("up3.side", "to5", "head3.stem", "head4.what0", "head5.where1")


# --- what it says ------------------------------------------------------------------------------


def test_it_says_one_row_a_cell_for_boxes_and_for_scores() -> None:
    boxes, logits = tiny(classes=("person", "dog"))(pictures(2))
    assert boxes.shape == (2, CELLS, 4)
    assert logits.shape == (2, CELLS, 3)


def test_rows_go_stride_by_stride_and_row_by_row() -> None:
    detector = tiny()
    with torch.no_grad():
        maps = detector.maps(pictures(1))
        boxes, logits = detector(pictures(1))
    assert [found.shape[2:] for found, _ in maps] == [(8, 8), (4, 4), (2, 2)]
    assert torch.equal(boxes[0, 1], maps[0][0][0, :, 0, 1])  # the second column comes second
    assert torch.equal(boxes[0, 64], maps[1][0][0, :, 0, 0])
    assert torch.equal(logits[0, -1], maps[2][1][0, :, 1, 1])


def test_the_cameras_decoder_reads_what_training_means() -> None:
    """The same places, classes and scores from the rows, by two pieces of code."""
    detector = tiny(3, classes=("person", "dog"))
    decode = YoloxDecode(family="yolox", strides=STRIDES, nms_iou=1.0)
    specs = [
        TensorSpec("boxes", (1, CELLS, 4), "float32"),
        TensorSpec("scores", (1, CELLS, 3), "float32"),
    ]
    with torch.no_grad():
        boxes, scores = DeployedDetector(detector)(pictures(1).permute(0, 2, 3, 1))
    outputs = [Tensor("boxes", boxes.numpy()), Tensor("scores", scores.numpy())]
    wide = np.array([[-1e4] * 4, [1e4] * 4])
    decoder = YoloxDecoder(decode, Size(SIDE, SIDE), 2, specs)
    found = decoder.decode(outputs, wide, min_score=0.0)

    meant = corners_of(boxes, cells_of(SIDE, SIDE, STRIDES))[0]
    products = scores[0, :, :1] * scores[0, :, 1:]
    best = products.max(dim=1)
    order = torch.argsort(best.values, descending=True, stable=True)
    assert len(found.scores) == CELLS
    np.testing.assert_allclose(found.scores, best.values[order], rtol=1e-5)
    assert found.classes.tolist() == best.indices[order].tolist()
    np.testing.assert_allclose(found.boxes, meant[order], rtol=1e-4, atol=1e-3)


def test_deployed_it_takes_bytes_with_channels_last_and_gives_scores() -> None:
    detector = tiny()
    x = pictures(1)
    with torch.no_grad():
        boxes, scores = DeployedDetector(detector)(x.permute(0, 2, 3, 1))
        own_boxes, logits = detector(x)
    assert torch.equal(boxes, own_boxes)
    assert torch.equal(scores, torch.sigmoid(logits))


def test_fused_it_says_the_same_without_a_normalisation() -> None:
    detector = tiny()
    quick = fused(detector)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in quick.modules())
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in detector.modules())
    assert furthest(said(quick, pictures()), said(detector, pictures())) < 1e-4


def test_activations_are_exchanged_everywhere_and_back() -> None:
    detector = tiny()
    before = said(detector, pictures())
    set_activation(detector, "silu")
    assert not any(isinstance(m, torch.nn.ReLU6) for m in detector.modules())
    assert furthest(said(detector, pictures()), before) > 1e-3
    set_activation(detector, "relu6")
    assert torch.equal(said(detector, pictures()), before)


# --- its plan ----------------------------------------------------------------------------------


def test_a_plan_decides_every_width() -> None:
    for name in SOME_LAYERS:
        widths = standard_widths(8, 16)
        widths[name] += 8
        plan = dataclasses.replace(tiny_plan(), widths=widths)
        boxes, _ = Detector(plan).eval()(torch.zeros(1, 3, SIDE, SIDE))
        assert boxes.shape == (1, CELLS, 4), name


def test_what_it_learns_is_convolutions_and_normalisations_and_nothing_else() -> None:
    kinds = {name.rsplit(".", 1)[1] for name in Detector(tiny_plan()).state_dict()}
    counted = {"running_mean", "running_var", "num_batches_tracked"}
    assert kinds == {"weight", "bias", *counted}


# --- keeping it --------------------------------------------------------------------------------


def test_a_saved_network_comes_back_and_says_the_same(tmp_path: Path) -> None:
    detector = tiny(classes=("person", "dog"))
    save(tmp_path, detector)
    back = load_run(tmp_path)
    assert back.plan == detector.plan
    assert not back.training
    assert torch.equal(said(back, pictures()), said(detector, pictures()))


def test_a_run_without_a_network_says_which_step_makes_one(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match=r"network\.json: is not there yet.*`train`"):
        load_run(tmp_path)
    save(tmp_path, tiny())
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises(WorkshopError, match=r"weights\.pt: is not there yet"):
        load_run(tmp_path)


def rewritten(folder: Path, **changes: Any) -> None:
    plan = json.loads((folder / PLAN_FILE).read_text())
    (folder / PLAN_FILE).write_text(json.dumps({**plan, **changes}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"height": 65}, "no whole cells"),
        ({"width": 0}, "no whole cells"),
        ({"width": "wide"}, "not a plan"),
        ({"classes": None}, "not a plan"),
        ({"depth": 3}, "not a plan"),
        ({"widths": {}}, "no whole network in it: KeyError.'stem'"),
        ({"widths": {**standard_widths(8, 16), "stem": -1}}, "no whole network"),
        ({"widths": standard_widths(16, 16)}, "do not fit the plan: .* such as stem.conv.weight"),
        ({"classes": ["person", "dog"]}, r"6 of \d+ tensors differ, such as head3.to_class.weight"),
    ],
)
def test_a_plan_that_is_wrong_or_another_networks_is_refused(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    save(tmp_path, tiny())
    rewritten(tmp_path, **changes)
    with pytest.raises(WorkshopError, match=problem) as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_no_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / PLAN_FILE).write_text("{")
    with pytest.raises(WorkshopError, match="not a plan of a network"):
        read_plan(tmp_path)


@pytest.mark.parametrize("content", [b"", b"weights", b"PK\x03\x04 half of an archive"])
def test_weights_that_are_damaged_are_refused_in_a_line(tmp_path: Path, content: bytes) -> None:
    save(tmp_path, tiny())
    (tmp_path / WEIGHTS_FILE).write_bytes(content)
    with pytest.raises(WorkshopError, match="cannot be read as PyTorch's") as caught:
        load_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_that_carry_code_are_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "was run",)

    save(tmp_path, tiny())
    torch.save({"stem.conv.weight": Evil()}, tmp_path / WEIGHTS_FILE)
    with pytest.raises(WorkshopError, match="cannot be read"):
        load_run(tmp_path)
    assert not (tmp_path / "was run").exists()


def test_weights_that_are_no_table_are_refused(tmp_path: Path) -> None:
    save(tmp_path, tiny())
    torch.save(torch.zeros(3), tmp_path / WEIGHTS_FILE)
    with pytest.raises(WorkshopError, match="holds a Tensor, no weights"):
        load_run(tmp_path)
