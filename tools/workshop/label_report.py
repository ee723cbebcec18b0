"""What is in a prepared data set: counts and sizes of labels, as text, figures and two pictures.

A person should look at the contact sheet before every training: most failures start in the labels.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from tools.workshop.dataset import DataSet, LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_bytes, write_text

FILE = "labels.json"
SHEET_FILE = "labels.png"
HISTOGRAM_FILE = "sizes.png"
PERCENTILES = (10, 25, 50, 75, 90)

SHEET_COLUMNS, SHEET_ROWS, CELL_PX = 6, 4, 240
# Blue, green, red: a drawn box, one by a detector, a region left out of the loss.
DRAWN, DETECTED, IGNORED = (80, 200, 60), (40, 170, 250), (160, 160, 160)

Bgr = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClassReport:
    """Labels of one class in one part of the data set.

    Attributes:
        images: That have a box of the class.
        empty: Images that were looked at and have none: what background is learnt from.
        unseen: Images in which nobody looked for the class.
        by_people: Boxes drawn by people.
        by_detector: Boxes drawn by a detector.
        ignored: Regions left out of the loss, pictures `unseen` not counted.
        heights: Share of the picture's height, at `PERCENTILES`; empty without boxes.
        aspects: Width over height, at `PERCENTILES`.
        boxes_per_image: At `PERCENTILES`, of images that have any.
    """

    name: str
    images: int
    empty: int
    unseen: int
    by_people: int
    by_detector: int
    ignored: int
    heights: tuple[float, ...]
    aspects: tuple[float, ...]
    boxes_per_image: tuple[float, ...]

    @property
    def boxes(self) -> int:
        """Return the number of boxes to learn from."""
        return self.by_people + self.by_detector


@dataclass(frozen=True, slots=True)
class PartReport:
    """One source, one split, or all: `name` says which."""

    name: str
    images: int
    classes: tuple[ClassReport, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """A data set by parts: all of it first, then splits, then sources."""

    parts: tuple[PartReport, ...]

    @property
    def images(self) -> int:
        """Return how many pictures there are."""
        return self.parts[0].images

    @property
    def boxes(self) -> int:
        """Return how many boxes there are to learn from."""
        return sum(one.boxes for one in self.parts[0].classes)


def report(data_set: DataSet) -> Report:
    """Count everything."""
    splits = sorted({image.split for image in data_set.images})
    sources = sorted({image.source for image in data_set.images})
    parts = [("all", data_set.images)]
    parts += [(split, data_set.split(split)) for split in splits]
    parts += [(name, tuple(i for i in data_set.images if i.source == name)) for name in sources]
    return Report(tuple(_part(name, data_set.classes, images) for name, images in parts))


def text(report: Report) -> str:
    """Return the report as a table for a terminal."""
    head = (
        f"{'':18}{'class':12}{'images':>8}{'with':>8}{'empty':>8}{'unseen':>8}"
        f"{'boxes':>8}{'people':>8}{'ignored':>8}   height at {'/'.join(map(str, PERCENTILES))} %"
    )
    rows = [_row(part, one) for part in report.parts for one in part.classes]
    return "\n".join([head, *rows])


def save(folder: Path, data_set: DataSet, report: Report, *, seed: int) -> None:
    """Write `labels.json`, the contact sheet and the histogram of sizes."""
    document = {"percentiles": PERCENTILES, **asdict(report)}
    write_text(folder / FILE, json.dumps(document, indent=1) + "\n")
    write_bytes(folder / SHEET_FILE, _png(contact_sheet(data_set, seed=seed)))
    write_bytes(folder / HISTOGRAM_FILE, _png(size_histogram(data_set)))


def contact_sheet(data_set: DataSet, *, seed: int) -> Bgr:
    """Draw pictures at random with their boxes; those with something to see where there are any."""
    labelled = [image for image in data_set.images if image.boxes] or list(data_set.images)
    count = min(SHEET_COLUMNS * SHEET_ROWS, len(labelled))
    chance = random.Random(seed)  # nosec B311 # the same pictures every time
    chosen = chance.sample(labelled, count)
    blank = np.full((CELL_PX, CELL_PX, 3), 32, np.uint8)
    cells = [_cell(image, data_set.classes) for image in chosen]
    cells += [blank] * (-count % SHEET_COLUMNS)
    rows = [
        np.hstack(cells[start : start + SHEET_COLUMNS])
        for start in range(0, len(cells), SHEET_COLUMNS)
    ]
    return np.vstack(rows)


def size_histogram(data_set: DataSet) -> Bgr:
    """Draw how tall boxes are, as shares of their pictures, one panel a class."""
    panels = [
        _panel(name, _heights(_seen(data_set.images, index)))
        for index, name in enumerate(data_set.classes)
    ]
    return np.vstack(panels)


Seen = Sequence[tuple[LabelledImage, LabelledBox]]


def _part(name: str, classes: Iterable[str], images: Sequence[LabelledImage]) -> PartReport:
    reports = (_class(label, index, images) for index, label in enumerate(classes))
    return PartReport(name, len(images), tuple(reports))


def _class(name: str, index: int, images: Sequence[LabelledImage]) -> ClassReport:
    seen = _seen(images, index)
    regions = [
        (image, box)
        for image in images
        for box in image.boxes
        if box.ignore and box.class_index == index
    ]
    unseen = sum(_is_whole(image, box) for image, box in regions)
    per_image = [
        sum(box.class_index == index and not box.ignore for box in image.boxes) for image in images
    ]
    with_boxes = [count for count in per_image if count]
    by_people = sum(box.score >= 1.0 for _, box in seen)
    return ClassReport(
        name=name,
        images=len(with_boxes),
        empty=len(images) - len(with_boxes) - unseen,
        unseen=unseen,
        by_people=by_people,
        by_detector=len(seen) - by_people,
        ignored=len(regions) - unseen,
        heights=_percentiles(_heights(seen)),
        aspects=_percentiles([(box.right - box.left) / (box.bottom - box.top) for _, box in seen]),
        boxes_per_image=_percentiles(with_boxes),
    )


def _seen(images: Iterable[LabelledImage], index: int) -> Seen:
    return [
        (image, box)
        for image in images
        for box in image.boxes
        if box.class_index == index and not box.ignore
    ]


def _is_whole(image: LabelledImage, box: LabelledBox) -> bool:
    corners = (box.left, box.top, box.right, box.bottom)
    return corners == (0, 0, image.width, image.height)


def _heights(seen: Seen) -> list[float]:
    return [(box.bottom - box.top) / image.height for image, box in seen]


def _percentiles(values: Sequence[float]) -> tuple[float, ...]:
    if not values:
        return ()
    return tuple(round(float(value), 4) for value in np.percentile(values, PERCENTILES))


def _row(part: PartReport, one: ClassReport) -> str:
    heights = " / ".join(f"{share:.3f}" for share in one.heights) or "-"
    return (
        f"{part.name:18.18}{one.name:12.12}{part.images:8d}{one.images:8d}{one.empty:8d}"
        f"{one.unseen:8d}{one.boxes:8d}{one.by_people:8d}{one.ignored:8d}   {heights}"
    )


def _cell(image: LabelledImage, classes: Sequence[str]) -> Bgr:
    """Return one picture with its boxes, fitted into a square."""
    picture = cv2.imread(str(image.path))
    if picture is None:
        raise WorkshopError(
            "is not there any more, or is no picture",
            where=str(image.path),
            remedy="Give the same `prepare` again: it copies what is missing",
        )
    cell = np.full((CELL_PX, CELL_PX, 3), 32, np.uint8)
    scale = CELL_PX / max(image.width, image.height)
    width, height = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    cell[:height, :width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    for box in image.boxes:
        _draw(cell, box, classes[box.class_index], scale)
    return cell


def _draw(cell: Bgr, box: LabelledBox, name: str, scale: float) -> None:
    colour = IGNORED if box.ignore else DRAWN if box.score >= 1.0 else DETECTED
    left, top = round(box.left * scale), round(box.top * scale)
    right, bottom = round(box.right * scale) - 1, round(box.bottom * scale) - 1
    cv2.rectangle(cell, (left, top), (right, bottom), colour, 1)
    if not box.ignore:
        corner = (left + 2, max(9, top + 9))
        cv2.putText(cell, name, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.3, colour, 1, cv2.LINE_AA)


def _panel(name: str, heights: Sequence[float], bins: int = 20) -> Bgr:
    """Return a bar for each twentieth of the picture's height."""
    panel = np.full((180, 40 + bins * 30, 3), 255, np.uint8)
    counts, _ = np.histogram(heights, bins=bins, range=(0.0, 1.0))
    tallest = max(1, int(counts.max()))
    for index, count in enumerate(counts):
        left, bar = 20 + index * 30, round(110 * int(count) / tallest)
        cv2.rectangle(panel, (left + 3, 150 - bar), (left + 26, 150), (150, 110, 60), -1)
        _write(panel, str(count), (left + 3, 145 - bar))
        _write(panel, f"{(index + 1) / bins:.2f}", (left + 10, 165))
    _write(panel, f"{name}: boxes by share of the picture's height", (20, 16), 0.4)
    return panel


def _write(panel: Bgr, words: str, corner: tuple[int, int], size: float = 0.3) -> None:
    cv2.putText(panel, words, corner, cv2.FONT_HERSHEY_SIMPLEX, size, (60, 60, 60), 1, cv2.LINE_AA)


def _png(picture: Bgr) -> bytes:
    _, content = cv2.imencode(".png", picture)
    return bytes(content)
