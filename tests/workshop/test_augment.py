"""What becomes of a picture on its way to a sample, and that its boxes go with it."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_app.inference.preprocess import Rectangle, fitted
from camera_app.models import Fit
from camera_app.values import Size
from tests.workshop.training_pictures import (
    BLUE,
    GREEN,
    RED,
    SIDE,
    WHITE,
    extent,
    painted,
)
from tools.workshop.augment import PAD_BYTE, PLAIN, Augmentation, Sample, make_sample, read_picture
from tools.workshop.dataset import LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError

MOVED = Augmentation(mosaic=0.0, colour=0.0, grey=0.0)
MOSAIC = Augmentation(mosaic=1.0, colour=0.0, grey=0.0)
# An edge lies between two pixels, which a warp mixes: it is seen up to one pixel off. And warping
# counts from the middles of pixels, boxes from their edges: a mirrored picture lies up to another
# pixel to the right of its boxes.
EDGE_PX = 2.0


def sample_of(
    image: LabelledImage,
    how: Augmentation,
    seed: int = 0,
    size: tuple[int, int] = (SIDE, SIDE),
    others: list[LabelledImage] | None = None,
) -> Sample:
    left = iter(others or [])
    return make_sample(image, size, how, np.random.default_rng(seed), lambda _: next(left))


def unmoved(image: LabelledImage) -> Sample:
    return sample_of(image, PLAIN)


# --- a picture and its boxes ------------------------------------------------------------------


def test_the_box_still_surrounds_the_rectangle_wherever_the_picture_went(tmp_path: Path) -> None:
    image = painted(tmp_path / "a.png", (4, 4, 44, 30), size=(120, 80))
    whole = 0
    for seed in range(60):
        sample = sample_of(image, MOVED, seed)
        seen = extent(sample.picture, RED)
        known = [*sample.boxes[:, :4], *sample.ignored]
        if seen is None:
            assert all((b[2:] - b[:2]).min() < EDGE_PX for b in known), seed
        else:
            assert np.abs(known[0] - seen).max() <= EDGE_PX, seed
            whole += len(sample.boxes)
    assert 20 < whole < 60  # some were cut, most were not


def test_half_of_the_samples_are_mirrored_and_the_box_with_them(tmp_path: Path) -> None:
    still = dataclasses.replace(MOVED, smallest=0.999, largest=1.0, stretch=0.0)
    image = painted(tmp_path / "a.png", (4, 20, 20, 50))
    sides = [sample_of(image, still, seed).boxes[0, 0] > SIDE / 2 for seed in range(60)]
    assert 15 < sum(sides) < 45
    for seed, is_mirrored in enumerate(sides):
        sample = sample_of(image, still, seed)
        seen = extent(sample.picture, RED)
        assert seen is not None
        assert (seen[0] > SIDE / 2) == is_mirrored


def test_each_of_the_four_pictures_of_a_mosaic_brings_its_boxes(tmp_path: Path) -> None:
    colours = (RED, GREEN, BLUE, WHITE)
    images = [
        painted(
            tmp_path / f"{number}.png",
            (12, 12, 52, 52),
            colour=colour,
            boxes=[LabelledBox(number, 12, 12, 52, 52)],
        )
        for number, colour in enumerate(colours)
    ]
    found = set()
    for seed in range(20):
        sample = sample_of(images[0], MOSAIC, seed, size=(128, 96), others=images[1:])
        assert sample.picture.shape == (128, 96, 3)
        for *box, category, score in sample.boxes:
            seen = extent(sample.picture, colours[int(category)])
            assert seen is not None
            assert np.abs(np.subtract(box, seen)).max() <= EDGE_PX
            assert score == 1.0
            found.add(int(category))
    assert found == {0, 1, 2, 3}


def test_a_mosaic_moves_places_to_ignore_as_well(tmp_path: Path) -> None:
    """The last picture lies at the lower right: so does what is unknown in it."""
    place = LabelledBox(0, 0, 0, SIDE, SIDE, ignore=True)
    plain = painted(tmp_path / "a.png", (0, 0, 8, 8), boxes=[])
    unsure = painted(tmp_path / "b.png", (0, 0, 8, 8), boxes=[place])
    sample = sample_of(plain, MOSAIC, 3, others=[plain, plain, unsure])
    assert len(sample.ignored) == 1
    assert sample.ignored[0, :2].min() >= 0.35 * SIDE - 1


def test_a_plain_sample_is_letterboxed_at_the_top_left_as_on_the_camera(tmp_path: Path) -> None:
    image = painted(tmp_path / "a.png", (20, 10, 100, 70), size=(128, 96))
    sample = unmoved(image)
    camera = fitted(Fit.LETTERBOX_TOP_LEFT, Rectangle(0, 0, 128, 96), Size(SIDE, SIDE))
    assert (camera.width, camera.height) == (64, 48)
    assert (sample.picture[camera.height :] == PAD_BYTE).all()
    assert (sample.picture[: camera.height - 1, :, 0] != PAD_BYTE).all()
    assert sample.boxes.tolist() == [[10, 5, 50, 35, 0, 1]]


# --- what is left of a box ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corners", "is_object", "is_ignored"),
    [
        ((10, 10, 30, 30), True, False),
        ((-10, 10, 15, 30), True, False),  # 60 % of it is in the picture
        ((-20, 10, 10, 30), False, True),  # a third
        ((10, 10, 12, 40), False, True),  # two pixels wide
        ((-30, 10, -5, 30), False, False),  # outside
        ((30, 30, 30, 40), False, False),  # empty
    ],
)
def test_a_box_of_which_little_is_left_becomes_a_place_to_ignore(
    tmp_path: Path, corners: tuple[float, ...], is_object: bool, is_ignored: bool
) -> None:
    sample = unmoved(painted(tmp_path / "a.png", (0, 0, 1, 1), boxes=[LabelledBox(0, *corners)]))
    assert len(sample.boxes) == is_object
    assert len(sample.ignored) == is_ignored
    for box in (*sample.boxes[:, :4], *sample.ignored):
        assert box.min() >= 0


def test_what_nobody_knows_stays_a_place_to_ignore_and_a_score_is_kept(tmp_path: Path) -> None:
    boxes = [LabelledBox(1, 4, 4, 30, 30, score=0.5), LabelledBox(0, 30, 4, 60, 30, ignore=True)]
    sample = unmoved(painted(tmp_path / "a.png", (0, 0, 1, 1), boxes=boxes))
    assert sample.boxes.tolist() == [[4, 4, 30, 30, 1, 0.5]]
    assert sample.ignored.tolist() == [[30, 4, 60, 30]]


def test_a_picture_without_boxes_gives_tables_without_rows(tmp_path: Path) -> None:
    sample = unmoved(painted(tmp_path / "a.png", (0, 0, 1, 1), boxes=[]))
    assert sample.boxes.shape == (0, 6)
    assert sample.ignored.shape == (0, 4)


# --- chance and colour -------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_sample_and_another_seed_another(tmp_path: Path) -> None:
    image = painted(tmp_path / "a.png", (10, 10, 50, 40))
    how = dataclasses.replace(Augmentation(), mosaic=0.0)
    first, same, other = (sample_of(image, how, seed) for seed in (1, 1, 2))
    assert (first.picture == same.picture).all()
    assert (first.boxes == same.boxes).all()
    assert (first.picture != other.picture).any()


def test_colours_change_without_moving_anything(tmp_path: Path) -> None:
    image = painted(tmp_path / "a.png", (10, 10, 50, 40))
    plain = unmoved(image)
    coloured = sample_of(image, dataclasses.replace(PLAIN, colour=1.0), 4)
    assert (coloured.boxes == plain.boxes).all()
    inside, outside = coloured.picture[20, 20], coloured.picture[60, 60]
    assert (inside != plain.picture[20, 20]).any()
    assert (coloured.picture[10:40, 10:50] == inside).all()
    assert (coloured.picture[40:] == outside).all()


def test_a_grey_sample_has_no_colour_left(tmp_path: Path) -> None:
    image = painted(tmp_path / "a.png", (10, 10, 50, 40))
    grey = sample_of(image, dataclasses.replace(PLAIN, grey=1.0)).picture
    assert (grey.min(axis=2) == grey.max(axis=2)).all()
    assert grey.min() < grey.max()


# --- reading -----------------------------------------------------------------------------------


def turned_jpeg(path: Path) -> Path:
    """Write a JPEG of 40x20, red on its left, whose tag says: turn by a quarter, clockwise."""
    pixels = np.full((20, 40, 3), GREEN, np.uint8)
    pixels[:, :20] = RED
    content = bytes(cv2.imencode(".jpg", pixels)[1])
    tag = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + tag + struct.pack("<I", 0)
    header = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(content[:2] + header + content[2:])
    return path


def test_a_picture_is_turned_as_its_tag_says_because_its_boxes_are(tmp_path: Path) -> None:
    pixels = read_picture(str(turned_jpeg(tmp_path / "a.jpg")))
    assert pixels.shape == (40, 20, 3)
    assert extent(pixels[:18], RED) == (0, 0, 20, 18)


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0 and the end"])
def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(WorkshopError, match="cannot be read") as caught:
        read_picture(str(path))
    assert caught.value.where == str(path)
