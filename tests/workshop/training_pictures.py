"""Pictures to train on, painted: a grey ground with one rectangle each, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tools.workshop.dataset import DataSet, LabelledBox, LabelledImage, save

Pixels = npt.NDArray[np.uint8]
Corners = tuple[float, float, float, float]

SIDE = 64
GREY = (90, 90, 90)
RED, GREEN, BLUE, WHITE = (0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)  # BGR
# Where the rectangles of a data set are, one after the other: large, so that few steps teach them.
PLACES: tuple[Corners, ...] = ((6, 8, 30, 40), (30, 20, 60, 56), (10, 28, 44, 60), (24, 4, 56, 32))


def painted(
    path: Path,
    corners: Corners,
    *,
    colour: tuple[int, int, int] = RED,
    size: tuple[int, int] = (SIDE, SIDE),
    boxes: Sequence[LabelledBox] | None = None,
    split: str = "train",
) -> LabelledImage:
    """Write a picture with one rectangle and return it with its box.

    Args:
        path: Of the picture, a PNG.
        corners: Left, top, right, bottom of the rectangle.
        colour: Of the rectangle.
        size: Width and height of the picture.
        boxes: In place of the rectangle's own.
        split: Of the picture.
    """
    pixels = np.full((size[1], size[0], 3), GREY, np.uint8)
    left, top, right, bottom = map(int, corners)
    pixels[top:bottom, left:right] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    own = (LabelledBox(0, *corners),) if boxes is None else tuple(boxes)
    return LabelledImage(path, size[0], size[1], split, "painted", own)


def painted_set(
    folder: Path, count: int = 4, classes: Sequence[str] = ("person",), split: str = "train"
) -> DataSet:
    """Write a data set of red rectangles, and its `dataset.json`."""
    images = tuple(
        painted(folder / f"images/{number}.png", PLACES[number % len(PLACES)], split=split)
        for number in range(count)
    )
    data = DataSet(tuple(classes), images)
    save(folder, data)
    return data


def extent(pixels: Pixels, colour: tuple[int, int, int]) -> Corners | None:
    """Return left, top, right, bottom of what has nearly a colour; None if nothing has."""
    near = np.abs(pixels.astype(int) - colour).max(axis=2) < 60
    rows, columns = np.nonzero(near)
    if not rows.size:
        return None
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
