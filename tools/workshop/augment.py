"""From a labelled picture to a training sample: placed, cut, mirrored, recoloured.

Everything is drawn from a generator that is handed in, so a sample is the same each time it is
made. A box of which most was cut away becomes a place to ignore: it is neither an object that
could be found nor background.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from tools.workshop.dataset import LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError

Picture = npt.NDArray[np.uint8]
Reals = npt.NDArray[np.float32]

PAD_BYTE = 114
# Of a box that was cut, so much must be left to be an object, else the place is ignored.
LEAST_VISIBLE = 0.4
# A box narrower than this, in pixels of the input, is ignored: nobody could find it.
LEAST_SIDE_PX = 3.0


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a sample may stray from its picture.

    Attributes:
        smallest: Least size of the picture, as a share of what just fits the input.
        largest: Most.
        stretch: Most change of the aspect, either way; 0.1 is a tenth.
        mosaic: Share of samples that are made of four pictures.
        colour: Strength of changes of brightness, contrast and colour, 0.0 to 1.0.
        grey: Share of samples without colour, as a camera sees at night.
    """

    smallest: float = 0.45
    largest: float = 1.7
    stretch: float = 0.1
    mosaic: float = 0.3
    colour: float = 0.5
    grey: float = 0.08


# Letterboxed at the top left, as on the camera.
PLAIN = Augmentation(1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What the network gets, and what it should say.

    Attributes:
        picture: uint8 (height, width, 3), BGR.
        boxes: float32 (n, 6) as left, top, right, bottom in pixels of the input, class, score.
        ignored: float32 (m, 4), places that are neither object nor background.
    """

    picture: Picture
    boxes: Reals
    ignored: Reals


def read_picture(path: str) -> Picture:
    """Read a picture as BGR, turned as its orientation tag says: so are the boxes.

    Raises:
        WorkshopError: It cannot be read.
    """
    try:
        content = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    except (OSError, cv2.error) as error:  # OpenCV's: larger than it lets pictures be
        raise _unreadable(path, str(getattr(error, "strerror", None) or error)) from error
    if picture is None:
        raise _unreadable(path, "it is none, or a damaged one")
    return np.asarray(picture, np.uint8)


def _unreadable(path: str, why: str) -> WorkshopError:
    return WorkshopError(
        f"the picture cannot be read: {why}",
        where=path,
        remedy="Run `prepare` again; it finds such files and leaves them out",
    )


def make_sample(
    image: LabelledImage,
    size: tuple[int, int],
    how: Augmentation,
    rng: np.random.Generator,
    another: Callable[[np.random.Generator], LabelledImage],
) -> Sample:
    """Make one sample.

    Args:
        image: The picture that it is mainly about.
        size: Height and width of the input.
        how: How far it may stray.
        rng: Decides everything that is left to chance.
        another: Returns a picture to fill a mosaic with.
    """
    if rng.random() < how.mosaic:
        sample = _mosaic([image, *(another(rng) for _ in range(3))], size, how, rng)
    else:
        sample = _placed(image, size, how, rng)
    return Sample(_recoloured(sample.picture, how, rng), sample.boxes, sample.ignored)


def _mosaic(
    images: Sequence[LabelledImage],
    size: tuple[int, int],
    how: Augmentation,
    rng: np.random.Generator,
) -> Sample:
    """Put four pictures into the corners of one."""
    height, width = size
    row = int(height * rng.uniform(0.35, 0.65))
    column = int(width * rng.uniform(0.35, 0.65))
    canvas = np.full((height, width, 3), PAD_BYTE, np.uint8)
    boxes, ignored = [], []
    corners = (
        (0, 0, row, column),
        (0, column, row, width),
        (row, 0, height, column),
        (row, column, height, width),
    )
    for image, (top, left, bottom, right) in zip(images, corners, strict=True):
        part = _placed(image, (bottom - top, right - left), how, rng)
        canvas[top:bottom, left:right] = part.picture
        shift = np.array([left, top, left, top], np.float32)
        part.boxes[:, :4] += shift
        boxes.append(part.boxes)
        ignored.append(part.ignored + shift)
    return Sample(canvas, np.concatenate(boxes), np.concatenate(ignored))


def _placed(
    image: LabelledImage, size: tuple[int, int], how: Augmentation, rng: np.random.Generator
) -> Sample:
    """Scale, mirror and move a picture into the input."""
    height, width = size
    picture = read_picture(str(image.path))
    matrix = _placement(picture.shape[:2], size, how, rng)
    placed = cv2.warpAffine(
        picture,
        matrix,
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderValue=(PAD_BYTE, PAD_BYTE, PAD_BYTE),
    )
    boxes, ignored = _moved(image.boxes, matrix, size)
    return Sample(np.asarray(placed, np.uint8), boxes, ignored)


def _placement(
    shape: tuple[int, ...], size: tuple[int, int], how: Augmentation, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the 2x3 matrix that takes the picture into the input."""
    (rows, columns), (height, width) = shape, size
    zoom = min(height / rows, width / columns) * np.exp(
        rng.uniform(np.log(how.smallest), np.log(how.largest))
    )
    across = zoom * (1 + rng.uniform(-how.stretch, how.stretch))
    down = zoom * (1 + rng.uniform(-how.stretch, how.stretch))
    strays = how.largest > how.smallest
    # Free room to the right and below; negative where the picture is larger than the input.
    x = rng.uniform(*sorted((0.0, width - columns * across))) if strays else 0.0
    y = rng.uniform(*sorted((0.0, height - rows * down))) if strays else 0.0
    if strays and rng.random() < 0.5:
        return np.array([[-across, 0.0, x + columns * across], [0.0, down, y]])
    return np.array([[across, 0.0, x], [0.0, down, y]])


def _moved(
    boxes: Sequence[LabelledBox], matrix: npt.NDArray[np.float64], size: tuple[int, int]
) -> tuple[Reals, Reals]:
    """Return the boxes in pixels of the input, and the places to ignore."""
    objects: list[tuple[float, ...]] = []
    ignored: list[tuple[float, ...]] = []
    for box in boxes:
        x0, x1 = sorted(matrix[0, 0] * x + matrix[0, 2] for x in (box.left, box.right))
        y0, y1 = (matrix[1, 1] * y + matrix[1, 2] for y in (box.top, box.bottom))
        left, right = max(x0, 0.0), min(x1, float(size[1]))
        top, bottom = max(y0, 0.0), min(y1, float(size[0]))
        if right <= left or bottom <= top:
            continue
        visible = (right - left) * (bottom - top) / max((x1 - x0) * (y1 - y0), 1e-6)
        small = min(right - left, bottom - top) < LEAST_SIDE_PX
        if box.ignore or small or visible < LEAST_VISIBLE:
            ignored.append((left, top, right, bottom))
        else:
            objects.append((left, top, right, bottom, box.class_index, box.score))
    return (
        np.array(objects, np.float32).reshape(-1, 6),
        np.array(ignored, np.float32).reshape(-1, 4),
    )


def _recoloured(picture: Picture, how: Augmentation, rng: np.random.Generator) -> Picture:
    """Change brightness, contrast and the balance of colours; sometimes leave no colour."""
    if how.colour > 0.0:
        gain = np.exp(rng.uniform(-0.4, 0.4, 3) * 0.4 * how.colour)
        gain *= np.exp(rng.uniform(-0.6, 0.6) * how.colour)
        offset = rng.uniform(-40, 40) * how.colour
        levels = np.arange(256, dtype=np.float64)[:, None]
        table = np.clip((levels - 114) * gain + 114 + offset, 0, 255).astype(np.uint8)
        picture = np.asarray(cv2.LUT(picture, table.reshape(256, 1, 3)), np.uint8)
    if rng.random() < how.grey:
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)
    return picture
