"""`prepare`: every form read, every problem named and settled, nothing lost on the way."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.workshop.labelled_pictures import (
    HEIGHT,
    WIDTH,
    CocoWriter,
    photograph,
    recompressed,
    some_coco,
    voc_object,
    voc_xml,
    write,
)
from tools.workshop import dataset, importers
from tools.workshop.__main__ import main
from tools.workshop.dataset import DataSet, LabelledBox
from tools.workshop.errors import WorkshopError
from tools.workshop.importers import FoundImage
from tools.workshop.importers.pictures import FilePicture
from tools.workshop.importers.yaml_subset import parse
from tools.workshop.pictures import difference_hash, look_at
from tools.workshop.prepare import Prepared, Wishes, prepare
from tools.workshop.problems import KINDS, Problems


def do(source: Path | Sequence[Path], out: Path, **wishes: Any) -> Prepared:
    sources = [source] if isinstance(source, Path) else source
    return prepare([importers.read(path) for path in sources], out, Wishes(**wishes))


def boxes_of(data_set: DataSet, name: str) -> tuple[LabelledBox, ...]:
    return next(image.boxes for image in data_set.images if image.path.name == name)


def told(prepared: Prepared) -> dict[str, list[str]]:
    """Return the pictures named by kind of problem."""
    kinds = prepared.problems.counts()
    return {k: [p.where for p in prepared.problems.found if p.kind == k] for k in kinds}


# --- the four forms


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip shards"])
def test_coco_is_read_from_folders_and_zip_shards_alike(tmp_path: Path, packed: bool) -> None:
    writer = some_coco(tmp_path / "zoo", 6)
    crowd = {"bbox": [0, 0, 64, 12], "iscrowd": 1, "origin": "unsure", "score": 0.2}
    guessed = {"bbox": [30, 10, 10, 20], "origin": "pseudo", "score": 0.8}
    dog = {"bbox": [3, 3, 9, 9], "category_id": 7}
    writer.add([8, 6, 20, 30], crowd, guessed, dog, source="park", split="train")
    source = writer.pack() if packed else writer.save()

    data_set = do(source, tmp_path / "out", classes=("dog", "person")).data_set

    assert data_set == dataset.load(tmp_path / "out")
    assert data_set.classes == ("dog", "person")
    last = data_set.images[-1]
    assert (last.source, last.split, last.width, last.height) == ("park", "train", WIDTH, HEIGHT)
    assert last.path.read_bytes() == photograph(7)
    assert last.boxes == (
        LabelledBox(1, 8, 6, 28, 36),
        LabelledBox(1, 0, 0, 64, 12, ignore=True, score=0.2),
        LabelledBox(1, 30, 10, 40, 30, score=0.8),
        LabelledBox(0, 3, 3, 12, 12),
    )
    assert [image.split for image in data_set.images] == ["train"] * 4 + ["val"] * 2 + ["train"]


def test_coco_takes_its_split_from_the_names_of_several_label_files(tmp_path: Path) -> None:
    for year, seeds in (("train2017", (1, 2, 3)), ("val2017", (4,))):
        writer = CocoWriter(tmp_path / "coco")
        for seed in seeds:
            writer.add([1, 1, 9, 9], picture=photograph(seed), file_name=f"{seed}.jpg")
            picture = tmp_path / "coco" / "images" / f"{seed}.jpg"
            write(tmp_path / "coco" / year / picture.name, picture.read_bytes())
            picture.unlink()
        labels = json.dumps(writer.document)
        write(tmp_path / "coco" / "annotations" / f"instances_{year}.json", labels)
        write(tmp_path / "coco" / "annotations" / f"captions_{year}.json", labels)

    data_set = do(tmp_path / "coco", tmp_path / "out").data_set

    splits = {image.path.name: image.split for image in data_set.images}
    assert splits == {"1.jpg": "train", "2.jpg": "train", "3.jpg": "train", "4.jpg": "val"}


def test_voc_counts_pixels_from_one_and_leaves_difficult_objects_alone(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    person = voc_object("person", (1, 1, 64, 48))
    hard = voc_object("person", (11, 11, 20, 30), difficult=1)
    for number in range(4):
        write(root / "JPEGImages" / f"{number}.jpg", photograph(number))
        # The name inside is of a file that was renamed since: what counts is the label's own.
        write(root / "Annotations" / f"{number}.xml", voc_xml("old.jpg", person, hard))
    write(root / "ImageSets/Main/train.txt", "0\n1\n2\n")
    write(root / "ImageSets/Main/val.txt", "3\n")

    data_set = do(root, tmp_path / "out").data_set

    assert boxes_of(data_set, "0.jpg") == (
        LabelledBox(0, 0, 0, 64, 48),
        LabelledBox(0, 10, 10, 20, 30, ignore=True),
    )
    assert [image.split for image in data_set.images] == ["train", "train", "train", "val"]


def test_voc_labels_may_lie_beside_their_pictures(tmp_path: Path) -> None:
    for split, number in (("train", 1), ("valid", 2), ("test", 3)):
        folder = tmp_path / "voc" / split
        write(folder / f"{number}.jpg", photograph(number))
        labels = voc_xml(f"{number}.jpg", voc_object("person", (5, 5, 20, 20)))
        write(folder / f"{number}.xml", labels)

    prepared = do(tmp_path / "voc", tmp_path / "out")

    assert [image.split for image in prepared.data_set.images] == ["train", "val"]
    assert prepared.left_out == {"pictures of a test split": 1}


DATA_YAML = """
# made by hand
path: /somebody/elses/disk
train: ../train/images   # as one well-known site writes it
val: ["valid/images"]
nc: 2
names:
  0: person
  1: 'dog # the barking one'
"""


def write_yolo(root: Path) -> Path:
    write(root / "data.yaml", DATA_YAML)
    lines = {
        ("train", 1): "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.125 0.25 0.9\n",
        ("train", 2): "0 0.25 0.25 0.75 0.25 0.75 0.5\n",  # a polygon of three corners
        ("train", 3): "",
        ("valid", 4): "0 0.5 0.5 0.25 0.5\n",
    }
    for (split, number), text in lines.items():
        write(root / split / "images" / f"{number}.jpg", photograph(number))
        write(root / split / "labels" / f"{number}.txt", text)
    return root


def test_yolo_reads_boxes_scores_polygons_and_empty_files(tmp_path: Path) -> None:
    data_set = do(write_yolo(tmp_path / "yolo"), tmp_path / "out").data_set

    assert data_set.classes == ("person", "dog # the barking one")
    # centre (32, 24), a quarter of 64 wide and half of 48 tall; then one with a sixth number
    assert boxes_of(data_set, "1.jpg") == (
        LabelledBox(0, 24, 12, 40, 36),
        LabelledBox(1, 12, 6, 20, 18, score=0.9),
    )
    assert boxes_of(data_set, "2.jpg") == (LabelledBox(0, 16, 12, 48, 24),)
    assert boxes_of(data_set, "3.jpg") == ()
    assert [image.split for image in data_set.images] == ["train", "train", "train", "val"]


def test_yolo_finds_names_in_classes_txt_and_refuses_numbers_alone(tmp_path: Path) -> None:
    root = tmp_path / "yolo"
    write(root / "images/a.jpg", photograph(1))
    write(root / "labels/a.txt", "1 0.5 0.5 0.2 0.2")
    with pytest.raises(WorkshopError, match="no names for their class numbers"):
        importers.read(root)
    write(root / "classes.txt", "dog\nperson\n")
    found = importers.read(root)
    assert found.classes == ("dog", "person")
    assert [box.label for image in found.images for box in image.boxes] == ["person"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("names: [a, 'b, c', \"d\"]", ["a", "b, c", "d"]),
        ("names:\n- a\n- b # two", ["a", "b"]),
        ("names:\n  - a\n\nnc: 1", ["a"]),
        ("names: {0: a, 1: b}", {"0": "a", "1": "b"}),
        ("names:\n  0: a\n  1: b c", {"0": "a", "1": "b c"}),
        ('"names": x#y', "x#y"),
        ("a: &anchor\n  b:\n    - c\nnames: [d]", ["d"]),
        ("nothing", None),
    ],
)
def test_yaml_subset_reads_what_data_files_hold(text: str, names: object) -> None:
    assert parse(text).get("names") == names


@pytest.mark.parametrize("form", ["coco", "voc", "yolo", "plain"])
def test_each_form_is_recognised_among_the_others(tmp_path: Path, form: str) -> None:
    root = tmp_path / "source"
    write(root / "notes.json", '{"images": "none"}')
    write(root / "some.yaml", "colour: red")
    if form == "coco":
        some_coco(root).save()
    elif form == "voc":
        write(root / "a.jpg", photograph(1))
        write(root / "a.xml", voc_xml("a.jpg", voc_object("person", (1, 2, 3, 4))))
    elif form == "yolo":
        write_yolo(root)
    else:
        write(
            root / "deep/er/a.png", cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
        )
    found = importers.read(root)
    assert (found.form, bool(found.images)) == (form, True)


def test_what_is_nothing_is_refused_with_what_is_known(tmp_path: Path) -> None:
    write(tmp_path / "empty/readme.txt", "soon")
    with pytest.raises(WorkshopError, match="coco, voc, yolo, plain"):
        importers.read(tmp_path / "empty")
    with pytest.raises(WorkshopError, match="is not there"):
        importers.read(tmp_path / "absent")


@pytest.mark.parametrize(
    "text",
    [
        '{"images": [], "annotations": [], "categories": ',
        '{"images": {}, "annotations": [], "categories": []}',
        '{"images": [1], "annotations": [], "categories": []}',
        '{"images": [], "annotations": [], "categories": [{"id": 1}]}',
    ],
)
def test_broken_coco_labels_are_refused_by_name(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "source/labels.json", text)
    with pytest.raises(WorkshopError) as caught:
        importers.read(tmp_path / "source")
    assert caught.value.where == str(path)


def test_an_archive_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    source = some_coco(tmp_path / "zoo").save()
    write(source / "images-9.zip", b"PK but no more")
    with pytest.raises(WorkshopError, match=r"images-9\.zip"):
        importers.read(source)


# --- problems, one by one

Break = Callable[[CocoWriter], None]


def _spoil_picture(writer: CocoWriter, change: Callable[[bytes], bytes]) -> None:
    path = writer.root / "images/001.jpg"
    path.write_bytes(change(path.read_bytes()))


def _png_cut_short(writer: CocoWriter) -> None:
    png = cv2.imencode(".png", np.zeros((HEIGHT, WIDTH, 3), np.uint8))[1].tobytes()
    _spoil_picture(writer, lambda _: png[:-20])


def _box(writer: CocoWriter, **keys: Any) -> None:
    writer.document["annotations"][0].update(keys)


# What is broken; the kind it must be told as; what `fix` leaves of picture 001: its boxes, as
# (left, top, right, bottom, ignore), or None where the picture cannot be kept.
BROKEN: list[tuple[str, Break, str, list[tuple[float, ...]] | None]] = [
    ("gone", lambda w: (w.root / "images/001.jpg").unlink(), "picture-missing", None),
    (
        "outside",
        lambda w: w.document["images"][0].update(file_name="../x.jpg"),
        "picture-missing",
        None,
    ),
    (
        "cut",
        lambda w: _spoil_picture(w, lambda c: c[: len(c) * 2 // 3]),
        "picture-unreadable",
        None,
    ),
    ("png cut", _png_cut_short, "picture-unreadable", None),
    ("empty", lambda w: _spoil_picture(w, lambda _: b""), "picture-unreadable", None),
    ("text", lambda w: _spoil_picture(w, lambda _: b"<html>gone"), "picture-unreadable", None),
    (
        "scaled",
        lambda w: _spoil_picture(w, lambda _: photograph(1, (128, 96))),
        "size-differs",
        [(16, 12, 56, 72, False)],
    ),
    (
        "turned",
        lambda w: _spoil_picture(w, lambda _: photograph(1, (48, 64))),
        "size-differs",
        None,
    ),
    ("nan", lambda w: _box(w, bbox=[float("nan"), 1, 2, 3]), "label-unreadable", None),
    ("infinite", lambda w: _box(w, bbox=[1, 1, float("inf"), 3]), "label-unreadable", None),
    ("huge", lambda w: _box(w, bbox=[1, 1, 10**400, 3]), "label-unreadable", None),
    ("words", lambda w: _box(w, bbox=["a", 1, 2, 3]), "label-unreadable", None),
    ("three", lambda w: _box(w, bbox=[1, 2, 3]), "label-unreadable", None),
    ("unknown", lambda w: _box(w, category_id=99), "class-unknown", [(8, 6, 28, 36, True)]),
    ("outside", lambda w: _box(w, bbox=[-5, 40, 20, 30]), "box-outside", [(0, 40, 15, 48, False)]),
    ("far off", lambda w: _box(w, bbox=[100, 40, 20, 30]), "box-outside", []),
    ("no area", lambda w: _box(w, bbox=[5, 5, 0, 9]), "box-empty", []),
    ("negative", lambda w: _box(w, bbox=[30, 5, -9, 9]), "box-empty", []),
    ("tiny", lambda w: _box(w, bbox=[5, 5, 1.5, 9]), "box-tiny", [(5, 5, 6.5, 14, True)]),
    ("two ids", lambda w: w.document["images"][2].update(id=1), "label-unreadable", None),
]


@pytest.mark.parametrize(("name", "spoil", "kind", "fixed"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_problem_is_named_refused_left_out_or_put_right(
    tmp_path: Path,
    name: str,
    spoil: Break,
    kind: str,
    fixed: list[tuple[float, ...]] | None,
) -> None:
    writer = some_coco(tmp_path / "zoo")
    spoil(writer)
    source, out = writer.save(), tmp_path / "out"

    with pytest.raises(WorkshopError) as caught:
        do(source, out)
    assert kind in caught.value.what
    assert "--on-problem" in caught.value.remedy
    assert not (out / "dataset.json").exists()
    listed = json.loads((out / "problems.json").read_text())
    assert listed["counts"].keys() >= {kind}
    assert listed["problems"][0]["where"].startswith("zoo/")
    assert listed["problems"][0]["outcome"] == "to be settled"

    left = do(source, out, on_problem="skip").data_set
    assert "001.jpg" not in {image.path.name for image in left.images}

    kept = do(source, out, on_problem="fix").data_set
    if fixed is None:
        assert "001.jpg" not in {image.path.name for image in kept.images}
        return
    boxes = boxes_of(kept, "001.jpg") if fixed or kind.startswith("box") else ()
    found = [(b.left, b.top, b.right, b.bottom, b.ignore) for b in boxes if b.class_index == 0]
    assert found == fixed


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp"])
def test_a_picture_cut_short_is_told_by_its_missing_end(ending: str) -> None:
    """Some OpenCV releases decode half a file and say nothing; the end must be looked for."""
    picture = cv2.imdecode(np.frombuffer(photograph(1), np.uint8), cv2.IMREAD_COLOR)
    content = cv2.imencode(ending, picture)[1].tobytes()
    assert look_at(content, "").flaw == ""
    for share in (0.5, 0.9, 0.999):
        assert "without its end" in look_at(content[: int(len(content) * share)], "").flaw


def test_a_thumbnail_inside_does_not_hide_that_the_picture_is_cut_short() -> None:
    whole, thumbnail = photograph(2), photograph(3, (16, 12))
    application = b"Exif\0\0" + thumbnail
    header = b"\xff\xe1" + (len(application) + 2).to_bytes(2, "big")
    content = whole[:2] + header + application + whole[2:]
    assert look_at(content + b"more", "").flaw == ""
    assert "without its end" in look_at(content[:-300], "").flaw


@pytest.mark.parametrize(
    "name", ["../secret.jpg", "a/../../secret.jpg", "..\\secret.jpg", "ABSOLUTE"]
)
def test_labels_cannot_name_a_picture_outside_of_their_source(tmp_path: Path, name: str) -> None:
    secret = write(tmp_path / "secret.jpg", photograph(7000))
    write(tmp_path / "zoo/secret.jpg", photograph(7001))  # what `..` leads to from zoo/images
    writer = some_coco(tmp_path / "zoo")
    (tmp_path / "zoo/a").mkdir()
    given = str(secret) if name == "ABSOLUTE" else name
    writer.document["images"][0]["file_name"] = given
    prepared = do(writer.save(), tmp_path / "out", on_problem="skip")
    assert told(prepared) == {"picture-missing": [f"zoo/{given}"]}
    assert len(prepared.data_set.images) == 7


def test_edges_rounded_outside_by_a_pixel_are_no_problem(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    writer.annotate(1, [-0.6, 10, 65, 38.9])
    prepared = do(writer.save(), tmp_path / "out")
    assert not prepared.problems.found
    assert boxes_of(prepared.data_set, "001.jpg")[1] == LabelledBox(0, 0, 10, 64, 48)


def test_all_problems_are_collected_and_the_first_are_named(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo", 12)
    for annotation in writer.document["annotations"][:5]:
        annotation["bbox"] = [60, 5, 30, 9]
    (writer.root / "images/009.jpg").unlink()
    writer.annotate(77, [1, 1, 9, 9])  # of a picture that the labels do not list
    with pytest.raises(WorkshopError) as caught:
        do(writer.save(), tmp_path / "out")
    lines = caught.value.what.splitlines()
    assert lines[0] == "7 problems in the data"
    assert lines[1].split()[:2] == ["2", "picture-missing:"]
    assert [line.split(":")[0].strip() for line in lines[5:8]] == [
        "zoo/001.jpg",
        "zoo/002.jpg",
        "zoo/003.jpg",
    ]
    assert lines[8].strip() == "and 2 more"
    assert len(json.loads((tmp_path / "out/problems.json").read_text())["problems"]) == 7


def test_a_malformed_annotation_costs_its_picture_only(tmp_path: Path) -> None:
    root = tmp_path / "voc"
    good = voc_object("person", (5, 5, 30, 30))
    labels = {
        1: voc_xml("1.jpg", good),
        2: voc_xml("2.jpg", good),
        3: voc_xml("3.jpg", good) + "<more>",
        4: voc_xml("4.jpg", good, voc_object("person", (5, "five", 30, 30))),
        5: '<!DOCTYPE a [<!ENTITY b "bb">]>' + voc_xml("5.jpg", good),
        6: voc_xml("6.jpg", "<object><name>person</name></object>"),
        7: voc_xml("7.jpg", good, size=(0, 0)),  # a labelling tool that did not know
    }
    for number, text in labels.items():
        write(root / "JPEGImages" / f"{number}.jpg", photograph(number))
        write(root / "Annotations" / f"{number}.xml", text)
    write(root / "Annotations" / "8.xml", voc_xml("8.jpg", good))

    prepared = do(root, tmp_path / "out", on_problem="fix", val_share=0.4)

    assert [image.path.name for image in prepared.data_set.images] == ["1.jpg", "2.jpg", "7.jpg"]
    assert told(prepared) == {
        "picture-missing": ["voc/Annotations/8.xml"],
        "label-unreadable": [f"voc/JPEGImages/{number}.jpg" for number in (3, 4, 5, 6)],
    }


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("0 0.5 0.5 0.2", "label-unreadable"),
        ("0 nan 0.5 0.2 0.2", "label-unreadable"),
        ("inf 0.5 0.5 0.2 0.2", "label-unreadable"),
        ("person 0.5 0.5 0.2 0.2", "label-unreadable"),
        ("0 0.1 0.1 0.2 0.2 0.9 0.3 0.3", "label-unreadable"),
        ("9 0.5 0.5 0.2 0.2", "class-unknown"),
        ("-1 0.5 0.5 0.2 0.2", "class-unknown"),
        ("0 32 24 16 24", "box-outside"),  # pixels where shares belong
    ],
)
def test_a_wrong_yolo_line_is_told(tmp_path: Path, line: str, kind: str) -> None:
    root = write_yolo(tmp_path / "yolo")
    write(root / "train/labels/1.txt", line)
    prepared = do(root, tmp_path / "out", on_problem="skip")
    assert told(prepared) == {kind: ["yolo/train/images/1.jpg"]}


# --- what nobody looked for never becomes background


def test_pictures_without_labels_need_a_word_on_what_they_are(tmp_path: Path) -> None:
    sources = [some_coco(tmp_path / "zoo").save(), tmp_path / "night"]
    write(tmp_path / "night/a.jpg", photograph(100))
    wishes = {"classes": ("person",), "val_share": 0.0}

    with pytest.raises(WorkshopError, match="1 problem in the data"):
        do(sources, tmp_path / "out", **wishes)

    empty = do(sources, tmp_path / "out", without_labels="background", **wishes).data_set
    assert boxes_of(empty, "a.jpg") == ()

    unknown = do(sources, tmp_path / "out", without_labels="unknown", **wishes).data_set
    assert boxes_of(unknown, "a.jpg") == (LabelledBox(0, 0, 0, WIDTH, HEIGHT, ignore=True),)

    skipped = do(sources, tmp_path / "out", on_problem="skip", **wishes)
    assert told(skipped) == {"no-labels": ["night/a.jpg"]}


def test_a_class_that_was_not_looked_for_is_left_alone_or_leaves_the_picture_out(
    tmp_path: Path,
) -> None:
    writer = some_coco(tmp_path / "zoo")
    writer.document["images"][0]["dog_labels"] = "none"
    writer.annotate(2, {"bbox": [1, 1, 9, 9], "category_id": 7})
    source = writer.save()

    both = do(source, tmp_path / "both").data_set
    assert boxes_of(both, "001.jpg")[1] == LabelledBox(1, 0, 0, WIDTH, HEIGHT, ignore=True)
    assert boxes_of(both, "003.jpg") == (LabelledBox(0, 8, 6, 28, 36),)

    dogs = do(source, tmp_path / "dogs", classes=("dog",))
    assert "001.jpg" not in {image.path.name for image in dogs.data_set.images}
    assert dogs.left_out == {"pictures not labelled for dog": 1}


def test_a_source_that_does_not_declare_a_class_never_says_it_is_absent(tmp_path: Path) -> None:
    faces = CocoWriter(tmp_path / "faces")
    faces.document["categories"] = [{"id": 1, "name": "face"}]
    faces.add([5, 5, 9, 9], picture=photograph(50), split="train", file_name="face.jpg")
    sources = [some_coco(tmp_path / "zoo").save(), faces.save()]

    data_set = do(sources, tmp_path / "out", classes=("person", "face")).data_set

    whole = (0, 0, WIDTH, HEIGHT)
    assert boxes_of(data_set, "face.jpg") == (
        LabelledBox(1, 5, 5, 14, 14),
        LabelledBox(0, *whole, ignore=True),
    )
    assert boxes_of(data_set, "001.jpg")[-1] == LabelledBox(1, *whole, ignore=True)


# --- choosing


def test_classes_are_renamed_chosen_and_refused_with_a_suggestion(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    writer.annotate(1, {"bbox": [1, 1, 9, 9], "category_id": 7})
    source = writer.save()

    rename = (("dog", "animal"), ("person", "animal"))
    data_set = do(source, tmp_path / "one", rename=rename).data_set
    assert data_set.classes == ("animal",)
    assert [box.class_index for box in boxes_of(data_set, "001.jpg")] == [0, 0]

    only = do(source, tmp_path / "two", classes=("person",)).data_set
    assert len(boxes_of(only, "001.jpg")) == 1
    with pytest.raises(WorkshopError, match=r"`persons` \(`person`\?\)"):
        do(source, tmp_path / "three", classes=("persons",))
    with pytest.raises(WorkshopError, match="--map: no source has the class `cat`"):
        do(source, tmp_path / "three", rename=(("cat", "animal"),))


def test_pictures_are_excluded_by_source_split_and_file(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo", 8)
    for record in writer.document["images"][:2]:
        record["source"] = "lspet"
    exclude = (("source", "ls*"), ("file", "003.*"))
    prepared = do(writer.save(), tmp_path / "out", exclude=exclude)
    names = [image.path.name for image in prepared.data_set.images]
    assert names == ["004.jpg", "005.jpg", "006.jpg", "007.jpg", "008.jpg"]
    assert prepared.left_out == {
        "pictures excluded by source=ls*": 2,
        "pictures excluded by file=003.*": 1,
    }


def unsplit(root: Path, count: int) -> Path:
    writer = CocoWriter(root)
    for number in range(count):
        writer.add([8, 6, 20, 30], source=f"s{number % 2}")
    return writer.save()


def test_the_draw_takes_its_share_of_each_source_and_depends_on_the_seed_alone(
    tmp_path: Path,
) -> None:
    source = unsplit(tmp_path / "zoo", 40)

    def drawn(folder: str, **wishes: Any) -> set[str]:
        images = do(source, tmp_path / folder, val_share=0.2, **wishes).data_set.split("val")
        assert sorted(image.source for image in images) == ["s0"] * 4 + ["s1"] * 4
        return {image.path.name for image in images}

    assert drawn("a") == drawn("b")
    assert drawn("a") != drawn("c", seed=1)


def test_a_new_picture_moves_none_from_one_split_to_the_other(tmp_path: Path) -> None:
    before = do(unsplit(tmp_path / "zoo", 40), tmp_path / "a", val_share=0.2).data_set
    after = do(unsplit(tmp_path / "zoo", 42), tmp_path / "b", val_share=0.2).data_set
    moved = {image.path.name for image in before.split("val")} - {
        image.path.name for image in after.split("val")
    }
    # A newcomer may win a place in val; it never shuffles the rest.
    assert len(moved) <= 2


def test_resplit_forgets_the_splits_of_the_source(tmp_path: Path) -> None:
    writer = CocoWriter(tmp_path / "zoo")
    for _ in range(10):
        writer.add([8, 6, 20, 30], split="train")
    with pytest.raises(WorkshopError, match=r"no picture is in the split `val`.*--resplit"):
        do(writer.save(), tmp_path / "out")
    data_set = do(writer.save(), tmp_path / "out", resplit=True, val_share=0.3).data_set
    assert len(data_set.split("val")) == 3


def test_a_data_set_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    with pytest.raises(WorkshopError, match=r"no picture is left: 8 pictures excluded"):
        do(writer.save(), tmp_path / "out", exclude=(("file", "*"),))
    with pytest.raises(WorkshopError, match="there is no box of dog"):
        do(writer.save(), tmp_path / "out", classes=("dog",))
    write(tmp_path / "night/a.jpg", photograph(100))
    with pytest.raises(WorkshopError, match="no source has labels"):
        do(tmp_path / "night", tmp_path / "out", without_labels="background")


# --- pictures that are the same


def test_a_copy_is_dropped_and_the_one_to_train_on_is_kept(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    writer.add([8, 6, 20, 30], picture=photograph(8), split="train")  # 008 is in val
    writer.add([8, 6, 20, 30], picture=photograph(2), split="train")
    prepared = do(writer.save(), tmp_path / "out", on_problem="fix")
    assert told(prepared) == {"duplicate": ["zoo/010.jpg", "zoo/008.jpg"]}
    names = {image.path.name for image in prepared.data_set.images}
    assert {"002.jpg", "009.jpg"} <= names
    assert not {"008.jpg", "010.jpg"} & names


@pytest.mark.parametrize(("choice", "split"), [("skip", None), ("fix", "train")])
def test_a_picture_to_choose_by_that_looks_like_one_to_train_on_is_a_leak(
    tmp_path: Path, choice: str, split: str | None
) -> None:
    writer = some_coco(tmp_path / "zoo")
    copy = recompressed(photograph(2))
    writer.add([8, 6, 20, 30], picture=copy, split="val", file_name="leak.jpg")
    prepared = do(writer.save(), tmp_path / "out", on_problem=choice)
    assert told(prepared) == {"leak": ["zoo/leak.jpg"]}
    splits = {image.path.name: image.split for image in prepared.data_set.images}
    assert splits.get("leak.jpg") == split
    assert splits["008.jpg"] == "val"


def test_what_is_held_out_never_gets_in_scaled_or_mirrored(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    evaluation = tmp_path / "evaluation"
    write(evaluation / "deep/a.jpg", recompressed(photograph(2), scale=0.6))
    write(evaluation / "b.jpg", recompressed(photograph(3), mirrored=True))
    write(evaluation / "c.jpg", photograph(500))
    prepared = do(writer.save(), tmp_path / "out", on_problem="fix", held_out=(evaluation,))
    assert told(prepared) == {"held-out": ["zoo/002.jpg", "zoo/003.jpg"]}
    assert "deep/a.jpg" in prepared.problems.found[0].what
    names = {path.name for path in (tmp_path / "out/images").rglob("*.jpg")}
    assert len(names) == 6
    assert not {"002.jpg", "003.jpg"} & names
    with pytest.raises(WorkshopError, match="no readable pictures to keep out"):
        do(writer.save(), tmp_path / "out", held_out=(tmp_path / "nowhere",))


@pytest.mark.shared
def test_photographs_of_the_evaluation_set_are_known_again_and_told_apart(shared: Path) -> None:
    """Copies differ by a few bits, other photographs by many: the limits lie between."""
    paths = sorted((shared / "images/coco_val128").rglob("*.jpg"))[:40]
    assert len(paths) == 40
    looks = [look_at(path.read_bytes(), "").look for path in paths]
    copies = [look_at(recompressed(p.read_bytes(), scale=0.5), "").look for p in paths]

    def differing(one: str, other: str) -> int:
        return (int(one, 16) ^ int(other, 16)).bit_count()

    same = [differing(a, b) for a, b in zip(looks, copies, strict=True)]
    other = [differing(a, b) for i, a in enumerate(looks) for b in copies[:i]]
    assert max(same) <= Wishes().held_out_bits < min(other)
    assert sum(bits <= Wishes().near_bits for bits in same) >= 38  # of 40


def test_a_difference_hash_says_where_it_gets_brighter() -> None:
    rising = np.tile(np.arange(170, dtype=np.uint8), (160, 1))
    assert difference_hash(rising) == b"\xff" * 32
    assert difference_hash(rising[:, ::-1].copy()) == bytes(32)


# --- going on, and what is left behind


class _CountingReads:
    """Counts how often pictures are read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        read = FilePicture.read

        def counting(picture: FilePicture) -> bytes:
            self.count += 1
            return read(picture)

        monkeypatch.setattr(FilePicture, "read", counting)


def stopped_after(count: int) -> Callable[[Sequence[FoundImage]], Iterable[FoundImage]]:
    def watch(images: Sequence[FoundImage]) -> Iterable[FoundImage]:
        yield from images[:count]
        raise KeyboardInterrupt

    return watch


def test_an_interrupted_preparation_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = some_coco(tmp_path / "zoo", 12).save()
    found = [importers.read(source)]
    whole = prepare(found, tmp_path / "whole", Wishes())
    reads = _CountingReads(monkeypatch)

    with pytest.raises(KeyboardInterrupt):
        prepare(found, tmp_path / "out", Wishes(), watch=stopped_after(5))
    assert not (tmp_path / "out/dataset.json").exists()
    journal = tmp_path / "out/pictures.jsonl"
    journal.write_text(journal.read_text() + '{"name": "images/zoo/006.jpg", "sta')  # torn
    (tmp_path / "out/images/zoo/002.jpg").write_bytes(b"half")
    reads.count = 0
    prepare(found, tmp_path / "out", Wishes())

    assert reads.count == 12 - 4  # five were seen, and one of those was damaged since
    once, again = (folder / "dataset.json" for folder in (tmp_path / "whole", tmp_path / "out"))
    assert once.read_bytes() == again.read_bytes()
    assert len(whole.data_set.images) == 12
    reads.count = 0
    prepare(found, tmp_path / "out", Wishes())
    assert reads.count == 0


def test_a_picture_that_changed_is_looked_at_again_and_one_not_wanted_goes(tmp_path: Path) -> None:
    writer = some_coco(tmp_path / "zoo")
    do(writer.save(), tmp_path / "out")
    write(tmp_path / "zoo/images/001.jpg", photograph(99))
    exclude = (("file", "002.jpg"),)
    do(writer.save(), tmp_path / "out", exclude=exclude)
    assert (tmp_path / "out/images/zoo/001.jpg").read_bytes() == photograph(99)
    assert not (tmp_path / "out/images/zoo/002.jpg").exists()


def test_names_never_lead_out_of_the_folder_nor_onto_each_other(tmp_path: Path) -> None:
    sources = [some_coco(tmp_path / side / "zoo").save() for side in ("a", "b")]
    for path in (tmp_path / "b/zoo/images").iterdir():
        path.write_bytes(photograph(1000 + int(path.stem)))
    data_set = do(sources, tmp_path / "out").data_set
    paths = {image.path for image in data_set.images}
    assert len(paths) == 16
    assert all(path.is_relative_to(tmp_path / "out/images") and path.is_file() for path in paths)


def test_a_folder_with_something_else_in_it_is_refused(tmp_path: Path) -> None:
    source = some_coco(tmp_path / "zoo").save()
    write(tmp_path / "out/thesis.txt", "precious")
    with pytest.raises(WorkshopError, match="holds something else"):
        do(source, tmp_path / "out")
    with pytest.raises(WorkshopError, match="lies inside a source"):
        do(source, source / "out")


def test_a_disk_too_small_is_told_before_anything_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = some_coco(tmp_path / "zoo").save()
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(WorkshopError, match="0 MB are free"):
        do(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_up_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device")

    source = some_coco(tmp_path / "zoo").save()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkshopError, match="No space left on device") as caught:
        do(source, tmp_path / "out")
    assert caught.value.where.endswith("images/zoo/001.jpg")


def test_random_rubbish_in_labels_is_told_and_never_crashes(tmp_path: Path) -> None:
    """Labels with random values in random places are refused or settled, and nothing else."""
    rubbish = [None, "", "x", -1, 1e308, float("nan"), [], {}, [1], True, "1", 0, 2**70]
    chance = random.Random(5)
    for trial in range(60):
        writer = some_coco(tmp_path / f"zoo{trial}", 4)
        for table in ("images", "annotations", "categories"):
            record = chance.choice(writer.document[table])
            key = chance.choice(sorted(record))
            record[key] = chance.choice(rubbish)
        source = writer.save()
        try:
            prepared = do(source, tmp_path / f"out{trial}", on_problem="fix", val_share=0.3)
        except WorkshopError:
            continue
        for image in prepared.data_set.images:
            for box in image.boxes:
                assert 0 <= box.left < box.right <= image.width
                assert 0 <= box.top < box.bottom <= image.height


# --- the step


def test_the_step_prepares_reports_and_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = some_coco(tmp_path / "zoo", 10)
    writer.add(split="train")
    source, out = writer.save(), tmp_path / "out"

    assert main(["prepare", str(source), "--out", str(out), "--classes", "person"]) == 0

    screen = capsys.readouterr()
    assert screen.err == ""  # no bar where there is no terminal
    assert screen.out.splitlines()[1].split()[:7] == ["all", "person", "11", "10", "1", "0", "10"]
    record = json.loads((out / "prepare.json").read_text())
    assert record["arguments"]["seed"] == 0
    assert record["figures"]["images"] == 11
    assert {Path(name).name for name in record["inputs"]} == {"annotations.json", "dataset"}
    for name in ("labels.png", "sizes.png"):
        assert cv2.imread(str(out / name)) is not None


def test_the_step_refuses_with_exit_code_two_and_a_choice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = some_coco(tmp_path / "zoo", 10)
    writer.annotate(1, [60, 5, 30, 9])
    words = ["prepare", str(writer.save()), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "box-outside" in capsys.readouterr().err
    assert main([*words, "--on-problem", "fix"]) == 0
    assert "box clipped" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["--val-share", "7"],
        ["--val-share", "nan"],
        ["--map", "dog"],
        ["--exclude", "colour=red"],
        ["--classes", "a,a"],
    ],
)
def test_the_step_refuses_words_it_cannot_read(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["prepare", str(tmp_path), "--out", str(tmp_path / "out"), *words])


def test_a_kind_that_has_no_words_cannot_be_told() -> None:
    problems = Problems()
    for kind in KINDS:
        problems.add(kind, "here", "this", "so")
    assert list(problems.counts()) == list(KINDS)
    assert len(problems.text(first=1).splitlines()) == 2 * len(KINDS)
