from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from camera_app.inference.decoders import keep_best
from camera_app.values import Box

side = st.integers(0, 20)
boxes_of = st.lists(
    st.tuples(side, side, side, side, st.integers(0, 10), st.integers(0, 2)), max_size=15
)


def arrays(
    rows: list[tuple[int, int, int, int, int, int]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _, _ in rows], np.float64)
    scores = np.array([row[4] / 10 for row in rows])
    return boxes.reshape(-1, 4), scores, np.array([row[5] for row in rows], np.intp)


def by_hand(
    boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, max_iou: float
) -> list[int]:
    """Go through the boxes one by one, as the definition says."""
    kept: list[int] = []
    for index in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        box = Box(*boxes[index])
        rivals = [other for other in kept if classes[other] == classes[index]]
        if all(box.iou(Box(*boxes[other])) <= max_iou for other in rivals):
            kept.append(index)
    return kept


@given(boxes_of, st.sampled_from([0.3, 0.5, 0.65]))
def test_it_keeps_what_the_definition_keeps(
    rows: list[tuple[int, int, int, int, int, int]], max_iou: float
) -> None:
    boxes, scores, classes = arrays(rows)
    kept = keep_best(boxes, scores, classes, max_iou=max_iou)
    assert kept.tolist() == by_hand(boxes, scores, classes, max_iou)


def test_boxes_of_two_classes_leave_each_other_alone() -> None:
    boxes, scores, classes = arrays([(0, 0, 10, 10, 9, 0), (0, 0, 10, 10, 8, 1)])
    assert keep_best(boxes, scores, classes, max_iou=0.5).tolist() == [0, 1]


def test_of_equal_boxes_the_earlier_stays() -> None:
    boxes, scores, classes = arrays([(0, 0, 10, 10, 9, 0), (0, 0, 10, 10, 9, 0)])
    assert keep_best(boxes, scores, classes, max_iou=0.5).tolist() == [0]


def test_the_limit_keeps_the_best() -> None:
    boxes, scores, classes = arrays([(20 * i, 0, 10, 10, i, 0) for i in range(5)])
    assert keep_best(boxes, scores, classes, max_iou=0.5, limit=2).tolist() == [4, 3]


def test_nothing_gives_nothing() -> None:
    boxes, scores, classes = arrays([])
    assert keep_best(boxes, scores, classes, max_iou=0.5).tolist() == []
