"""What a network is told that it should have said."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor

from tools.workshop.feed import Batch
from tools.workshop.losses import (
    MOST_CELLS,
    REACH_CELLS,
    Cells,
    assign,
    cells_of,
    corners_of,
    losses_of,
    overlap,
)

pytestmark = pytest.mark.workshop
SIDE, STRIDE = 64, 8
CELLS = cells_of(SIDE, SIDE, (STRIDE,))
ROW = SIDE // STRIDE
Box = tuple[float, float, float, float]


def batch_of(
    *boxes: Box,
    classes: tuple[int, ...] = (),
    scores: tuple[float, ...] = (),
    ignored: tuple[Box, ...] = (),
) -> Batch:
    """Return one picture with these boxes, and a row more that is none."""
    rows = torch.zeros(1, len(boxes) + 1, 6)
    for index, box in enumerate(boxes):
        category = classes[index] if classes else 0
        rows[0, index] = torch.tensor([*box, category, scores[index] if scores else 1.0])
    valid = torch.tensor([[True] * len(boxes) + [False]])
    places = torch.tensor([[*ignored, (0.0, 0.0, 0.0, 0.0)]])
    return Batch(torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8), rows, valid, places)


def saying(box: Box, cells: Cells = CELLS) -> Tensor:
    """Return what a network would have to say in every cell for this one box."""
    left, top, right, bottom = box
    middle = torch.tensor([(left + right) / 2, (top + bottom) / 2])
    size = torch.tensor([right - left, bottom - top])
    sizes = (size / cells.strides).log()
    return torch.cat((middle / cells.strides - cells.corners, sizes), dim=1)[None]


def silent(classes: int = 1) -> Tensor:
    return torch.full((1, len(CELLS.corners), 1 + classes), -2.0)


def index(column: int, row: int) -> int:
    return row * ROW + column


# --- geometry ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1.0),
        ((5, 0, 15, 10), 50 / 150),
        ((0, 0, 20, 20), 100 / 400),
        ((10, 0, 20, 10), 0.0),  # side by side
        ((4, 4, 4, 4), 0.0),  # nothing
    ],
)
def test_overlap_is_what_is_shared_of_what_both_cover(other: Box, expected: float) -> None:
    box = torch.tensor([0.0, 0, 10, 10])
    assert overlap(box, torch.tensor(other).float()).item() == pytest.approx(expected)
    assert overlap(torch.tensor(other).float(), box).item() == pytest.approx(expected)


def test_cells_lie_row_by_row_stride_by_stride() -> None:
    cells = cells_of(32, 64, (8, 16))
    assert len(cells.corners) == 4 * 8 + 2 * 4
    assert cells.corners[1].tolist() == [1, 0]
    assert cells.corners[8].tolist() == [0, 1]
    assert cells.middles[0].tolist() == [4, 4]
    assert cells.middles[32].tolist() == [8, 8]
    assert cells.strides[31:33, 0].tolist() == [8, 16]


def test_a_box_is_said_from_its_cell_in_cells_and_logarithms() -> None:
    said = torch.zeros(1, ROW * ROW, 4)
    said[0, index(2, 1)] = torch.tensor([0.5, 0.5, 0.0, 1.0])
    corners = corners_of(said, CELLS)[0, index(2, 1)]
    height = 8 * torch.tensor(1.0).exp().item()
    assert corners.tolist() == pytest.approx([16, 12 - height / 2, 24, 12 + height / 2])


def test_a_size_without_bounds_stays_a_number() -> None:
    said = torch.full((1, ROW * ROW, 4), 500.0)
    assert torch.isfinite(corners_of(said, CELLS)).all()


# --- which cell stands for what ----------------------------------------------------------------


def test_every_object_gets_a_cell_near_its_middle_however_badly_it_fits() -> None:
    boxes = ((2.0, 2.0, 8.0, 8.0), (30.0, 20.0, 62.0, 60.0), (40.0, 1.0, 44.0, 6.0))
    nowhere = torch.full((1, ROW * ROW, 4), -3.0)
    owner, _ = assign(corners_of(nowhere, CELLS), silent(), batch_of(*boxes), CELLS)
    for number, (left, top, right, bottom) in enumerate(boxes):
        cells = (owner[0] == number).nonzero()[:, 0]
        assert len(cells) >= 1
        apart = CELLS.middles[cells] - torch.tensor([(left + right) / 2, (top + bottom) / 2])
        assert (apart.abs() < REACH_CELLS * STRIDE).all()


def test_the_better_the_cells_fit_the_more_of_them_stand_for_an_object() -> None:
    box = (16.0, 16.0, 48.0, 48.0)
    fitting, _ = assign(corners_of(saying(box), CELLS), silent(), batch_of(box), CELLS)
    worse, _ = assign(
        corners_of(saying((8.0, 8.0, 32.0, 32.0)), CELLS), silent(), batch_of(box), CELLS
    )
    assert int((fitting >= 0).sum()) == MOST_CELLS
    assert 1 <= int((worse >= 0).sum()) < MOST_CELLS


def test_a_cell_that_two_objects_want_goes_to_the_one_that_it_fits_better() -> None:
    """Two boxes with one middle: every cell says the larger one, so it gets all that both want."""
    small, large = (28.0, 28.0, 36.0, 36.0), (12.0, 12.0, 52.0, 52.0)
    owner, fit = assign(corners_of(saying(large), CELLS), silent(), batch_of(small, large), CELLS)
    assert int((owner == 1).sum()) >= 1
    contested = owner[0, index(3, 3)]
    assert contested == 1
    assert fit[0, index(3, 3)].item() == pytest.approx(1.0, abs=1e-4)
    swapped, _ = assign(corners_of(saying(large), CELLS), silent(), batch_of(large, small), CELLS)
    assert swapped[0, index(3, 3)] == 0


def test_of_cells_that_fit_alike_those_that_know_the_class_are_chosen() -> None:
    box = (24.0, 24.0, 40.0, 40.0)
    logits = silent(classes=2)
    knowing = [index(2, 4), index(5, 4)]
    logits[0, knowing, 2] = 4.0
    half = saying((24.0, 24.0, 40.0, 32.0))  # an overlap of a half everywhere: five cells
    owner, _ = assign(corners_of(half, CELLS), logits, batch_of(box, classes=(1,)), CELLS)
    assert (owner[0, knowing] == 0).all()


def test_rows_that_are_no_boxes_get_no_cell() -> None:
    nothing = batch_of()
    owner, _ = assign(corners_of(torch.zeros(1, ROW * ROW, 4), CELLS), silent(), nothing, CELLS)
    assert (owner == -1).all()


# --- losses ------------------------------------------------------------------------------------


def test_who_says_everything_right_has_hardly_a_loss() -> None:
    box = (16.0, 16.0, 48.0, 48.0)
    batch = batch_of(box)
    owner, _ = assign(corners_of(saying(box), CELLS), silent(), batch, CELLS)
    right = torch.where((owner >= 0)[..., None], 12.0, -12.0).expand(-1, -1, 2).clone()
    losses = losses_of(saying(box), right, batch, CELLS)
    assert losses.total.item() < 0.01
    assert losses_of(saying(box), -right, batch, CELLS).total.item() > 10


def test_each_part_of_the_loss_answers_to_its_own_mistake() -> None:
    box, beside = (16.0, 16.0, 48.0, 48.0), (20.0, 16.0, 52.0, 48.0)
    batch = batch_of(box, classes=(1,))
    logits = torch.zeros(1, ROW * ROW, 3)
    base = losses_of(saying(box), logits, batch, CELLS)
    shifted = losses_of(saying(beside), logits, batch, CELLS)
    assert base.box.item() == pytest.approx(0.0, abs=1e-4)
    assert shifted.box.item() > 0.1
    wrong = logits.clone()
    wrong[..., 1] = 3.0
    assert losses_of(saying(box), wrong, batch, CELLS).category > base.category + 1
    surer = logits.clone()
    surer[..., 0] = 5.0
    assert losses_of(saying(box), surer, batch, CELLS).objectness > base.objectness + 1


def gradient_of_objectness(batch: Batch, logits: Tensor) -> Tensor:
    logits = logits.clone().requires_grad_()
    losses_of(torch.zeros(1, ROW * ROW, 4), logits, batch, CELLS).objectness.backward()
    assert logits.grad is not None
    return logits.grad[0, :, 0].reshape(ROW, ROW)


def test_where_nobody_knows_nothing_is_asked() -> None:
    place = (16.0, 0.0, 40.0, 24.0)  # the middles of three cells by three
    gradient = gradient_of_objectness(batch_of(ignored=(place,)), silent())
    unknown = torch.zeros(ROW, ROW, dtype=torch.bool)
    unknown[0:3, 2:5] = True
    assert (gradient[unknown] == 0).all()
    assert (gradient[~unknown] > 0).all()  # all the others should say: nothing


def test_an_object_inside_a_place_to_ignore_still_counts() -> None:
    box, everywhere = (24.0, 24.0, 40.0, 40.0), (0.0, 0.0, 64.0, 64.0)
    gradient = gradient_of_objectness(batch_of(box, ignored=(everywhere,)), silent())
    assert (gradient < 0).any()
    assert not (gradient > 0).any()


def test_an_unsure_label_asks_for_no_more_than_its_score() -> None:
    box = (16.0, 16.0, 48.0, 48.0)
    batch = batch_of(box, scores=(0.3,))
    owner, _ = assign(corners_of(saying(box), CELLS), silent(), batch, CELLS)
    logits = torch.full((1, ROW * ROW, 2), -12.0)
    logits[owner >= 0] = torch.logit(torch.tensor(0.3))
    logits.requires_grad_()
    losses_of(saying(box), logits, batch, CELLS).objectness.backward()
    assert logits.grad is not None
    assert logits.grad[..., 0].abs().max().item() < 1e-4


def test_a_picture_with_nothing_in_it_asks_for_silence_only() -> None:
    losses = losses_of(torch.zeros(1, ROW * ROW, 4), silent(), batch_of(), CELLS)
    assert losses.objectness.item() > 0
    assert losses.box.item() == losses.category.item() == 0
