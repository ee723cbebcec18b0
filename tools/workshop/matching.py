"""Which of the boxes that a network drew are right: pairs them with what is there.

The rule is COCO's: best score first, each box takes the free object that it covers best; what
lies on a crowd counts neither way. Boxes are compared within one label. A box's match does not
depend on boxes that score less, so one matching serves every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camera_app.values import Box, Detection
from tools.workshop.evaluation_set import TruthBox


@dataclass(frozen=True, slots=True)
class Match:
    """What became of one box that was drawn.

    Attributes:
        detection: The box.
        truth: Index of the object that it found; None: none.
        iou: With that object; else with the free or taken object that it covers best.
        is_on_crowd: It is neither right nor wrong.
    """

    detection: Detection
    truth: int | None
    iou: float
    is_on_crowd: bool = False

    @property
    def is_right(self) -> bool:
        return self.truth is not None

    @property
    def is_wrong(self) -> bool:
        return self.truth is None and not self.is_on_crowd


def match(
    found: Sequence[Detection], there: Sequence[TruthBox], *, min_iou: float
) -> tuple[Match, ...]:
    """Pair boxes with objects of the same label.

    Args:
        found: In any order.
        there: Objects and crowds of one picture.
        min_iou: How well a box must cover an object to have found it.

    Returns:
        One for each box, best score first.
    """
    taken: set[int] = set()
    matches = []
    for detection in sorted(found, key=lambda one: -one.score):
        one = _matched(detection, there, taken, min_iou)
        if one.truth is not None:
            taken.add(one.truth)
        matches.append(one)
    return tuple(matches)


def _matched(
    detection: Detection, there: Sequence[TruthBox], taken: set[int], min_iou: float
) -> Match:
    overlaps = [
        (detection.box.iou(truth.box), index)
        for index, truth in enumerate(there)
        if truth.label == detection.label and not truth.is_crowd
    ]
    free = [(iou, index) for iou, index in overlaps if index not in taken and iou >= min_iou]
    if free:
        iou, index = max(free)
        return Match(detection, index, iou)
    best = max((iou for iou, _ in overlaps), default=0.0)
    return Match(detection, None, best, is_on_crowd=_is_on_crowd(detection, there, min_iou))


def _is_on_crowd(detection: Detection, there: Sequence[TruthBox], min_share: float) -> bool:
    crowds = (t.box for t in there if t.is_crowd and t.label == detection.label)
    return any(share_inside(detection.box, crowd) >= min_share for crowd in crowds)


def share_inside(box: Box, region: Box) -> float:
    """Return how much of a box lies inside a region, 0.0 to 1.0."""
    return box.intersection(region) / box.area if box.area else 0.0
