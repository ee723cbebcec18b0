"""Faces found against boxes that are no face, as FDDB and WIDER FACE count them.

On pictures in which bystanders are not marked, other boxes may be faces too: compare networks by
them, do not judge one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tools.workshop.counting import Count, PictureMatches, count_at, most_found, threshold_curve


@dataclass(frozen=True, slots=True)
class FaceFigures:
    """How well a network finds faces.

    Attributes:
        pictures: How many were looked at.
        faces: How many are in them.
        score: The threshold that was asked for.
        found: Faces found at it.
        others: Boxes at it that cover no face, or one that another box covers better.
        mean_iou: Of the faces found at it, with the boxes that found them.
        best_score: The highest threshold at which every face is found that is found at all.
        best_found: Faces found at that.
        best_others: Other boxes at that.
        curve: The thresholds at which one more face is found, highest first.
    """

    pictures: int
    faces: int
    score: float
    found: int
    others: int
    mean_iou: float
    best_score: float
    best_found: int
    best_others: int
    curve: tuple[Count, ...]


def face_figures_of(matches: PictureMatches, faces: int, *, score: float) -> FaceFigures:
    """Sum up what a network found in pictures of faces."""
    curve = threshold_curve(matches, faces)
    asked = count_at(matches, faces, score)
    best = most_found(curve) or Count(1.0, 0, 0, faces)
    return FaceFigures(
        pictures=len(matches),
        faces=faces,
        score=score,
        found=asked.found,
        others=asked.wrong,
        mean_iou=mean_iou(matches, score),
        best_score=best.score,
        best_found=best.found,
        best_others=best.wrong,
        curve=_steps(curve),
    )


def mean_iou(matches: PictureMatches, score: float) -> float:
    """Return how well the boxes that found something cover it; 0.0 if none did."""
    right = [
        one.iou
        for of_picture in matches
        for one in of_picture
        if one.is_right and one.detection.score >= score
    ]
    return sum(right) / len(right) if right else 0.0


def _steps(curve: Sequence[Count]) -> tuple[Count, ...]:
    steps: list[Count] = []
    for count in curve:
        if count.found > (steps[-1].found if steps else 0):
            steps.append(count)
    return tuple(steps)
