"""Pictures in which a colour is an object, and a network that finds colours: exact and quick.

The network sees what is in the file, so that reading, matching and counting are tested on real
pictures, and its faults are made to order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from camera_app.values import Box, Detection, Rgb
from tests.workshop.labelled_pictures import write

COLOURS = {"person": (255, 0, 0), "dog": (0, 0, 255), "face": (0, 255, 0)}
IDS = {"person": 1, "dog": 18, "face": 7}
WIDTH, HEIGHT = 120, 100

Fault = Callable[[Detection], Sequence[Detection]]


@dataclass(frozen=True)
class Painted:
    """An object in a picture: its class and its box."""

    label: str
    box: tuple[int, int, int, int]
    is_crowd: bool = False


def paint(objects: Sequence[Painted]) -> bytes:
    """Return a PNG with the objects in it, crowds left out: they are no one thing."""
    pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    for one in objects:
        left, top, right, bottom = one.box
        if not one.is_crowd:
            pixels[top:bottom, left:right] = COLOURS[one.label]
    return bytes(cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1])


def write_coco(folder: Path, pictures: dict[str, Sequence[Painted]]) -> Path:
    """Write pictures and `instances.json`, and return the folder."""
    document: dict[str, Any] = {
        "categories": [{"id": number, "name": name} for name, number in IDS.items()],
        "images": [],
        "annotations": [],
    }
    for number, (name, objects) in enumerate(pictures.items()):
        write(folder / name, paint(objects))
        document["images"].append(
            {"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT}
        )
        document["annotations"] += [_annotation(number, one) for one in objects]
    write(folder / "instances.json", json.dumps(document))
    return folder


def _annotation(number: int, one: Painted) -> dict[str, Any]:
    left, top, right, bottom = one.box
    return {
        "image_id": number,
        "category_id": IDS[one.label],
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": int(one.is_crowd),
    }


class ColourNetwork:
    """Finds the box around each colour that it knows, with a score of 0.9, and its faults."""

    def __init__(
        self, name: str = "colours", labels: Sequence[str] = ("person", "dog"), fault: Fault = None
    ) -> None:
        self.pack = SimpleNamespace(name=name, weights=SimpleNamespace(size_bytes=1000))
        self.labels = tuple(labels)
        self._fault = fault or (lambda one: [one])

    def prepare(self, picture: Rgb) -> Rgb:
        return picture

    def invoke(self, prepared: Rgb) -> Rgb:
        return prepared

    def decode(self, outputs: Rgb, prepared: Rgb, *, min_score: float) -> list[Detection]:
        found = [one for label in self.labels for one in self._of(label, outputs)]
        return sorted((f for f in found if f.score >= min_score), key=lambda f: -f.score)

    def look(self, picture: Rgb, *, min_score: float) -> list[Detection]:
        return self.decode(picture, picture, min_score=min_score)

    def _of(self, label: str, picture: Rgb) -> Sequence[Detection]:
        rows, columns = np.nonzero((picture.pixels == COLOURS[label]).all(axis=2))
        if not rows.size:
            return []
        box = Box(columns.min(), rows.min(), columns.max() + 1.0, rows.max() + 1.0)
        return self._fault(Detection(box, label, 0.9))


def shifted(one: Detection, pixels: float) -> Detection:
    """Return a detection some pixels to the right."""
    box = one.box
    return replace(one, box=Box(box.left + pixels, box.top, box.right + pixels, box.bottom))
