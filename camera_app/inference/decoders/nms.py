"""Non-maximum suppression: of boxes that cover the same thing, the best is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


def keep_best(
    boxes: Reals,
    scores: Reals,
    classes: npt.NDArray[Any],
    *,
    max_iou: float,
    limit: int | None = None,
) -> Indexes:
    """Return the indexes of the boxes to keep, best score first, of equals the earlier.

    Only boxes of one class suppress each other.

    Args:
        boxes: (n, 4) as left, top, right, bottom, any unit.
        scores: (n,).
        classes: (n,) numbers of classes.
        max_iou: Two boxes that overlap more than this are one.
        limit: How many are kept at most; None: all.
    """
    order = np.argsort(-scores, kind="stable")
    if len(order) > 1:
        order = order[_survivors(boxes[order], classes[order], max_iou, limit)]
    return order[:limit]


def _survivors(
    boxes: Reals, classes: npt.NDArray[Any], max_iou: float, limit: int | None
) -> list[int]:
    """Return which boxes, best first, no better survivor suppresses.

    A row of overlaps is worked out only for a survivor, against those after it: few for a usual
    threshold, and not the square of thousands for one near zero.
    """
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    area = (right - left) * (bottom - top)
    alive = np.ones(len(boxes), np.bool_)
    kept: list[int] = []
    for index in range(len(boxes)):
        if not alive[index]:
            continue
        kept.append(index)
        if len(kept) == limit:
            break
        rest = slice(index + 1, None)
        width = np.minimum(right[rest], right[index]) - np.maximum(left[rest], left[index])
        height = np.minimum(bottom[rest], bottom[index]) - np.maximum(top[rest], top[index])
        both = np.maximum(width, 0.0) * np.maximum(height, 0.0)
        either = area[rest] + area[index] - both
        alive[rest] &= (both <= max_iou * either) | (classes[rest] != classes[index])
    return kept
