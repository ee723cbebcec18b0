"""What a pupil is told by a teacher that looks at the same samples."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import dataclasses

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from tests.workshop.tiny_networks import pictures, tiny, tiny_plan
from tests.workshop.training_pictures import SIDE
from tools.workshop.imitation import (
    LEAST_SCORE,
    Features,
    Said,
    Teacher,
    feature_loss,
    imitation_loss,
)
from tools.workshop.losses import cells_of
from tools.workshop.network import STRIDES, Detector

pytestmark = pytest.mark.workshop
CELLS = cells_of(SIDE, SIDE, STRIDES)
COUNT = len(CELLS.corners)


def some_say(seed: int = 0) -> Said:
    generator = torch.Generator().manual_seed(seed)
    return Said(
        torch.randn(2, COUNT, 4, generator=generator),
        torch.rand(2, COUNT, 2, generator=generator).square(),
    )


def perfect(said: Said) -> tuple[Tensor, Tensor]:
    """Return what a pupil says that is asked for nothing more."""
    roots = torch.cat((said.scores.amax(-1, keepdim=True), said.scores), dim=-1).sqrt()
    return said.boxes.clone(), torch.logit(roots)


def test_a_perfect_pupil_has_no_loss() -> None:
    said = some_say()
    assert abs(imitation_loss(*perfect(said), said, CELLS).item()) < 1e-3


@pytest.mark.parametrize("part", ["boxes", "objectness", "classes"])
def test_whatever_a_pupil_says_otherwise_costs(part: str) -> None:
    said = some_say()
    boxes, logits = perfect(said)
    changed = {"boxes": boxes, "objectness": logits[..., :1], "classes": logits[..., 1:]}[part]
    changed += 0.5
    slightly = imitation_loss(boxes, logits, said, CELLS).item()
    changed += 0.5
    assert 0.001 < slightly < imitation_loss(boxes, logits, said, CELLS).item()


def test_where_the_teacher_sees_nothing_boxes_and_classes_are_the_pupils_own() -> None:
    said = some_say()
    quiet = said.scores.amax(-1) <= LEAST_SCORE
    assert quiet.any()
    boxes, logits = perfect(said)
    before = imitation_loss(boxes, logits, said, CELLS)
    boxes[quiet] += 3.0
    logits[..., 1:][quiet] += 3.0
    assert torch.equal(imitation_loss(boxes, logits, said, CELLS), before)


def test_a_teacher_says_what_its_network_says_nearly() -> None:
    """Half the precision: scores within a hundredth or two."""
    detector = tiny(classes=("person", "dog"))
    said = Teacher(detector).look(pictures(2))
    with torch.no_grad():
        boxes, logits = detector(pictures(2))
    scores = torch.sigmoid(logits[..., :1]) * torch.sigmoid(logits[..., 1:])
    assert (said.scores - scores).abs().max().item() < 0.05
    assert (said.boxes - boxes).abs().mean().item() < 0.05
    assert not said.boxes.requires_grad


def test_parts_that_give_the_same_are_no_distance_apart() -> None:
    detector = tiny()
    teacher = Teacher(detector)
    pupil = Features(detector)
    teacher.look(pictures())
    detector(pictures())
    near = feature_loss(pupil, teacher.features).item()
    other = tiny(1)
    stranger = Features(other)
    other(pictures())
    assert near < 0.01 < feature_loss(stranger, teacher.features).item()


def test_parts_of_other_widths_are_passed_over() -> None:
    teacher = Teacher(tiny())
    teacher.look(pictures())
    plan = tiny_plan()
    slim = Detector(dataclasses.replace(plan, widths={n: w + 8 for n, w in plan.widths.items()}))
    pupil = Features(slim)
    slim(pictures())
    assert feature_loss(pupil, teacher.features).item() == 0.0
