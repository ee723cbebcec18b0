from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from camera_app.cli import main

pytestmark = pytest.mark.shared

FACES = ("--model", "ssd_slim_face_160x120_gray", "--min-score", "0.5")


@pytest.fixture
def hopper(shared: Path) -> str:
    return str(shared / "images/coral/grace_hopper.jpg")


def test_records_have_label_score_and_box_in_pixels_of_the_picture(
    hopper: str, tmp_path: Path
) -> None:
    target = tmp_path / "found.json"
    assert main(["detect", hopper, *FACES, "--json", str(target)]) == 0
    (record,) = json.loads(target.read_text())
    assert record["image"] == hopper
    assert record["label"] == "face"
    assert record["score"] == pytest.approx(0.9961, abs=0.02)
    # Recorded as corners 174.4, 112.6, 358.8, 367.6.
    assert record["box"] == pytest.approx([174.4, 112.6, 184.4, 255.0], abs=4.0)
    assert "points" not in record


def test_landmarks_are_written_where_there_are_some(
    hopper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", hopper, "--model", "blazeface_back_256_float", "--json", "-"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert len(record["points"]) == 6


def test_a_folder_is_looked_at_whole_and_named_in_the_records(
    hopper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sub").mkdir()
    shutil.copy(hopper, tmp_path / "b.jpg")
    shutil.copy(hopper, tmp_path / "sub" / "a.JPG")
    (tmp_path / "notes.txt").write_text("no picture")
    assert main(["detect", str(tmp_path), *FACES, "--json", "-"]) == 0
    images = [record["image"] for record in json.loads(capsys.readouterr().out)]
    assert images == [str(tmp_path / "b.jpg"), str(tmp_path / "sub" / "a.JPG")]


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\xff\xd8\xff\xe0 cut"])
def test_an_unreadable_picture_is_named_and_the_others_are_done(
    hopper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(content)
    words = ["detect", str(bad), str(tmp_path / "absent.jpg"), hopper, *FACES, "--json", "-"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert [record["image"] for record in json.loads(captured.out)] == [hopper]
    assert str(bad) in captured.err
    assert f"{tmp_path / 'absent.jpg'}: cannot be read: No such file" in captured.err


def test_a_classifier_names_classes(hopper: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", hopper, "--model", "mobilenet_v2_1.0_224", "--json", "-"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["label"] == "military uniform"
    assert set(record) == {"image", "label", "score"}


def test_without_json_a_person_reads_a_line_a_detection(
    hopper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", hopper, *FACES]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(hopper)
    assert " face " in line


def test_nothing_found_is_an_empty_list(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sunflower = str(shared / "images/coral/sunflower.jpg")
    assert main(["detect", sunflower, "--min-score", "0.9", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_the_turn_noted_in_a_photograph_is_not_made(
    hopper: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Boxes are in pixels of the file; turned, the face would lie elsewhere."""
    content = Path(hopper).read_bytes()
    # A TIFF header, big-endian, with the one entry Orientation (0x0112) = 6, a quarter turn.
    tiff = b"MM\0*\0\0\0\x08" + b"\0\x01" + b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0" + bytes(4)
    exif = b"Exif\0\0" + tiff
    segment = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(content[:2] + segment + content[2:])
    assert main(["detect", str(turned), *FACES, "--json", "-"]) == 0
    (record,) = json.loads(capsys.readouterr().out)
    assert record["box"] == pytest.approx([174.4, 112.6, 184.4, 255.0], abs=4.0)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "yolox_nano_coco_321"], "Did you mean yolox_nano_coco_320"),
        (["--model", "movenet_lightning_192"], "family movenet is known"),
        (["--model", "mobilefacenet_mask_112x96"], "this one is for embedding"),
        (["--json", "/nowhere/found.json"], "/nowhere/found.json: cannot be written"),
    ],
)
def test_what_cannot_be_done_is_said(
    hopper: str, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["detect", hopper, *words]) == 1
    assert said in capsys.readouterr().err


def test_a_folder_without_pictures_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["detect", str(tmp_path)]) == 1
    assert f"{tmp_path}: no pictures in this folder" in capsys.readouterr().err


@pytest.mark.parametrize("score", ["1.5", "-0.1", "nan", "many"])
def test_a_score_that_is_none_is_a_wrong_call(
    hopper: str, capsys: pytest.CaptureFixture[str], score: str
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["detect", hopper, f"--min-score={score}"])
    assert left.value.code == 2
