"""A prepared data set: pictures with boxes, in one form whatever they came from.

A folder with `dataset.json` and usually the pictures. Reading other forms is `prepare`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_text

FILE = "dataset.json"
SCHEMA = 1
SPLITS = ("train", "val")


@dataclass(frozen=True, slots=True)
class LabelledBox:
    """What is known of one place in a picture.

    Attributes:
        class_index: Into `DataSet.classes`.
        left: Pixels of the picture, as are the other three.
        ignore: Nobody knows what is there, or a crowd: neither object nor background.
        score: How sure a detector was that drew it; 1.0 where a person did.
    """

    class_index: int
    left: float
    top: float
    right: float
    bottom: float
    ignore: bool = False
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """A picture and all that is to be found in it.

    Attributes:
        path: Of the file.
        width: Pixels.
        height: Pixels.
        split: `train`, or `val` to choose by.
        source: Where it came from, for reports.
        boxes: May be empty: then nothing is there.
    """

    path: Path
    width: int
    height: int
    split: str
    source: str
    boxes: tuple[LabelledBox, ...]


@dataclass(frozen=True, slots=True)
class DataSet:
    """Pictures with boxes of these classes."""

    classes: tuple[str, ...]
    images: tuple[LabelledImage, ...]

    def split(self, name: str) -> tuple[LabelledImage, ...]:
        """Return the pictures of one split."""
        return tuple(image for image in self.images if image.split == name)


def load(folder: Path) -> DataSet:
    """Read a prepared data set.

    Raises:
        WorkshopError: The folder holds none, or its `dataset.json` is wrong.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return _data_set(folder, document)
    except OSError as error:
        raise WorkshopError(
            f"no prepared data set: {error.strerror or error}",
            where=str(path),
            remedy="Make one with the step `prepare`",
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise WorkshopError(
            f"not a prepared data set: {error!r}",
            where=str(path),
            remedy="Make it anew with the step `prepare`",
        ) from error


def save(folder: Path, data_set: DataSet) -> Path:
    """Write `dataset.json`; pictures inside the folder are named relative to it."""
    document = {
        "schema": SCHEMA,
        "classes": list(data_set.classes),
        "images": [_record(folder, image) for image in data_set.images],
    }
    path = folder / FILE
    write_text(path, json.dumps(document, separators=(",", ":")) + "\n")
    return path


def _data_set(folder: Path, document: dict[str, Any]) -> DataSet:
    if document["schema"] != SCHEMA:
        raise ValueError(f"schema {document['schema']!r}, expected {SCHEMA}")
    images = tuple(_image(folder, record) for record in document["images"])
    return DataSet(tuple(document["classes"]), images)


def _image(folder: Path, record: dict[str, Any]) -> LabelledImage:
    return LabelledImage(
        path=folder / record["file"],  # an absolute name stays what it is
        width=record["width"],
        height=record["height"],
        split=record["split"],
        source=record["source"],
        boxes=tuple(_boxes(record["boxes"])),
    )


def _boxes(records: Iterable[dict[str, Any]]) -> Iterable[LabelledBox]:
    for record in records:
        left, top, right, bottom = record["box"]
        yield LabelledBox(
            record["class"], left, top, right, bottom, record["ignore"], record["score"]
        )


def _record(folder: Path, image: LabelledImage) -> dict[str, Any]:
    inside = image.path.is_relative_to(folder)
    return {
        "file": str(image.path.relative_to(folder) if inside else image.path),
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "source": image.source,
        "boxes": [_box_record(box) for box in image.boxes],
    }


def _box_record(box: LabelledBox) -> dict[str, Any]:
    fields = asdict(box)
    corners = [fields.pop(name) for name in ("left", "top", "right", "bottom")]
    return {
        "class": fields["class_index"],
        "box": corners,
        "ignore": fields["ignore"],
        "score": fields["score"],
    }
