"""Batches: the same for the same seed, whole, and refused in one line when a picture is not."""

# ruff: noqa: E402 -- PyTorch is asked for first: without it the whole module is skipped

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.workshop.training_pictures import SIDE, painted, painted_set
from tools.workshop.augment import PLAIN, Augmentation, Sample
from tools.workshop.dataset import LabelledImage
from tools.workshop.errors import WorkshopError
from tools.workshop.feed import Batch, batches, collate

pytestmark = pytest.mark.workshop


def some(
    images: tuple[LabelledImage, ...],
    how: Augmentation = PLAIN,
    *,
    sizes: tuple[tuple[int, int], ...] = ((SIDE, SIDE),),
    batch: int = 4,
    seed: int = 0,
    epoch: int = 0,
    workers: int = 0,
) -> list[Batch]:
    found = batches(images, how, sizes, batch=batch, seed=seed, epoch=epoch, workers=workers)
    return list(found)


def are_equal(first: list[Batch], second: list[Batch]) -> bool:
    return all(
        torch.equal(getattr(a, name), getattr(b, name))
        for a, b in zip(first, second, strict=True)
        for name in ("pictures", "boxes", "valid", "ignored")
    )


def levels(found: list[Batch]) -> list[int]:
    """Which pictures were shown, where each has a grey of its own."""
    return [int(picture[0, 0, 0]) for batch in found for picture in batch.pictures]


def greys(folder: Path, count: int) -> tuple[LabelledImage, ...]:
    return tuple(
        painted(folder / f"{n}.png", (0, 0, SIDE, SIDE), colour=(n, n, n), boxes=[])
        for n in range(count)
    )


def test_the_same_seed_and_epoch_give_the_same_batches_and_others_do_not(tmp_path: Path) -> None:
    images = painted_set(tmp_path, 8).images
    first = some(images, Augmentation(), seed=1, epoch=2)
    assert are_equal(first, some(images, Augmentation(), seed=1, epoch=2))
    assert not are_equal(first, some(images, Augmentation(), seed=1, epoch=3))
    assert not are_equal(first, some(images, Augmentation(), seed=2, epoch=2))


def test_it_does_not_matter_who_makes_the_samples(tmp_path: Path) -> None:
    images = painted_set(tmp_path, 8).images
    here = some(images, Augmentation())
    assert are_equal(here, some(images, Augmentation(), workers=2))


def test_an_epoch_shows_every_picture_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    images = greys(tmp_path, 12)
    first, second = (levels(some(images, epoch=epoch)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == list(range(12))
    assert first != second


def test_what_does_not_fill_a_batch_waits_for_another_epoch(tmp_path: Path) -> None:
    shown = levels(some(greys(tmp_path, 11)))
    assert len(shown) == len(set(shown)) == 8


def test_fewer_pictures_than_a_batch_are_shown_several_times(tmp_path: Path) -> None:
    (batch,) = some(greys(tmp_path, 3))
    assert len(batch.pictures) == 4
    assert set(levels([batch])) == {0, 1, 2}


def test_a_batch_has_one_of_the_sizes_and_all_of_them_are_drawn(tmp_path: Path) -> None:
    images = painted_set(tmp_path, 4).images * 12
    sizes = ((64, 64), (96, 32))
    shapes = {tuple(batch.pictures.shape) for batch in some(images, sizes=sizes)}
    assert shapes == {(4, 3, 64, 64), (4, 3, 96, 32)}


def test_rows_past_a_pictures_own_boxes_are_no_boxes() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    box = np.array([[1, 2, 3, 4, 0, 1]], np.float32)
    place = np.array([[5, 5, 6, 6]], np.float32)
    batch = collate(
        [
            Sample(picture, np.repeat(box, 2, axis=0), np.zeros((0, 4), np.float32)),
            Sample(picture, box, place),
            Sample(picture, np.zeros((0, 6), np.float32), np.zeros((0, 4), np.float32)),
        ]
    )
    assert batch.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert batch.boxes[1].tolist() == [[1, 2, 3, 4, 0, 1], [0] * 6]
    assert batch.ignored[:, 0].tolist() == [[0] * 4, [5, 5, 6, 6], [0] * 4]


def test_channels_come_first_and_blue_is_the_first_of_them(tmp_path: Path) -> None:
    blue = painted(tmp_path / "a.png", (0, 0, SIDE, SIDE), colour=(200, 100, 50))
    (batch,) = some((blue,), batch=1)
    assert batch.pictures.dtype == torch.uint8
    assert batch.pictures[0, :, 30, 30].tolist() == [200, 100, 50]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_cannot_be_read_is_named_without_a_stack(
    tmp_path: Path, workers: int
) -> None:
    """An error that a worker raises comes out of PyTorch as pages of text; this one does not."""
    images = painted_set(tmp_path, 8).images
    images[5].path.write_bytes(b"no picture")
    with pytest.raises(WorkshopError, match="cannot be read") as caught:
        some(images, workers=workers)
    assert caught.value.where == str(images[5].path)
    assert "\n" not in str(caught.value)
