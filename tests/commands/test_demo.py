"""`camera-app demo` as an owner would call it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.config import TrackingSettings
from camera_app.demo import STANDARDS, stage


def test_the_demo_shows_events_messages_truth_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")

    assert main(["demo", "--out", str(tmp_path)]) == 0

    told, drawn = capsys.readouterr()
    assert "drawing the scene" not in drawn  # a bar is for a terminal
    for label in ("person", "face"):
        assert told.count(f"  started  {label}") == told.count(f"  ended    {label}") == 4
        assert f"{label}s, at least half of whom is to be seen" in told
    assert 'camera_app/demo/scene/event        {"seq": 1, "type": "started"' in told
    assert "Eileen Collins" in told
    assert "Grace Hopper" in told
    tracked = [float(share) for share in re.findall(r"tracked +recall ([\d.]+) of \d+", told)]
    for share, standard in zip(tracked, STANDARDS.values(), strict=True):
        assert standard.recall <= share <= 1.0
    assert told.count("reported  4 of 4 visits as one event, 0 events about nobody") == 2
    for name in ("events.jsonl", "events.db", "annotated.mp4", "snapshots", "summary.json"):
        assert str(tmp_path / name) in told
        assert (tmp_path / name).exists()


def test_without_weights_the_demo_says_what_is_missing_and_draws_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "out"

    words = ["--model", "person_large", "--model", "rfb_face_320x240"]
    assert main(["demo", "--out", str(out), *words]) == 3

    told = capsys.readouterr().err
    assert "needs a model that is not here yet" in told
    assert "rfb_face_320x240.tflite" in told
    assert "CAMERA_APP_MODEL_PATH" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "yolox_nano_person"], "yolox_nano_person: no model pack of this name"),
        (["--broker", "hub:"], "'hub:' is no broker"),
        (["--model", "face", "--model", "rfb_face_320x240"], "both find the class 'face'"),
    ],
)
def test_a_misspelt_word_ends_the_demo_before_it_begins(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    assert main(["demo", "--out", str(out), *words]) == 1
    assert complaint in capsys.readouterr().err
    assert not out.exists()


def test_a_demo_that_sees_too_little_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same scene with a camera that is all but blind to weak detections."""
    pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")
    blind = TrackingSettings(min_score=0.99, high_score=0.99, new_track_score=0.99)
    monkeypatch.setattr(stage, "SETTINGS", stage.SETTINGS.model_copy(update={"tracking": blind}))

    assert main(["demo", "--out", str(tmp_path), "--model", "person_large"]) == 1

    told = capsys.readouterr().out
    assert "no event" in told
    assert "faces, at least" not in told  # no model looked for any


def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()

    assert main(["demo", "--out", str(file / "out")]) == 1
    assert f"{file / 'out'}: cannot be written" in capsys.readouterr().err
