"""Distillation through labels: what a teacher finds in a picture, as surely as it finds it.

For teachers of any family: only what they find counts, decoded as the camera itself would. A
person's box outranks the teacher; a place to ignore where the teacher finds something becomes an
object, as sure as the teacher is; a box that a detector drew gives way to the teacher's own.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from tqdm import tqdm

from camera_app.inference import Network
from camera_app.values import Box, Detection, Rgb
from tools.workshop.augment import read_picture
from tools.workshop.dataset import DataSet, LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError

# What a teacher is less sure of is mostly nothing.
LEAST_SCORE = 0.15
# Boxes that overlap so much mean the same object.
SAME_IOU = 0.5
CACHE = "teacher.jsonl"


@dataclass(frozen=True, slots=True)
class Teacher:
    """Looks through a pack at pictures, upright and mirrored.

    Attributes:
        network: What looks.
        class_of: Our class by the teacher's label; other labels are passed over.
    """

    network: Network
    class_of: Mapping[str, int]

    @property
    def key(self) -> str:
        """What its findings hang on: the pack to the last byte, and which classes are ours."""
        return f"{self.network.pack.digest} {sorted(self.class_of.items())}"

    def look(self, image: LabelledImage) -> tuple[LabelledBox, ...]:
        """Return what it finds in a picture, best first.

        Raises:
            WorkshopError: The picture cannot be read.
        """
        pixels = cv2.cvtColor(read_picture(str(image.path)), cv2.COLOR_BGR2RGB)
        picture, mirror = Rgb(np.asarray(pixels)), Rgb(np.ascontiguousarray(pixels[:, ::-1]))
        upright = self.network.look(picture, min_score=LEAST_SCORE)
        turned = self.network.look(mirror, min_score=LEAST_SCORE)
        found = [*upright, *(_mirrored(one, pixels.shape[1]) for one in turned)]
        return without_doubles(
            _labelled(one, self.class_of[one.label]) for one in found if one.label in self.class_of
        )


def teacher_of(network: Network, classes: Sequence[str]) -> Teacher:
    """Return a teacher for these classes.

    Raises:
        WorkshopError: It knows none of them.
    """
    known = {label: classes.index(label) for label in network.labels if label in classes}
    if not known:
        raise WorkshopError(
            f"the teacher finds {', '.join(network.labels[:8])} …; the data set has "
            f"{', '.join(classes)}: nothing in common",
            where=f"model pack {network.pack.name}",
            remedy="Give a teacher that knows a class of the data set, or rename the classes "
            "with `prepare --map`",
        )
    return Teacher(network, known)


def _mirrored(one: Detection, width_px: int) -> Detection:
    box = one.box
    back = Box(width_px - box.right, box.top, width_px - box.left, box.bottom)
    return dataclasses.replace(one, box=back)


def _labelled(one: Detection, class_index: int) -> LabelledBox:
    box = one.box
    corners = (box.left, box.top, box.right, box.bottom)
    left, top, right, bottom = (round(side, 2) for side in corners)
    return LabelledBox(class_index, left, top, right, bottom, score=round(one.score, 4))


def without_doubles(boxes: Iterable[LabelledBox]) -> tuple[LabelledBox, ...]:
    """Return boxes best first, without those that a better one of their class covers."""
    kept: list[LabelledBox] = []
    for box in sorted(boxes, key=lambda one: -one.score):
        if not any(_same(box, other) for other in kept):
            kept.append(box)
    return tuple(kept)


def _same(one: LabelledBox, other: LabelledBox) -> bool:
    return one.class_index == other.class_index and _box(one).iou(_box(other)) >= SAME_IOU


def _box(box: LabelledBox) -> Box:
    return Box(box.left, box.top, box.right, box.bottom)


def taught(image: LabelledImage, found: Sequence[LabelledBox]) -> LabelledImage:
    """Return a picture with what its teacher found among its labels."""
    drawn = [box for box in image.boxes if not box.ignore and box.score >= 1.0]
    said = [box for box in found if not any(_same(box, other) for other in drawn)]
    open_places = [box for box in image.boxes if box.ignore or box.score < 1.0]
    # Where people drew every object, the teacher may settle what they left open, and no more.
    by_people = bool(drawn) or not image.boxes
    if by_people:
        said = [box for box in said if any(_same(box, place) for place in open_places)]
    left_over = [place for place in open_places if not any(_same(place, box) for box in said)]
    return dataclasses.replace(image, boxes=(*drawn, *said, *left_over))


def _read_cache(path: Path, key: str) -> dict[str, tuple[LabelledBox, ...]]:
    """Return what an earlier call saw with the same teacher; a line cut short is passed over."""
    if not path.is_file():
        return {}
    known = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
            if record["teacher"] == key:
                known[record["path"]] = tuple(LabelledBox(**box) for box in record["boxes"])
        except (ValueError, KeyError, TypeError):
            continue
    return known


def teach(data: DataSet, teacher: Teacher, folder: Path) -> DataSet:
    """Return the data set with a teacher's labels; what was looked at stands in the folder.

    Only pictures to train on are taught. A stopped call goes on where it was.

    Raises:
        WorkshopError: A picture cannot be read, or nothing can be written.
    """
    path = folder / CACHE
    known = _read_cache(path, teacher.key)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", buffering=1, encoding="utf-8") as file:
            return DataSet(data.classes, tuple(_taught(data, teacher, known, file)))
    except OSError as error:
        raise WorkshopError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="Free some space or choose another folder, then give the same command again",
        ) from error


def _taught(
    data: DataSet, teacher: Teacher, known: dict[str, tuple[LabelledBox, ...]], file: IO[str]
) -> Iterable[LabelledImage]:
    """Yield the pictures with what the teacher finds; note what it had not looked at before."""
    if file.tell():
        file.write("\n")  # ends a line that was cut short; an empty one harms nobody
    for image in tqdm(data.images, desc="teacher", disable=None):
        if image.split != "train":
            yield image
            continue
        path = str(image.path)
        if path not in known:
            known[path] = teacher.look(image)
            boxes = [asdict(box) for box in known[path]]
            record = {"teacher": teacher.key, "path": path, "boxes": boxes}
            file.write(json.dumps(record) + "\n")
        yield taught(image, known[path])
