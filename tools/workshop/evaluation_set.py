"""Pictures to measure a network with, and what is to be found in them.

Read here from a folder in one of four forms: COCO (`instances.json`), faces (`annotations.json`:
one box a picture), a prepared data set (`dataset.json`), or clips that show one face a frame and
have no boxes at all. None of these pictures may be ones that a network was trained on, or chosen
by; that is for the owner to see to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np

from camera_app.capture.container import ContainerReader
from camera_app.commands.detect import read_picture
from camera_app.errors import SourceError
from camera_app.values import Box, Rgb, Size
from tools.workshop import dataset
from tools.workshop.errors import WorkshopError

COCO_FILE = "instances.json"
FACES_FILE = "annotations.json"
CLIP_SUFFIXES = frozenset({".mkv", ".mp4", ".avi", ".mov"})
FACE = "face"
# Neighbouring frames of a clip show the same: of the frames of all clips, joined in the order of
# their names, every fifth is looked at, beginning with the second.
FRAME_STEP = 5
FIRST_FRAME = 1
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class TruthBox:
    """One place in a picture of which something is known.

    Attributes:
        box: Where, pixels of the picture.
        label: What is there.
        is_crowd: Many of them, or nobody knows: what is found there counts neither way.
    """

    box: Box
    label: str
    is_crowd: bool = False


@dataclass(frozen=True, slots=True)
class TruthPicture:
    """One picture and what is in it.

    Attributes:
        name: For people: the file inside its folder, and the frame of a clip.
        path: The file: a picture, or a clip.
        frame: Number of the frame in the clip, from 0; None for a picture.
        size: As declared or, where nothing is, as the file has it.
        boxes: All that is to be found.
    """

    name: str
    path: Path
    frame: int | None
    size: Size
    boxes: tuple[TruthBox, ...]

    def read(self) -> Rgb:
        """Return the pixels.

        Raises:
            WorkshopError: The file cannot be read, is no picture, or one of another size.
        """
        pixels = _picture(self.path) if self.frame is None else _frame(self.path, self.frame)
        if pixels.size != self.size:
            raise WorkshopError(
                f"the picture is {pixels.size}, its annotations are for one of {self.size}",
                where=str(self.path),
                remedy="Put the picture there that was annotated",
            )
        return pixels


@dataclass(frozen=True, slots=True)
class EvaluationSet:
    """Pictures to measure with.

    Attributes:
        name: Of the folder.
        classes: All that is marked in the pictures, in the order of the annotations.
        pictures: In the order of their names.
        has_boxes: Places are known. If not, every picture shows one face, nobody says where.
        marked_by: The network that drew the boxes; empty if they came with the pictures.
    """

    name: str
    classes: tuple[str, ...]
    pictures: tuple[TruthPicture, ...]
    has_boxes: bool = True
    marked_by: str = ""


def load(folder: Path) -> EvaluationSet:
    """Read the pictures' truth from a folder; the pictures themselves are read one by one later.

    Raises:
        WorkshopError: The folder holds none of the four forms, or something in it is wrong.
    """
    if not folder.is_dir():
        raise WorkshopError("is no folder", where=str(folder), remedy=_remedy())
    found = _reader_of(folder)(folder)
    if not found.pictures:
        raise WorkshopError("no pictures to measure with", where=str(folder), remedy=_remedy())
    _require_files(found)
    _require_sizes(found)
    return found


def _reader_of(folder: Path) -> Callable[[Path], EvaluationSet]:
    readers = {COCO_FILE: _coco, FACES_FILE: _faces, dataset.FILE: _prepared}
    for name, reader in readers.items():
        if (folder / name).is_file():
            return reader
    return _clips


def _remedy() -> str:
    return (
        f"Give a folder with {COCO_FILE} (COCO), {FACES_FILE} (faces), {dataset.FILE} "
        "(from the step `prepare`), or with clips that show one face each"
    )


def _require_files(found: EvaluationSet) -> None:
    missing = [one.name for one in found.pictures if not one.path.is_file()]
    if missing:
        raise WorkshopError(
            f"{len(missing)} annotated pictures are not there: {_listing(missing)}",
            where=found.name,
            remedy="Put the pictures beside the annotations, or take them out of the annotations",
        )


def _require_sizes(found: EvaluationSet) -> None:
    empty = [one.name for one in found.pictures if one.size.width < 1 or one.size.height < 1]
    if empty:
        raise WorkshopError(
            f"{len(empty)} pictures are said to have no size: {_listing(empty)}",
            where=found.name,
            remedy="Make the annotations anew: width and height must be those of the pictures",
        )


def _listing(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


# --- COCO -----------------------------------------------------------------------------------


def _coco(folder: Path) -> EvaluationSet:
    path = folder / COCO_FILE
    with _understanding(path):
        document = _json(path)
        labels = {one["id"]: str(one["name"]) for one in document["categories"]}
        boxes: dict[int, list[TruthBox]] = {one["id"]: [] for one in document["images"]}
        strays = {one["image_id"] for one in document["annotations"]} - boxes.keys()
        if strays:
            raise _no_such_picture(path, [str(number) for number in sorted(strays)])
        for one in document["annotations"]:
            boxes[one["image_id"]].append(_coco_box(one, labels))
        pictures = tuple(
            _coco_picture(folder, one, boxes[one["id"]])
            for one in sorted(document["images"], key=lambda one: str(one["file_name"]))
        )
    return EvaluationSet(folder.name, _marked(labels.values(), pictures), pictures)


def _coco_box(record: dict[str, Any], labels: dict[int, str]) -> TruthBox:
    left, top, width, height = record["bbox"]
    box = Box(left, top, left + width, top + height)
    return TruthBox(box, labels[record["category_id"]], bool(record.get("iscrowd", 0)))


def _coco_picture(folder: Path, record: dict[str, Any], boxes: list[TruthBox]) -> TruthPicture:
    name = str(record["file_name"])
    path = next(
        (p for p in (folder / name, folder / "images" / name) if p.is_file()), folder / name
    )
    return TruthPicture(name, path, None, Size(record["width"], record["height"]), tuple(boxes))


def _no_such_picture(path: Path, numbers: Sequence[str]) -> WorkshopError:
    return WorkshopError(
        f"annotations name pictures that are not listed: {_listing(numbers)}",
        where=str(path),
        remedy="Make the annotations anew: they do not belong to these pictures",
    )


def _marked(names: Iterable[str], pictures: Sequence[TruthPicture]) -> tuple[str, ...]:
    """Return the names of which at least one box is there."""
    there = {one.label for picture in pictures for one in picture.boxes if not one.is_crowd}
    return tuple(name for name in names if name in there)


# --- faces ----------------------------------------------------------------------------------


def _faces(folder: Path) -> EvaluationSet:
    path = folder / FACES_FILE
    with _understanding(path):
        boxes: dict[str, list[TruthBox]] = {}
        for one in _json(path)["faces"]:
            boxes.setdefault(str(one["file"]), []).append(TruthBox(Box(*one["box"]), FACE))
        pictures = tuple(_face_picture(folder, name, boxes[name]) for name in sorted(boxes))
    return EvaluationSet(folder.name, (FACE,), pictures)


def _face_picture(folder: Path, name: str, boxes: list[TruthBox]) -> TruthPicture:
    path = folder / name
    size = _picture(path).size if path.is_file() else Size(0, 0)
    return TruthPicture(name, path, None, size, tuple(boxes))


# --- a prepared data set --------------------------------------------------------------------


def _prepared(folder: Path) -> EvaluationSet:
    data = dataset.load(folder)
    with _understanding(folder / dataset.FILE):
        pictures = tuple(_prepared_picture(folder, data.classes, one) for one in data.split("val"))
    pictures = tuple(sorted(pictures, key=lambda one: one.name))
    return EvaluationSet(folder.name, _marked(data.classes, pictures), pictures)


def _prepared_picture(
    folder: Path, classes: Sequence[str], image: dataset.LabelledImage
) -> TruthPicture:
    inside = image.path.is_relative_to(folder)
    name = str(image.path.relative_to(folder)) if inside else image.path.name
    boxes = tuple(
        TruthBox(
            Box(one.left, one.top, one.right, one.bottom), classes[one.class_index], one.ignore
        )
        for one in image.boxes
    )
    return TruthPicture(name, image.path, None, Size(image.width, image.height), boxes)


# --- clips that show a face -----------------------------------------------------------------


def _clips(folder: Path) -> EvaluationSet:
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in CLIP_SUFFIXES)
    frames = [(path, number, size) for path in paths for number, size in _sizes(path)]
    pictures = tuple(
        TruthPicture(f"{path.name} frame {number}", path, number, size, ())
        for path, number, size in frames[FIRST_FRAME::FRAME_STEP]
    )
    return EvaluationSet(folder.name, (FACE,), pictures, has_boxes=False)


def _sizes(path: Path) -> Iterator[tuple[int, Size]]:
    for number, frame in enumerate(_decoded(path)):
        yield number, Size(frame.width, frame.height)


def _frame(path: Path, number: int) -> Rgb:
    # From the clip's beginning every time: exact where seeking is not, and clips are short.
    frame = next(islice(_decoded(path), number, None))
    return Rgb(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))


def _decoded(path: Path) -> Iterator[av.VideoFrame]:
    reader = ContainerReader(lambda: av.open(str(path)), str(path))
    try:
        with _readable():
            reader.open()
            while (frame := reader.read()) is not None:
                yield frame
    finally:
        reader.close()


# --- reading pictures and JSON --------------------------------------------------------------


def _picture(path: Path) -> Rgb:
    with _readable():
        return read_picture(str(path))


@contextmanager
def _readable() -> Iterator[None]:
    """Say what to do about a picture or clip that cannot be read."""
    try:
        yield
    except SourceError as error:
        raise WorkshopError(
            error.what,
            where=error.where,
            remedy="Replace it, or take it out of the pictures to measure with",
        ) from error


def _json(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


@contextmanager
def _understanding(path: Path) -> Iterator[None]:
    """Turn what a wrong annotation file brings about into a sentence."""
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise WorkshopError(
            f"the annotations cannot be understood: {error!r}",
            where=str(path),
            remedy="Check that the file is whole and in the form that its name promises",
        ) from error
