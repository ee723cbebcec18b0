"""Batches for training: made in worker processes, the same for the same seed and epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tools.workshop.augment import Augmentation, Sample, make_sample
from tools.workshop.dataset import LabelledImage
from tools.workshop.errors import WorkshopError


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Samples side by side.

    Attributes:
        pictures: uint8 (n, 3, height, width).
        boxes: float32 (n, most, 6) as in `Sample`; rows past an image's own are zero.
        valid: bool (n, most), which rows are boxes.
        ignored: float32 (n, most, 4); rows past an image's own are empty boxes.
    """

    pictures: Tensor
    boxes: Tensor
    valid: Tensor
    ignored: Tensor


@dataclass(frozen=True, slots=True)
class _Refusal:
    """Why a sample could not be made: an error raised in a worker comes out as a stack of text."""

    what: str
    where: str
    remedy: str


class _Samples(Dataset[Sample | _Refusal]):
    """The samples of one epoch, each made anew from its number."""

    def __init__(
        self,
        images: Sequence[LabelledImage],
        how: Augmentation,
        sizes: Sequence[tuple[int, int]],
        seed: tuple[int, int],
    ) -> None:
        self._images = images
        self._how = how
        self._sizes = sizes
        self._seed = seed

    def __len__(self) -> int:
        return len(self._sizes)

    def __getitem__(self, place: tuple[int, int]) -> Sample | _Refusal:
        position, index = place
        cv2.setNumThreads(1)
        rng = np.random.default_rng((*self._seed, index))
        image, size = self._images[index], self._sizes[position]
        try:
            return make_sample(image, size, self._how, rng, self._another)
        except WorkshopError as error:
            return _Refusal(error.what, error.where, error.remedy)

    def _another(self, rng: np.random.Generator) -> LabelledImage:
        return self._images[int(rng.integers(len(self._images)))]


def batches(
    images: Sequence[LabelledImage],
    how: Augmentation,
    sizes: Sequence[tuple[int, int]],
    *,
    batch: int,
    seed: int,
    epoch: int,
    workers: int,
) -> Iterator[Batch]:
    """Yield one epoch, shuffled; each batch has one of the sizes.

    Args:
        images: All of them; what does not fill a last batch is left for another epoch.
        how: How far samples may stray.
        sizes: Height and width to choose from, batch by batch.
        batch: Samples in one.
        seed: Of the run.
        epoch: Number of the epoch.
        workers: Processes that make samples; 0 makes them here.

    Raises:
        WorkshopError: A picture cannot be read.
    """
    rng = np.random.default_rng((seed, epoch))
    order = rng.permutation(len(images))
    count = max(1, len(images) // batch) * batch
    order = np.resize(order, count)
    chosen = [sizes[int(rng.integers(len(sizes)))] for _ in range(count // batch)]
    samples = _Samples(images, how, [s for s in chosen for _ in range(batch)], (seed, epoch))
    loader = DataLoader(
        samples,
        batch_size=batch,
        sampler=list(enumerate(int(index) for index in order)),
        collate_fn=_collated,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        # A forked worker hangs on a lock that a thread of the teacher's runtime held at the fork.
        multiprocessing_context="forkserver" if workers else None,
    )
    for made in loader:
        if isinstance(made, _Refusal):
            raise WorkshopError(made.what, where=made.where, remedy=made.remedy)
        yield made


def _collated(samples: Sequence[Sample | _Refusal]) -> Batch | _Refusal:
    for sample in samples:
        if isinstance(sample, _Refusal):
            return sample
    return collate([sample for sample in samples if isinstance(sample, Sample)])


def collate(samples: Sequence[Sample]) -> Batch:
    """Put samples of one size side by side."""
    pictures = np.stack([sample.picture for sample in samples])
    boxes, valid = _padded([sample.boxes for sample in samples], 6)
    ignored, _ = _padded([sample.ignored for sample in samples], 4)
    return Batch(
        torch.from_numpy(pictures).permute(0, 3, 1, 2),
        torch.from_numpy(boxes),
        torch.from_numpy(valid),
        torch.from_numpy(ignored),
    )


def _padded(
    tables: Sequence[np.ndarray[tuple[int, int], np.dtype[np.float32]]], columns: int
) -> tuple[
    np.ndarray[tuple[int, int, int], np.dtype[np.float32]],
    np.ndarray[tuple[int, int], np.dtype[np.bool_]],
]:
    most = max(1, *(len(table) for table in tables)) if tables else 1
    filled = np.zeros((len(tables), most, columns), np.float32)
    valid = np.zeros((len(tables), most), np.bool_)
    for index, table in enumerate(tables):
        filled[index, : len(table)] = table
        valid[index, : len(table)] = True
    return filled, valid
