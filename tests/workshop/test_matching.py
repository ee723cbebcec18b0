"""The matching rule, alone and against COCO's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.values import Box, Detection, Size
from tools.workshop.average_precision import average_precision
from tools.workshop.counting import Count, objects_of, threshold_curve
from tools.workshop.evaluation_set import EvaluationSet, TruthBox, TruthPicture
from tools.workshop.matching import match, share_inside


def there(left: float, *, label: str = "person", crowd: bool = False, side: float = 10) -> TruthBox:
    return TruthBox(Box(left, 0, left + side, side), label, crowd)


def found(left: float, score: float, *, label: str = "person", side: float = 10) -> Detection:
    return Detection(Box(left, 0, left + side, side), label, score)


def test_a_box_takes_the_object_that_it_covers_best() -> None:
    (only,) = match([found(4, 0.9)], [there(0), there(5)], min_iou=0.3)
    assert only.truth == 1
    assert only.iou == pytest.approx(9 / 11)


def test_of_two_boxes_on_one_object_the_surer_is_right() -> None:
    first, second = match([found(0, 0.5), found(2, 0.8)], [there(0)], min_iou=0.5)
    assert (first.detection.score, first.is_right) == (0.8, True)
    assert (second.detection.score, second.is_wrong) == (0.5, True)
    assert second.iou == 1.0  # it covers an object that is taken: drawn twice, not out of the blue


def test_a_box_of_another_label_finds_nothing() -> None:
    (only,) = match([found(0, 0.9, label="dog")], [there(0)], min_iou=0.5)
    assert only.is_wrong
    assert only.iou == 0.0


def test_a_box_that_covers_too_little_is_wrong_and_says_how_little() -> None:
    (only,) = match([found(5, 0.9)], [there(0)], min_iou=0.5)
    assert only.is_wrong
    assert only.iou == pytest.approx(5 / 15)


def test_any_number_of_boxes_on_a_crowd_count_neither_way() -> None:
    crowd = there(0, crowd=True, side=100)
    matches = match([found(1, 0.9), found(20, 0.8)], [crowd], min_iou=0.5)
    assert [(one.is_right, one.is_wrong, one.is_on_crowd) for one in matches] == [
        (False, False, True)
    ] * 2


def test_an_object_before_a_crowd_is_found_first() -> None:
    (only,) = match([found(0, 0.9)], [there(0, crowd=True, side=50), there(0)], min_iou=0.5)
    assert only.truth == 1
    assert not only.is_on_crowd


def test_nothing_is_inside_a_box_without_area() -> None:
    assert share_inside(Box(1, 1, 1, 5), Box(0, 0, 9, 9)) == 0.0


sides = st.integers(1, 8)
places = st.tuples(st.integers(0, 12), st.integers(0, 12), sides, sides)
labels = st.sampled_from(("person", "dog"))
truths = st.builds(
    lambda p, label, crowd: TruthBox(Box(p[0], p[1], p[0] + p[2], p[1] + p[3]), label, crowd),
    places,
    labels,
    st.sampled_from((False, False, False, True)),
)
boxes = st.builds(
    lambda p, label: (Box(p[0], p[1], p[0] + p[2], p[1] + p[3]), label), places, labels
)


def scored(drawn: list[tuple[Box, str]]) -> list[Detection]:
    """Give each box a score of its own."""
    return [Detection(box, label, 0.9 - 0.01 * i) for i, (box, label) in enumerate(drawn)]


@given(st.lists(boxes, max_size=8), st.lists(truths, max_size=6), st.integers(0, 8))
def test_a_threshold_changes_no_match_above_it(
    drawn: list[tuple[Box, str]], truth: list[TruthBox], kept: int
) -> None:
    detections = scored(drawn)
    assert (
        match(detections[:kept], truth, min_iou=0.5) == match(detections, truth, min_iou=0.5)[:kept]
    )


@given(st.lists(st.tuples(st.lists(boxes, max_size=6), st.lists(truths, max_size=6)), max_size=4))
def test_average_precision_of_these_matches_is_that_of_pycocotools(
    content: list[tuple[list[tuple[Box, str]], list[TruthBox]]],
) -> None:
    """Two ways to AP50: ours from the matches, and the library's, which matches by itself."""
    pictures, every = [], []
    for number, (drawn, truth) in enumerate(content):
        pictures.append(TruthPicture(str(number), None, None, Size(30, 30), tuple(truth)))  # type: ignore[arg-type]
        # Scores differ over all pictures: the order of equal ones is nobody's promise.
        every.append(
            [
                Detection(box, label, 0.9 - 0.01 * i - 0.001 * number)
                for i, (box, label) in enumerate(drawn)
            ]
        )
    evaluation_set = EvaluationSet("made", ("person",), tuple(pictures))
    objects = objects_of(evaluation_set, ["person"])
    if not objects:
        return
    matches = [
        match([one for one in of if one.label == "person"], picture.boxes, min_iou=0.5)
        for of, picture in zip(every, pictures, strict=True)
    ]
    expected = average_precision(evaluation_set, every, ["person"]).overall.ap50
    assert interpolated(threshold_curve(matches, objects)) == pytest.approx(expected, abs=2e-6)


def interpolated(curve: tuple[Count, ...]) -> float:
    """Return the mean, over recall 0.00 to 1.00, of the best precision from there on."""
    steps = [
        max(
            (c.found / (c.found + c.wrong) for c in curve if c.found and c.recall >= level),
            default=0.0,
        )
        for level in np.linspace(0.0, 1.0, 101)
    ]
    return float(np.mean(steps))
