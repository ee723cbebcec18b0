"""The report on labels: counts and shares worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.workshop import label_report
from tools.workshop.dataset import DataSet, LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError


def image(path: Path, source: str, split: str, *boxes: LabelledBox) -> LabelledImage:
    cv2.imwrite(str(path), np.full((100, 50, 3), 90, np.uint8))
    return LabelledImage(path, 50, 100, split, source, boxes)


@pytest.fixture
def data_set(tmp_path: Path) -> DataSet:
    drawn = LabelledBox(0, 0, 0, 20, 40)
    guessed = LabelledBox(0, 10, 0, 30, 80, score=0.7)
    unsure = LabelledBox(0, 0, 0, 9, 9, ignore=True, score=0.2)
    unseen = LabelledBox(1, 0, 0, 50, 100, ignore=True)
    return DataSet(
        ("person", "dog"),
        (
            image(tmp_path / "a.png", "park", "train", drawn, guessed, unseen),
            image(tmp_path / "b.png", "park", "train", drawn, unsure),
            image(tmp_path / "c.png", "street", "val"),
        ),
    )


def test_counts_and_shares_come_out_by_hand(data_set: DataSet) -> None:
    report = label_report.report(data_set)
    assert [part.name for part in report.parts] == ["all", "train", "val", "park", "street"]
    person, dog = report.parts[0].classes
    assert (person.images, person.empty, person.unseen) == (2, 1, 0)
    assert (person.by_people, person.by_detector, person.ignored) == (2, 1, 1)
    # Heights 0.4, 0.4, 0.8: the middle is 0.4, and 90 % lies 0.8 of the way from 0.4 to 0.8.
    assert person.heights == (0.4, 0.4, 0.4, 0.6, 0.72)
    assert person.aspects == (0.3, 0.375, 0.5, 0.5, 0.5)  # of 0.25, 0.5, 0.5
    assert person.boxes_per_image == (1.1, 1.25, 1.5, 1.75, 1.9)
    assert (dog.boxes, dog.empty, dog.unseen, dog.ignored, dog.heights) == (0, 2, 1, 0, ())
    assert (report.images, report.boxes) == (3, 3)


def test_the_text_has_a_row_for_each_part_and_class(data_set: DataSet) -> None:
    rows = label_report.text(label_report.report(data_set)).splitlines()
    assert len(rows) == 1 + 5 * 2
    assert rows[-1].split() == ["street", "dog", "1", "0", "1", "0", "0", "0", "0", "-"]


def test_files_are_the_same_for_the_same_seed(data_set: DataSet, tmp_path: Path) -> None:
    report = label_report.report(data_set)
    for folder in ("one", "two"):
        label_report.save(tmp_path / folder, data_set, report, seed=3)
    for name in ("labels.json", "labels.png", "sizes.png"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
    document = json.loads((tmp_path / "one/labels.json").read_text())
    assert document["parts"][0]["classes"][0]["by_people"] == 2


def test_the_sheet_shows_boxes_by_who_drew_them(data_set: DataSet) -> None:
    sheet = label_report.contact_sheet(data_set, seed=0)
    assert sheet.shape == (240, 6 * 240, 3)  # two pictures with boxes, one row
    colours = {tuple(pixel) for pixel in sheet.reshape(-1, 3).tolist()}
    assert {label_report.DRAWN, label_report.DETECTED, label_report.IGNORED} <= colours


def test_a_picture_that_went_away_is_told(data_set: DataSet, tmp_path: Path) -> None:
    (tmp_path / "a.png").unlink()
    with pytest.raises(WorkshopError, match=r"a\.png"):
        label_report.contact_sheet(data_set, seed=0)
