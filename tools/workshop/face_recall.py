"""Faces found against boxes that are no face, as FDDB and WIDER FACE count them.

A face is found when a box covers it well enough; every further box is another one. On pictures
in which bystanders are not marked, other boxes may be faces too: compare, do not judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camera_app.values import Detection
from tools.workshop.evaluation_set import FACE, EvaluationSet
from tools.workshop.matching import Match, match

# What counts as covered well enough, as in FDDB.
MIN_IOU = 0.5


@dataclass(frozen=True, slots=True)
class FaceCount:
    """What came out at one score.

    Attributes:
        score: Boxes that score less were left out.
        found: Faces that a box covers.
        others: Boxes that cover no face, or one that another box covers better.
    """

    score: float
    found: int
    others: int


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """How well a network finds faces.

    Attributes:
        pictures: How many were looked at.
        faces: How many are in them.
        at_score: What came out at the score that was asked for.
        at_best: At the highest score at which it still finds every face that it finds at all.
        mean_iou: Of the faces found at the score asked for, with the boxes that found them.
        curve: What came out at every score at which something changes, highest first.
    """

    pictures: int
    faces: int
    at_score: FaceCount
    at_best: FaceCount
    mean_iou: float
    curve: tuple[FaceCount, ...]


def count_faces(
    pictures: EvaluationSet, found: Sequence[Sequence[Detection]], *, score: float
) -> FaceFigures:
    """Count what a network found in pictures of faces.

    Args:
        pictures: With the faces that are there.
        found: Detections of each picture, in the same order.
        score: At which most is counted.
    """
    matches = [
        one
        for picture, boxes in zip(pictures.pictures, found, strict=True)
        for one in match(
            [box for box in boxes if box.label == FACE], picture.boxes, min_iou=MIN_IOU
        )
    ]
    curve = _curve(matches)
    there = [one for p in pictures.pictures for one in p.boxes if one.label == FACE]
    right = [m.iou for m in matches if m.is_right and m.detection.score >= score]
    return FaceFigures(
        pictures=len(pictures.pictures),
        faces=sum(not one.is_crowd for one in there),
        at_score=_count(matches, score),
        at_best=_best(curve),
        mean_iou=sum(right) / len(right) if right else 0.0,
        curve=curve,
    )


def _count(matches: Sequence[Match], score: float) -> FaceCount:
    kept = [one for one in matches if one.detection.score >= score]
    return FaceCount(score, sum(one.is_right for one in kept), sum(one.is_wrong for one in kept))


def _curve(matches: Sequence[Match]) -> tuple[FaceCount, ...]:
    counts: list[FaceCount] = []
    found = others = 0
    for one in sorted(matches, key=lambda one: -one.detection.score):
        found, others = found + one.is_right, others + one.is_wrong
        if counts and counts[-1].score == one.detection.score:
            counts.pop()
        counts.append(FaceCount(one.detection.score, found, others))
    return tuple(counts)


def _best(curve: Sequence[FaceCount]) -> FaceCount:
    if not curve:
        return FaceCount(1.0, 0, 0)
    return max(curve, key=lambda count: (count.found, -count.others, count.score))
