"""`camera-app demo` as an owner would call it."""

from __future__ import annotations

from pathlib import Path

import pytest

from camera_app.cli import main


@pytest.mark.shared
def test_the_demo_shows_events_messages_truth_and_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")

    assert main(["demo", "--out", str(tmp_path)]) == 0

    told = capsys.readouterr().out
    assert told.count("  started  person") == 4
    assert told.count("  ended    person") == 4
    assert 'camera_app/demo/scene/event        {"seq": 1, "type": "started"' in told
    assert "Eileen Collins" in told
    assert "Grace Hopper" in told
    assert "recall 0.9" in told or "recall 1.0" in told
    for name in ("events.jsonl", "events.db", "annotated.mp4", "snapshots", "summary.json"):
        assert str(tmp_path / name) in told
        assert (tmp_path / name).exists()


def test_without_weights_the_demo_says_what_is_missing_and_draws_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    out = tmp_path / "out"

    assert main(["demo", "--out", str(out)]) == 3

    told = capsys.readouterr().err
    assert "needs a model that is not here yet" in told
    assert "yolox_nano_person_256.tflite" in told
    assert "CAMERA_APP_MODEL_PATH" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--model", "yolox_nano_person"], "yolox_nano_person: no model pack of this name"),
        pytest.param(["--broker", "hub:"], "'hub:' is no broker", marks=pytest.mark.shared),
    ],
)
def test_a_misspelt_word_ends_the_demo_before_it_begins(
    words: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    assert main(["demo", "--out", str(out), *words]) == 1
    assert complaint in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.shared
def test_a_folder_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()

    assert main(["demo", "--out", str(file / "out")]) == 1
    assert f"{file / 'out'}: cannot be written" in capsys.readouterr().err
