"""`camera-app detect` with the networks that come with the program, on a photograph that came too.

Grace Hopper, photographed by the United States Navy; the photograph is matplotlib's.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.values import Box

cbook = pytest.importorskip("matplotlib.cbook", reason="the photograph comes with matplotlib")

FACE = Box(164, 128, 362, 334)  # read off by eye


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    return str(Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))


def found(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[tuple[str, Box]]:
    assert main(["detect", *words, "--min-score", "0.5", "--json", "-"]) == 0
    return [
        (record["label"], Box(left, top, left + width, top + height))
        for record in json.loads(capsys.readouterr().out)
        for left, top, width, height in [record["box"]]
    ]


def test_without_a_model_named_people_are_found(
    hopper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [(label, box)] = found([hopper], capsys)

    assert label == "person"
    assert box.iou(Box(12, 22, 511, 599)) > 0.8


def test_several_models_look_at_the_same_picture(
    hopper: str, capsys: pytest.CaptureFixture[str]
) -> None:
    [(first, person), (second, face)] = found(
        [hopper, "--model", "person_small", "--model", "face"], capsys
    )

    assert (first, second) == ("person", "face")
    assert face.iou(FACE) > 0.6
    assert person.intersection(face) > 0.95 * face.area
