"""Tiny labelled data sets in each form, for tests to write, break and prepare."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

WIDTH, HEIGHT = 64, 48


def photograph(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> bytes:
    """Return a JPEG that looks like no other seed's: soft blotches, as a real one has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3), np.uint8)
    picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1])


def recompressed(content: bytes, *, scale: float = 1.0, mirrored: bool = False) -> bytes:
    """Return the same photograph as another file."""
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = cv2.flip(picture, 1) if mirrored else picture
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 70])[1])


def write(path: Path, content: bytes | str) -> Path:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class CocoWriter:
    """A data set in COCO form: person and dog, one picture more at each `add`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.document: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 1, "name": "person"}, {"id": 7, "name": "dog"}],
        }

    def add(
        self,
        *boxes: dict[str, Any] | list[float],
        picture: bytes | None = None,
        **keys: Any,
    ) -> dict[str, Any]:
        """Add a picture; a box given as [x, y, w, h] is a person's."""
        number = len(self.document["images"]) + 1
        name = keys.pop("file_name", f"{number:03}.jpg")
        record = {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT, **keys}
        self.document["images"].append(record)
        write(self.root / "images" / name, photograph(number) if picture is None else picture)
        for box in boxes:
            self.annotate(number, box)
        return record

    def annotate(self, image_id: int, box: dict[str, Any] | list[float]) -> None:
        """Add a box to a picture."""
        keys = box if isinstance(box, dict) else {"bbox": box}
        number = len(self.document["annotations"]) + 1
        self.document["annotations"].append(
            {"id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, **keys}
        )

    def save(self) -> Path:
        """Write the labels and return the folder."""
        write(self.root / "annotations.json", json.dumps(self.document))
        return self.root

    def pack(self) -> Path:
        """Write the labels, and move the pictures into two zip archives."""
        self.save()
        pictures = sorted((self.root / "images").rglob("*.jpg"))
        for shard in range(2):
            with zipfile.ZipFile(self.root / f"images-{shard}.zip", "w") as archive:
                for path in pictures[shard::2]:
                    archive.write(path, path.relative_to(self.root / "images").as_posix())
                    path.unlink()
        return self.root


def some_coco(root: Path, count: int = 8) -> CocoWriter:
    """Start a data set with as many pictures, a person in each and the last two to choose by."""
    writer = CocoWriter(root)
    for number in range(count):
        writer.add([8, 6, 20, 30], split="val" if number >= count - 2 else "train")
    return writer


def voc_xml(name: str, *objects: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    """Return the annotation of one picture."""
    return (
        f"<annotation><filename>{name}</filename><size><width>{size[0]}</width>"
        f"<height>{size[1]}</height><depth>3</depth></size>{''.join(objects)}</annotation>"
    )


def voc_object(name: str, corners: tuple[object, ...], *, difficult: int = 0) -> str:
    """Return one object of an annotation: xmin, ymin, xmax, ymax."""
    sides = ("xmin", "ymin", "xmax", "ymax")
    box = "".join(f"<{s}>{c}</{s}>" for s, c in zip(sides, corners, strict=True))
    return (
        f"<object><name>{name}</name><difficult>{difficult}</difficult>"
        f"<bndbox>{box}</bndbox></object>"
    )
