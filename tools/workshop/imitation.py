"""Distillation, cell by cell: teacher and pupil look at the same samples.

The labels say where a person drew a box; the teacher says of every cell how likely it is and
where the box would be, also of what nobody drew and of what only looks like something.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.workshop.losses import Cells, corners_of, overlap
from tools.workshop.network import Detector, fused

# Cells that the teacher gives less are background to it, and their boxes mean nothing.
LEAST_SCORE = 0.05
BOX_WEIGHT = 2.0
# Whose outputs a pupil of the same widths can copy. The finest maps are left out: they take the
# most time and are the least wrong.
PARTS = frozenset(
    (
        *("down3", "stage3", "down4", "pool", "stage4"),
        *("lateral5", "up4", "lateral4", "up3", "down4out", "down5out"),
        *(f"head{level}.{part}" for level in (3, 4, 5) for part in ("stem", "what1", "where1")),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """What a teacher said of a batch.

    Attributes:
        boxes: (n, cells, 4), as the network gives them.
        scores: (n, cells, classes), objectness times class.
    """

    boxes: Tensor
    scores: Tensor


class Features:
    """What the parts of a network gave when it last looked.

    Attributes:
        maps: (n, channels, rows, columns) by the name of the part.
    """

    def __init__(self, detector: Detector) -> None:
        self.maps: dict[str, Tensor] = {}
        for name, module in detector.named_modules():
            if name in PARTS:
                module.register_forward_hook(self._keeper(name))

    def _keeper(self, name: str) -> Callable[[object, object, Tensor], None]:
        def keep(_: object, __: object, given: Tensor) -> None:
            self.maps[name] = given

        return keep


class Teacher:
    """A network that is not trained any more."""

    def __init__(self, detector: Detector) -> None:
        self._detector = fused(detector).to(memory_format=torch.channels_last)
        self.features = Features(self._detector)

    @torch.no_grad()
    def look(self, pictures: Tensor) -> Said:
        """Return what it says of float32 (n, 3, height, width)."""
        # Half the width is precise enough for a teacher, and quicker.
        with torch.autocast("cpu", torch.bfloat16):
            boxes, logits = self._detector(pictures)
        scores = torch.sigmoid(logits.float())
        return Said(boxes.float(), scores[..., :1] * scores[..., 1:])


def imitation_loss(boxes: Tensor, logits: Tensor, said: Said, cells: Cells) -> Tensor:
    """Return how far a pupil is from what its teacher said.

    Objectness and class are each asked to be the root of the teacher's score: their product is
    what decides.
    """
    best = said.scores.amax(-1)
    roots = said.scores.sqrt()
    share = best.sum().clamp(min=1.0)
    surprise = _divergence(logits[..., 0], best.sqrt()).sum()
    sure = best > LEAST_SCORE
    surprise = (
        surprise + (_divergence(logits[..., 1:], roots).sum(-1)[sure] * best[sure].sqrt()).sum()
    )
    fits = overlap(corners_of(boxes, cells)[sure], corners_of(said.boxes, cells)[sure])
    return (surprise + BOX_WEIGHT * ((1 - fits) * best[sure]).sum()) / share


def feature_loss(pupil: Features, teacher: Features) -> Tensor:
    """Return how far the parts of a pupil are from the same parts of its teacher.

    The mean over the parts of the squared error, as a share of the teacher's square. Parts of
    other widths, in a pruned pupil, are passed over; 0 where none is left. The teacher's values
    are cut to what ReLU6 can say.
    """
    shares = []
    for name, given in pupil.maps.items():
        wanted = teacher.maps[name].float().clamp(0, 6)
        if wanted.shape == given.shape:
            scale = wanted.square().mean().clamp(min=1e-3)
            shares.append((given - wanted).square().mean() / scale)
    return torch.stack(shares).mean() if shares else torch.zeros(())


def _divergence(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the cross entropy above its least, so that a perfect pupil has none."""
    crossed = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return crossed - functional.binary_cross_entropy(wanted, wanted, reduction="none")
