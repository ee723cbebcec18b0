"""Whether a wrong box is wrong: what nobody marked, another detector may see as well.

Who marked pictures of one person left out who stands behind them. A box on a bystander counts as
wrong like one on a lamp; a second detector, of other makers, tells the two apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from camera_app.inference import Network
from camera_app.values import Detection
from tools.workshop.evaluate import Comparison, Evaluation
from tools.workshop.evaluation_set import TruthPicture
from tools.workshop.matching import Match

# A witness is believed from here on.
SURE = 0.6
# Makers draw boxes differently; what overlaps so far is the same thing.
SAME_THING_IOU = 0.3


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a witness says of the wrong boxes of one network.

    Attributes:
        model: The network.
        witness: The other one.
        wrong: Boxes that nobody marked, at the score that was asked for.
        seen_too: Those of them that the witness sees as well.
    """

    model: str
    witness: str
    wrong: int
    seen_too: int


def witnessed(comparison: Comparison, witness: Network) -> tuple[Witnessed, ...]:
    """Ask a witness about the wrong boxes of every network, in the order of the evaluations."""
    return tuple(_witnessed(one, comparison, witness) for one in comparison.evaluations)


def _witnessed(one: Evaluation, comparison: Comparison, witness: Network) -> Witnessed:
    wrong = seen_too = 0
    for picture, matches in zip(comparison.pictures.pictures, one.matches, strict=True):
        boxes = [m for m in matches if m.is_wrong and m.detection.score >= comparison.score]
        if boxes:
            wrong += len(boxes)
            seen_too += _seen_too(boxes, picture, witness)
    return Witnessed(one.model, witness.pack.name, wrong, seen_too)


def _seen_too(boxes: list[Match], picture: TruthPicture, witness: Network) -> int:
    seen = witness.look(picture.read(), min_score=SURE)
    return sum(any(_is_same(box.detection, other) for other in seen) for box in boxes)


def _is_same(one: Detection, other: Detection) -> bool:
    return one.label == other.label and one.box.iou(other.box) >= SAME_THING_IOU
