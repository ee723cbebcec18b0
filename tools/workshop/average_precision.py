"""Average precision as COCO defines it, by pycocotools.

Size is told in two ways: by COCO's areas in square pixels, and by the share of the picture's
height, which does not depend on how large the pictures happen to be stored.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from camera_app.values import Box, Detection
from tools.workshop.evaluation_set import EvaluationSet
from tools.workshop.looking import MOST_BOXES

Reals = npt.NDArray[np.float64]
Ranges = Mapping[str, tuple[float, float]]

EVERYTHING = (0.0, 1e10)
# Square pixels, COCO's own.
AREAS = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
# Shares of the picture's height.
HEIGHTS = {
    "below 10 %": (0.0, 0.1),
    "10 to 20 %": (0.1, 0.2),
    "20 to 50 %": (0.2, 0.5),
    "above 50 %": (0.5, 1e10),
}
ABSENT = -1.0  # precision of a class of which nothing is there
IOU_50, IOU_75 = 0, 5  # indexes into COCO's IoU thresholds, 0.50 to 0.95 by 0.05


@dataclass(frozen=True, slots=True)
class Precision:
    """Average precision of one class, or the mean over several; 0.0 to 1.0.

    Attributes:
        ap50_95: Mean over IoU thresholds 0.50, 0.55, …, 0.95.
        ap50: At IoU 0.5.
        ap75: At IoU 0.75.
    """

    ap50_95: float
    ap50: float
    ap75: float


@dataclass(frozen=True, slots=True)
class AveragePrecision:
    """What COCO's evaluation says of one network.

    Attributes:
        overall: Over all classes.
        by_class: Of each class.
        by_area: Over all classes, objects of one range of areas; None where there are none.
        by_height: The same by the share of the picture's height.
        curve: Precision at IoU 0.5 for recall 0.00, 0.01, …, 1.00, mean over the classes.
    """

    overall: Precision
    by_class: Mapping[str, Precision]
    by_area: Mapping[str, Precision | None]
    by_height: Mapping[str, Precision | None]
    curve: tuple[float, ...]


def average_precision(
    pictures: EvaluationSet, found: Sequence[Sequence[Detection]], classes: Sequence[str]
) -> AveragePrecision:
    """Return average precision over some classes.

    Args:
        pictures: With what is there.
        found: Detections of each picture, in the same order.
        classes: That count; at least one box of each is there.
    """
    areas = _precisions(pictures, found, classes, AREAS, by_height=False)
    heights = _precisions(pictures, found, classes, HEIGHTS, by_height=True)
    whole = areas[..., 0]
    return AveragePrecision(
        overall=_mean(whole),
        by_class={name: _mean(whole[..., [k]]) for k, name in enumerate(classes)},
        by_area=_by_range(areas, AREAS),
        by_height=_by_range(heights, HEIGHTS),
        curve=tuple(_rounded(value) for value in whole[IOU_50].mean(axis=1)),
    )


def _by_range(table: Reals, ranges: Ranges) -> dict[str, Precision | None]:
    return {
        name: _mean(table[..., index]) if (table[..., index] > ABSENT).any() else None
        for index, name in enumerate(ranges, start=1)
    }


def _mean(table: Reals) -> Precision:
    """Return the mean over the classes that are there; table (IoU, recall, class)."""
    by_iou = np.nanmean(np.where(table > ABSENT, table, np.nan), axis=(1, 2))
    return Precision(_rounded(by_iou.mean()), _rounded(by_iou[IOU_50]), _rounded(by_iou[IOU_75]))


def _rounded(value: float) -> float:
    # COCO's precision is short of the true one by some 1e-16: nothing that a reader should see.
    return round(float(value), 6)


def _precisions(
    pictures: EvaluationSet,
    found: Sequence[Sequence[Detection]],
    classes: Sequence[str],
    ranges: Ranges,
    *,
    by_height: bool,
) -> Reals:
    """Return precision (IoU, recall, class, range), the first range being everything."""
    truth = [
        _record(number, one.box, one.label, classes, picture.size.height if by_height else 0)
        | {"iscrowd": int(one.is_crowd)}
        for number, picture in enumerate(pictures.pictures)
        for one in picture.boxes
        if one.label in classes
    ]
    drawn = [
        _record(number, one.box, one.label, classes, picture.size.height if by_height else 0)
        | {"iscrowd": 0, "score": one.score}
        for number, (picture, boxes) in enumerate(zip(pictures.pictures, found, strict=True))
        for one in boxes
        if one.label in classes
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress, wanted or not
        evaluation = COCOeval(
            _in_coco_form(pictures, classes, truth), _in_coco_form(pictures, classes, drawn), "bbox"
        )
        evaluation.params.areaRng = [list(limits) for limits in (EVERYTHING, *ranges.values())]
        evaluation.params.areaRngLbl = ["all", *ranges]
        evaluation.params.maxDets = [MOST_BOXES]
        evaluation.evaluate()
        evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"][..., 0], np.float64)


def _record(
    number: int, box: Box, label: str, classes: Sequence[str], picture_height: int
) -> dict[str, Any]:
    """Return a box in COCO's form; its "area" is what sizes are told by, whatever that is."""
    return {
        "image_id": number,
        "category_id": classes.index(label),
        "bbox": [box.left, box.top, box.width, box.height],
        "area": box.height / picture_height if picture_height else box.area,
    }


def _in_coco_form(
    pictures: EvaluationSet, classes: Sequence[str], boxes: Sequence[dict[str, Any]]
) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(pictures.pictures))],
        "categories": [{"id": index, "name": name} for index, name in enumerate(classes)],
        # A match with box 0 would be read as none.
        "annotations": [{"id": index, **box} for index, box in enumerate(boxes, start=1)],
    }
    coco.createIndex()
    return coco
