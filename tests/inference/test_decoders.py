"""Each decoder on tensors made by hand, the expected boxes worked out beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from camera_app.errors import ModelOutputError
from camera_app.inference.decoders import (
    BlazefaceDecoder,
    ClassifierDecoder,
    EmbeddingDecoder,
    SsdAnchorsDecoder,
    SsdPostprocessDecoder,
    UlfgDecoder,
    YoloxDecoder,
    ssd_anchors,
)
from camera_app.inference.decoders.ulfg import priors
from camera_app.inference.runtime import Tensor, TensorSpec
from camera_app.models import (
    BlazefaceDecode,
    EmbeddingDecode,
    SsdAnchorsDecode,
    SsdPostprocessDecode,
    UlfgDecode,
    YoloxDecode,
)
from camera_app.values import Size

BOUNDS = np.array([[0.0] * 4, [64.0] * 4])


def specs(tensors: Sequence[Tensor]) -> list[TensorSpec]:
    return [
        TensorSpec(t.name, t.values.shape, t.values.dtype.name, t.scale, t.zero_point)
        for t in tensors
    ]


def raw(real: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    return np.rint(real / scale + zero_point).astype(np.int8)


# --- yolox -----------------------------------------------------------------------------------

YOLOX = YoloxDecode(family="yolox", strides=(8, 16, 32), nms_iou=0.65)
CELLS = 64 + 16 + 4


def yolox_tensors() -> list[Tensor]:
    """Return the two outputs for 64x64 and 2 classes: one object a stride."""
    scores = np.zeros((1, CELLS, 3))
    boxes = np.zeros((1, CELLS, 4))
    scores[0, 8 * 2 + 3] = (0.9, 0.0, 0.9)  # stride 8, row 2, column 3: class 1
    boxes[0, 8 * 2 + 3] = (0.5, 0.25, math.log(2), 0.0)
    scores[0, 64 + 4 * 1 + 2] = (0.8, 0.7, 0.1)  # stride 16, row 1, column 2: class 0
    scores[0, 80 + 3] = (0.5, 0.5, 0.0)  # stride 32, row 1, column 1: 0.25, below 0.3
    return [
        Tensor("scores", raw(scores, 1 / 255, -128), 1 / 255, -128),
        Tensor("boxes", raw(boxes, 0.025, -20), 0.025, -20),
    ]


def test_yolox_finds_each_object_in_its_cell() -> None:
    tensors = yolox_tensors()
    found = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors)).decode(
        tensors, BOUNDS, min_score=0.3
    )
    assert found.classes.tolist() == [1, 0]
    np.testing.assert_allclose(found.scores, [0.81, 0.56], atol=0.01)
    # Centre (3.5, 2.25) cells of 8 pixels, 16 wide and 8 high; the second (2, 1) of 16, 16 wide.
    np.testing.assert_allclose(found.boxes, [[20, 14, 36, 22], [24, 8, 40, 24]], atol=0.3)


def test_yolox_takes_its_outputs_in_any_order() -> None:
    tensors = yolox_tensors()
    straight = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors))
    turned = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors[::-1]))
    one = straight.decode(tensors, BOUNDS, min_score=0.2)
    other = turned.decode(tensors[::-1], BOUNDS, min_score=0.2)
    np.testing.assert_array_equal(one.boxes, other.boxes)
    assert len(one.boxes) == 3


def test_yolox_clips_to_the_frame() -> None:
    tensors = yolox_tensors()
    decoder = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors))
    bounds = np.array([[22.0, 0, 22, 0], [64, 18, 64, 18]])
    found = decoder.decode(tensors, bounds, min_score=0.7)
    np.testing.assert_allclose(found.boxes, [[22, 14, 36, 18]], atol=0.3)


def test_yolox_with_a_threshold_nothing_reaches_finds_nothing() -> None:
    tensors = yolox_tensors()
    decoder = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors))
    assert len(decoder.decode(tensors, BOUNDS, min_score=0.95).scores) == 0


def test_yolox_names_what_does_not_fit() -> None:
    tensors = yolox_tensors()
    with pytest.raises(ModelOutputError) as refused:
        YoloxDecoder(YOLOX, Size(64, 64), 80, specs(tensors))
    message = str(refused.value)
    assert "family yolox expects one output [1, 84, 81] (scores), found none" in message
    assert "scores [1, 84, 3] int8" in message


def test_yolox_refuses_a_third_output() -> None:
    tensors = yolox_tensors()
    with pytest.raises(ModelOutputError, match="expects 2 outputs .*the file has 3"):
        YoloxDecoder(YOLOX, Size(64, 64), 2, specs([*tensors, tensors[0]]))


def test_yolox_with_three_classes_cannot_tell_scores_from_boxes() -> None:
    """Both outputs are four wide then; a guess would be right half of the time."""
    boxes = Tensor("boxes", np.zeros((1, CELLS, 4), np.float32))
    with pytest.raises(ModelOutputError, match="found 2 of them"):
        YoloxDecoder(YOLOX, Size(64, 64), 3, specs([boxes, boxes]))


def test_an_output_whose_shape_changes_at_run_time_is_refused() -> None:
    tensors = yolox_tensors()
    decoder = YoloxDecoder(YOLOX, Size(64, 64), 2, specs(tensors))
    short = [Tensor("scores", tensors[0].values[:, :50], 1 / 255, -128), tensors[1]]
    with pytest.raises(ModelOutputError, match=r"output scores .* as \[1, 84, 3\], got \[1, 50, 3"):
        decoder.decode(short, BOUNDS, min_score=0.3)


# --- ssd with the operator -------------------------------------------------------------------

SSD = SsdPostprocessDecode(family="ssd_postprocess", boxes="b", classes="c", scores="s", count="n")


def ssd_tensors(
    *,
    boxes: object = ((0.25, 0.5, 0.75, 1.25), (0, 0, 0.5, 0.5), (9, 9, 9, 9)),
    classes: object = (1, 0, 7777),
    scores: object = (0.5, 0.75, 5.0),
    count: object = (2,),
) -> list[Tensor]:
    """Return four outputs of three rows, of which two count."""
    return [
        Tensor("s", np.array([scores], np.float32)),
        Tensor("b", np.array([boxes], np.float32)),
        Tensor("n", np.array(count, np.float32)),
        Tensor("c", np.array([classes], np.float32)),
    ]


UNKNOWN = [TensorSpec(name, (), "float32") for name in "sbnc"]


def test_ssd_postprocess_reads_the_rows_that_count_best_first() -> None:
    decoder = SsdPostprocessDecoder(SSD, Size(64, 64), 2, UNKNOWN)
    found = decoder.decode(ssd_tensors(), BOUNDS, min_score=0.3)
    assert found.scores.tolist() == [0.75, 0.5]
    assert found.classes.tolist() == [0, 1]
    assert found.boxes.tolist() == [[0, 0, 32, 32], [32, 16, 64, 48]]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"boxes": ((0, 0, 1), (0, 0, 1), (0, 0, 1))}, r"output b \(boxes\) as \[1, n, 4\]"),
        ({"classes": (1, 2)}, r"output c \(classes\) as \[1, 3\], got \[1, 2\]"),
        ({"classes": (0, 2, 0)}, r"output c \(classes\) as whole numbers below 2"),
        ({"classes": (0.5, 0, 0)}, r"output c \(classes\) as whole numbers"),
        ({"classes": (float("nan"), 0, 0)}, r"output c \(classes\) as whole numbers"),
        ({"scores": (1, 17, 0)}, r"output s \(scores\) as numbers from 0 to 1"),
        ({"scores": (float("nan"), 0, 0)}, r"output s \(scores\) as numbers from 0 to 1"),
        ({"count": (4,)}, r"output n \(count\) as a whole number from 0 to 3"),
        ({"count": (2, 2)}, r"output n \(count\) as \[1\], got \[2\]"),
    ],
)
def test_ssd_postprocess_names_the_output_that_does_not_fit(
    wrong: dict[str, object], said: str
) -> None:
    decoder = SsdPostprocessDecoder(SSD, Size(64, 64), 2, UNKNOWN)
    with pytest.raises(ModelOutputError, match=said):
        decoder.decode(ssd_tensors(**wrong), BOUNDS, min_score=0.3)


def test_ssd_postprocess_names_the_output_it_misses() -> None:
    with pytest.raises(ModelOutputError, match=r"an output named n \(count\)"):
        SsdPostprocessDecoder(SSD, Size(64, 64), 2, [*UNKNOWN[:2], *UNKNOWN[3:], UNKNOWN[0]])


# --- ssd without it --------------------------------------------------------------------------

ANCHORS = np.array([[0.5, 0.25, 0.5, 0.25], [0.5, 0.5, 1.0, 1.0]], np.float32)
SSD_ANCHORS = SsdAnchorsDecode(family="ssd_anchors", anchors="a.csv")


def anchor_tensors() -> list[Tensor]:
    encodings = np.array([[[1, -2, 5 * math.log(2), 0], [0, 0, 0, 0]]], np.float32)
    scores = np.array([[[0.9, 0.2, 0.8], [0.9, 0.6, 0.1]]], np.float32)
    return [Tensor("e", encodings), Tensor("s", scores)]


def test_ssd_anchors_moves_and_scales_its_anchors() -> None:
    tensors = anchor_tensors()
    decoder = SsdAnchorsDecoder(SSD_ANCHORS, ANCHORS, Size(64, 64), 2, specs(tensors))
    found = decoder.decode(tensors, BOUNDS, min_score=0.3)
    assert found.classes.tolist() == [1, 0]  # the background's 0.9 is no class
    np.testing.assert_allclose(found.scores, [0.8, 0.6], atol=1e-6)
    # Centre y 0.5 + 0.1 * 0.5, x 0.25 - 0.2 * 0.25; height doubled to 1.0, width 0.25.
    expected = [[4.8, 3.2, 20.8, 64], [0, 0, 64, 64]]
    np.testing.assert_allclose(found.boxes, expected, atol=1e-4)


def test_ssd_anchors_looks_at_the_best_candidates_where_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssd_anchors, "MOST_CANDIDATES", 2)
    tensors = anchor_tensors()
    decoder = SsdAnchorsDecoder(SSD_ANCHORS, ANCHORS, Size(64, 64), 2, specs(tensors))
    found = decoder.decode(tensors, BOUNDS, min_score=0.0)
    np.testing.assert_allclose(found.scores, [0.8, 0.6], atol=1e-6)


def test_ssd_anchors_refuses_anchors_of_another_number() -> None:
    with pytest.raises(ModelOutputError, match=r"expects one output \[1, 4, 4\] \(boxes\)"):
        SsdAnchorsDecoder(
            SSD_ANCHORS, np.vstack((ANCHORS, ANCHORS)), Size(64, 64), 2, specs(anchor_tensors())
        )


# --- faces -----------------------------------------------------------------------------------

ULFG = UlfgDecode.model_validate(
    {
        "family": "ulfg",
        "layers": [{"stride": 32, "sides": [[16, 16], [24, 32]]}],
        "points": 1,
        "scores": "logits",
        "outputs": {"scores": "l", "points": "p"},
    }
)


def test_ulfg_priors_lie_in_the_middle_of_cells_that_do_not_divide_the_input() -> None:
    """240 rows make 7.5 cells of 32: the eighth has its middle at 240, the input's edge."""
    table = priors(ULFG, Size(320, 240)) * [320, 240, 320, 240]
    assert len(table) == 10 * 8 * 2
    assert table[1].tolist() == [16, 16, 24, 32]
    np.testing.assert_allclose(table[-1], [304, 240, 24, 32])


def test_ulfg_decodes_a_face_with_its_point() -> None:
    boxes, points, logits = np.zeros((1, 8, 4)), np.zeros((1, 8, 2)), np.full((1, 8, 2), -3.0)
    boxes[0, 7] = (1, 0, 5 * math.log(0.5), 0)
    points[0, 7] = (-10, 5)
    logits[0, 7] = (0, math.log(3))  # a share of 3 in 4
    logits[0, :7, 0] = 3
    tensors = [Tensor("p", points), Tensor("l", logits), Tensor("b", boxes)]
    found = UlfgDecoder(ULFG, Size(64, 64), specs(tensors)).decode(tensors, BOUNDS, min_score=0.5)
    np.testing.assert_allclose(found.scores, [0.75])
    # The last prior: centre (48, 48), 24 wide, 32 high. Centre moved by 0.1 * 24, width halved.
    np.testing.assert_allclose(found.boxes, [[44.4, 32, 56.4, 64]])
    np.testing.assert_allclose(found.points, [[[24, 64]]])


def test_ulfg_without_its_points_is_refused() -> None:
    tensors = [Tensor("b", np.zeros((1, 8, 4))), Tensor("l", np.zeros((1, 8, 2)))]
    with pytest.raises(ModelOutputError, match="expects 3 outputs"):
        UlfgDecoder(ULFG, Size(64, 64), specs(tensors))


BLAZEFACE = BlazefaceDecode.model_validate(
    {"family": "blazeface", "layers": [{"cells": 2, "anchors": 2}], "points": 1}
)


def test_outputs_of_one_shape_need_names() -> None:
    nameless = ULFG.model_copy(update={"outputs": {}})
    same = [TensorSpec("p", (1, 8, 2), "int8"), TensorSpec("l", (1, 8, 2), "int8")]
    outputs = [*same, TensorSpec("b", (1, 8, 4), "int8")]
    with pytest.raises(ModelOutputError, match=r"found 2 of them.*decode\.outputs\.scores"):
        UlfgDecoder(nameless, Size(64, 64), outputs)


@pytest.mark.parametrize(("logit", "score"), [(math.log(3), 0.75), (500.0, 1.0)])
def test_blazeface_decodes_a_face_with_its_point(logit: float, score: float) -> None:
    regressors, logits = np.zeros((1, 8, 6), np.float32), np.full((1, 8, 1), -500, np.float32)
    regressors[0, 5] = (4, -2, 20, 10, -1, 3)  # cell of row 1, column 0: centre (16, 48)
    logits[0, 5] = logit
    tensors = [Tensor("c", logits), Tensor("r", regressors)]
    decoder = BlazefaceDecoder(BLAZEFACE, Size(64, 64), specs(tensors))
    found = decoder.decode(tensors, BOUNDS, min_score=0.5)
    np.testing.assert_allclose(found.scores, [score], atol=1e-6)
    np.testing.assert_allclose(found.boxes, [[10, 41, 30, 51]])
    np.testing.assert_allclose(found.points, [[[15, 51]]])


# --- classes and vectors ---------------------------------------------------------------------


def test_a_classifier_gives_all_labels_best_first() -> None:
    tensor = Tensor("p", np.array([[10, 200, 46]], np.uint8), 1 / 256, 0)
    decoder = ClassifierDecoder(("a", "b", "c"), specs([tensor]))
    found = [(one.label, one.score) for one in decoder.decode([tensor])]
    assert found == [("b", 200 / 256), ("c", 46 / 256), ("a", 10 / 256)]


def test_a_classifier_with_other_labels_is_refused() -> None:
    with pytest.raises(ModelOutputError, match=r"\[1, 4\] \(scores\), found none.* p \[1, 3\]"):
        ClassifierDecoder(("a", "b", "c", "d"), [TensorSpec("p", (1, 3), "uint8")])


def test_an_embedding_is_the_output_of_its_width_at_length_one() -> None:
    decode = EmbeddingDecode(family="embedding", width=2, targets=((0, 0),) * 5)
    other = Tensor("mask", np.zeros((1, 3), np.uint8))
    vector = Tensor("v", np.array([[131, 124]], np.uint8), 0.1, 128)
    decoder = EmbeddingDecoder(decode, specs([other, vector]))
    np.testing.assert_allclose(decoder.decode([other, vector]), [0.6, -0.8], rtol=1e-6)
