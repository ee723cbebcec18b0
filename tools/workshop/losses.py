"""What a network should have said, and how far off it was.

Each object is given the cells that are near its middle and already say most nearly the right
thing, more of them the better they fit (the dynamic assignment of YOLOX, done for a whole batch
at once). Those cells should say: something is here, as sure as the label is; this class, as well
as the box fits; this box. All others should say: nothing; but where nobody knows, nothing is asked.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tools.workshop.feed import Batch

# A cell may stand for an object if its middle is within so many cells of the object's middle.
REACH_CELLS = 2.5
MOST_CELLS = 10
BOX_WEIGHT = 5.0
COST_OF_OVERLAP = 3.0
FAR = 1e5


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of an input, in the order of the network's rows.

    Attributes:
        corners: float32 (cells, 2), column and row.
        strides: float32 (cells, 1), pixels.
    """

    corners: Tensor
    strides: Tensor

    @property
    def middles(self) -> Tensor:
        """Pixels of the input."""
        return (self.corners + 0.5) * self.strides


@dataclass(frozen=True, slots=True)
class Losses:
    """Parts of the loss, each a mean over the cells that stand for objects."""

    objectness: Tensor
    category: Tensor
    box: Tensor

    @property
    def total(self) -> Tensor:
        return self.objectness + self.category + BOX_WEIGHT * self.box


def cells_of(height: int, width: int, strides: tuple[int, ...]) -> Cells:
    """Return the cells of an input of this size."""
    corners, sides = [], []
    for stride in strides:
        rows, columns = torch.meshgrid(
            torch.arange(height // stride), torch.arange(width // stride), indexing="ij"
        )
        corners.append(torch.stack((columns.flatten(), rows.flatten()), dim=1).float())
        sides.append(torch.full((rows.numel(), 1), float(stride)))
    return Cells(torch.cat(corners), torch.cat(sides))


def corners_of(boxes: Tensor, cells: Cells) -> Tensor:
    """Return what the network says of boxes as left, top, right, bottom, in pixels."""
    centres = (boxes[..., :2] + cells.corners) * cells.strides
    halves = boxes[..., 2:].clamp(max=8.0).exp() * cells.strides / 2
    return torch.cat((centres - halves, centres + halves), dim=-1)


def overlap(first: Tensor, second: Tensor) -> Tensor:
    """Return intersection over union; the shapes but the last one are broadcast."""
    corner = torch.maximum(first[..., :2], second[..., :2])
    opposite = torch.minimum(first[..., 2:], second[..., 2:])
    shared = (opposite - corner).clamp(min=0).prod(-1)
    areas = (first[..., 2:] - first[..., :2]).prod(-1) + (second[..., 2:] - second[..., :2]).prod(
        -1
    )
    return shared / (areas - shared).clamp(min=1e-6)


@torch.no_grad()
def assign(found: Tensor, logits: Tensor, batch: Batch, cells: Cells) -> tuple[Tensor, Tensor]:
    """Choose which cell stands for which object.

    Args:
        found: Boxes as the network says, (n, cells, 4) in pixels.
        logits: (n, cells, 1 + classes).
        batch: What is there.
        cells: Of this input.

    Returns:
        (n, cells): number of the object, -1 for none; and how well the box fits it.
    """
    truth = batch.boxes[..., :4]
    fits = overlap(truth[:, :, None], found[:, None])  # (n, objects, cells)
    near = _near(truth, cells) & batch.valid[..., None]
    cost = _cost(fits, logits, batch.boxes[..., 4].long()) + (~near) * FAR
    wanted = _wanted(fits * near, near)
    ranks = _ranks(cost)
    chosen = (ranks < wanted[..., None]) & near
    # A cell that two objects want stands for the one that it fits at less cost.
    cost = torch.where(chosen, cost, torch.full_like(cost, 2 * FAR))
    least, owner = cost.min(dim=1)
    taken = least < FAR
    fit = fits.gather(1, owner[:, None]).squeeze(1)
    return torch.where(taken, owner, torch.full_like(owner, -1)), fit


def _near(truth: Tensor, cells: Cells) -> Tensor:
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    apart = (cells.middles[None, None] - middle[:, :, None]).abs() / cells.strides
    return apart.amax(-1) < REACH_CELLS


def _cost(fits: Tensor, logits: Tensor, classes: Tensor) -> Tensor:
    scores = torch.sigmoid(logits[..., :1]) * torch.sigmoid(logits[..., 1:])  # (n, cells, classes)
    index = classes[:, None].expand(-1, scores.shape[1], -1)
    mine = scores.gather(2, index).transpose(1, 2).sqrt().clamp(1e-6, 1.0)
    return -mine.log() - COST_OF_OVERLAP * fits.clamp(min=1e-8).log()


def _wanted(fits: Tensor, near: Tensor) -> Tensor:
    """Return how many cells each object gets: the better the best ones fit, the more."""
    best = fits.topk(min(MOST_CELLS, fits.shape[-1]), dim=-1).values
    return torch.minimum(best.sum(-1).int().clamp(min=1), near.sum(-1))


def _ranks(cost: Tensor) -> Tensor:
    """Return each cell's place among the cheapest of its object; the others share the last."""
    count = min(MOST_CELLS + 1, cost.shape[-1])
    order = cost.topk(count, dim=-1, largest=False).indices
    ranks = torch.full(cost.shape, count, dtype=torch.int32)
    places = torch.arange(count, dtype=torch.int32).expand_as(order)
    return ranks.scatter_(-1, order, places)


def losses_of(boxes: Tensor, logits: Tensor, batch: Batch, cells: Cells) -> Losses:
    """Return how far off the network was on a batch."""
    found = corners_of(boxes, cells)
    owner, fit = assign(found.detach(), logits.detach(), batch, cells)
    positive = owner >= 0
    mine = batch.boxes.gather(1, owner.clamp(min=0)[..., None].expand(-1, -1, 6))
    sure = mine[..., 5] * positive
    share = sure.sum().clamp(min=1.0)
    known = positive | ~_inside_any(batch.ignored, cells)
    objectness = functional.binary_cross_entropy_with_logits(
        logits[..., 0], sure, weight=known.float(), reduction="sum"
    )
    weight = sure[positive]
    fits = overlap(found[positive], mine[positive][:, :4])
    box = ((1 - fits.square()) * weight).sum()
    wanted = functional.one_hot(mine[positive][:, 4].long(), logits.shape[-1] - 1).float()
    category = functional.binary_cross_entropy_with_logits(
        logits[positive][:, 1:],
        wanted * fit[positive][:, None],
        weight=weight[:, None],
        reduction="sum",
    )
    return Losses(objectness / share, category / share, box / share)


def _inside_any(places: Tensor, cells: Cells) -> Tensor:
    """Tell which cells have their middle in one of the places."""
    middles = cells.middles[None, None]
    inside = (middles > places[:, :, None, :2]) & (middles < places[:, :, None, 2:])
    return inside.all(-1).any(1)
