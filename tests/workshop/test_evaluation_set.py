from __future__ import annotations

import json
from pathlib import Path

import pytest

from camera_app.values import Box, Size
from tests.workshop.labelled_pictures import write
from tests.workshop.painted_pictures import COLOURS, HEIGHT, WIDTH, Painted, paint, write_coco
from tools.workshop import dataset
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluation_set import TruthBox, load

PERSON = Painted("person", (10, 20, 30, 60))
CROWD = Painted("dog", (40, 0, 120, 50), is_crowd=True)


def test_coco_annotations_are_read_with_their_crowds(tmp_path: Path) -> None:
    found = load(write_coco(tmp_path / "val", {"b.png": [PERSON, CROWD], "a.png": []}))
    assert found.name == "val"
    assert found.classes == ("person",)  # of dogs there is a crowd and no single one
    assert [picture.name for picture in found.pictures] == ["a.png", "b.png"]
    assert found.pictures[1].size == Size(WIDTH, HEIGHT)
    assert found.pictures[1].boxes == (
        TruthBox(Box(10, 20, 30, 60), "person"),
        TruthBox(Box(40, 0, 120, 50), "dog", is_crowd=True),
    )
    assert tuple(found.pictures[1].read().pixels[20, 10]) == COLOURS["person"]


def test_coco_pictures_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, {"a.png": [PERSON]})
    write(folder / "images" / "a.png", (folder / "a.png").read_bytes())
    (folder / "a.png").unlink()
    assert load(folder).pictures[0].path == folder / "images" / "a.png"


def test_faces_of_one_picture_are_brought_together(tmp_path: Path) -> None:
    write(tmp_path / "p" / "x.png", paint([]))
    faces = [{"file": "p/x.png", "box": box} for box in ([1, 2, 3, 4], [5, 6, 7, 8])]
    write(tmp_path / "annotations.json", json.dumps({"faces": faces}))
    found = load(tmp_path)
    assert found.classes == ("face",)
    assert [one.box for one in found.pictures[0].boxes] == [Box(1, 2, 3, 4), Box(5, 6, 7, 8)]
    assert found.pictures[0].size == Size(WIDTH, HEIGHT)


def test_of_a_prepared_data_set_the_part_to_choose_by_is_taken(tmp_path: Path) -> None:
    images = []
    for name, split in (("t.png", "train"), ("v.png", "val")):
        write(tmp_path / "images" / name, paint([PERSON]))
        boxes = (
            dataset.LabelledBox(0, 10, 20, 30, 60),
            dataset.LabelledBox(1, 0, 0, 9, 9, ignore=True),
        )
        path = tmp_path / "images" / name
        images.append(dataset.LabelledImage(path, WIDTH, HEIGHT, split, "made", boxes))
    dataset.save(tmp_path, dataset.DataSet(("person", "dog"), tuple(images)))
    found = load(tmp_path)
    assert [picture.name for picture in found.pictures] == ["images/v.png"]
    assert found.classes == ("person",)
    assert [one.is_crowd for one in found.pictures[0].boxes] == [False, True]


@pytest.mark.shared
def test_of_clips_every_fifth_frame_is_taken(shared: Path) -> None:
    """658 frames in ten clips, joined in the order of their names; from the second, 132."""
    found = load(shared / "clips" / "signers")
    assert len(found.pictures) == 132
    assert not found.has_boxes
    assert [picture.name for picture in found.pictures[14:18]] == [
        "again.mkv frame 71",
        "again.mkv frame 76",
        "book.mkv frame 4",  # 77 frames went before: 76 + 5 = 77 + 4
        "book.mkv frame 9",
    ]
    assert found.pictures[16].read().size == found.pictures[16].size == Size(640, 480)


@pytest.mark.parametrize("name", ["instances.json", "annotations.json", "dataset.json"])
def test_damaged_annotations_are_refused_with_their_name(tmp_path: Path, name: str) -> None:
    for content in ('{"images": [', "[]", '{"faces": [{}]}', '{"schema": 1}'):
        write(tmp_path / name, content)
        with pytest.raises(WorkshopError) as caught:
            load(tmp_path)
        assert name in caught.value.where


def test_annotations_of_missing_pictures_are_refused_with_their_names(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, {f"{number}.png": [PERSON] for number in range(7)})
    for number in range(6):
        (folder / f"{number}.png").unlink()
    with pytest.raises(WorkshopError, match="6 annotated pictures are not there: 0.png, .* 1 more"):
        load(folder)


def test_an_annotation_of_a_picture_that_is_not_listed_is_refused(tmp_path: Path) -> None:
    folder = write_coco(tmp_path, {"a.png": [PERSON]})
    document = json.loads((folder / "instances.json").read_text())
    document["annotations"][0]["image_id"] = 99
    write(folder / "instances.json", json.dumps(document))
    with pytest.raises(WorkshopError, match="not listed: 99"):
        load(folder)


def test_a_picture_without_size_is_refused(tmp_path: Path) -> None:
    """Its objects would have no share of its height."""
    folder = write_coco(tmp_path, {"a.png": [PERSON]})
    document = json.loads((folder / "instances.json").read_text())
    document["images"][0]["height"] = 0
    write(folder / "instances.json", json.dumps(document))
    with pytest.raises(WorkshopError, match="no size: a.png"):
        load(folder)


def test_a_missing_face_picture_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "annotations.json", json.dumps({"faces": [{"file": "x.png", "box": [0] * 4}]}))
    with pytest.raises(WorkshopError, match="x.png"):
        load(tmp_path)


def test_a_face_picture_that_is_none_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.png", "text")
    write(tmp_path / "annotations.json", json.dumps({"faces": [{"file": "x.png", "box": [0] * 4}]}))
    with pytest.raises(WorkshopError, match="no picture") as caught:
        load(tmp_path)
    assert "x.png" in caught.value.where


def test_a_folder_without_anything_to_measure_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkshopError, match="instances.json"):
        load(tmp_path)
    with pytest.raises(WorkshopError, match="no folder"):
        load(tmp_path / "nowhere")
