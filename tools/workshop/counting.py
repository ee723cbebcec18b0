"""What a score threshold does: how much is found with it, and how many boxes are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from camera_app.values import Box
from tools.workshop.evaluation_set import EvaluationSet
from tools.workshop.matching import Match

PictureMatches = Sequence[Sequence[Match]]

# Heights of objects as shares of the picture's, for telling from which size on they are found.
HEIGHT_STEPS = (0.0, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Count:
    """What is left when boxes that score less are left out.

    Attributes:
        score: The threshold.
        found: Objects that a box found.
        wrong: Boxes that found nothing, or what another box found better.
        objects: That are there.
    """

    score: float
    found: int
    wrong: int
    objects: int

    @property
    def recall(self) -> float:
        return self.found / self.objects if self.objects else 0.0

    @property
    def precision(self) -> float:
        return self.found / (self.found + self.wrong) if self.found else 0.0

    @property
    def f1(self) -> float:
        return 2 * self.found / (self.found + self.wrong + self.objects) if self.found else 0.0


@dataclass(frozen=True, slots=True)
class HeightCount:
    """How many objects of one range of heights were found.

    Attributes:
        from_share: Least height, share of the picture's; included.
        to_share: Greatest; excluded but for the last range.
        found: How many of them.
        objects: How many there are.
    """

    from_share: float
    to_share: float
    found: int
    objects: int


def count_at(matches: PictureMatches, objects: int, score: float) -> Count:
    """Count what is left at one threshold."""
    kept = [one for of_picture in matches for one in of_picture if one.detection.score >= score]
    found, wrong = sum(one.is_right for one in kept), sum(one.is_wrong for one in kept)
    return Count(score, found, wrong, objects)


def threshold_curve(matches: PictureMatches, objects: int) -> tuple[Count, ...]:
    """Count at every threshold that makes a difference, highest first."""
    every = (one for of_picture in matches for one in of_picture)
    counts: list[Count] = []
    found = wrong = 0
    for one in sorted(every, key=lambda one: -one.detection.score):
        found, wrong = found + one.is_right, wrong + one.is_wrong
        if counts and counts[-1].score == one.detection.score:
            counts.pop()
        counts.append(Count(one.detection.score, found, wrong, objects))
    return tuple(counts)


def best_balance(curve: Sequence[Count]) -> Count | None:
    """Return the count of the best F1; of several, that of the highest threshold."""
    return max(curve, key=lambda count: (count.f1, count.score), default=None)


def most_found(curve: Sequence[Count]) -> Count | None:
    """Return the highest threshold at which all is found that is found at all."""
    return max(curve, key=lambda count: (count.found, count.score), default=None)


def objects_of(pictures: EvaluationSet, classes: Sequence[str]) -> int:
    """Return how many objects of some classes there are, crowds not counted."""
    return sum(
        not one.is_crowd and one.label in classes
        for picture in pictures.pictures
        for one in picture.boxes
    )


def recall_by_height(
    pictures: EvaluationSet, matches: PictureMatches, classes: Sequence[str], *, score: float
) -> tuple[HeightCount, ...]:
    """Count the objects found at a threshold by their height."""
    heights: list[tuple[float, bool]] = []
    for picture, of_picture in zip(pictures.pictures, matches, strict=True):
        seen = {one.truth for one in of_picture if one.detection.score >= score}
        heights.extend(
            (_share(truth.box, picture.size.height), index in seen)
            for index, truth in enumerate(picture.boxes)
            if truth.label in classes and not truth.is_crowd
        )
    return tuple(_height_count(heights, low, high) for low, high in pairwise(HEIGHT_STEPS))


def _share(box: Box, picture_height: int) -> float:
    return box.height / picture_height


def _height_count(heights: Sequence[tuple[float, bool]], low: float, high: float) -> HeightCount:
    # An annotation may leave the picture a little: the last range takes it.
    limit = high if high < HEIGHT_STEPS[-1] else float("inf")
    inside = [is_found for share, is_found in heights if low <= share < limit]
    return HeightCount(low, high, sum(inside), len(inside))
