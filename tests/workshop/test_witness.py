"""A second detector on the wrong boxes of the first: painted pictures with someone unmarked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.values import Detection
from tests.workshop.painted_pictures import ColourNetwork, Painted, shifted, write_coco
from tools.workshop.evaluate import compare
from tools.workshop.evaluation_set import EvaluationSet, load
from tools.workshop.witness import Witnessed, witnessed

MARKED = Painted("person", (10, 20, 30, 60))


@pytest.fixture
def pictures(tmp_path: Path) -> EvaluationSet:
    """Two pictures of a person each, of whom the second is not marked."""
    folder = write_coco(tmp_path / "val", {"a.png": [MARKED], "b.png": [MARKED]})
    path = folder / "instances.json"
    document = json.loads(path.read_text())
    document["annotations"].pop()
    path.write_text(json.dumps(document))
    return load(folder)


def said(pictures: EvaluationSet, witness: ColourNetwork, score: float = 0.6) -> Witnessed:
    comparison = compare([ColourNetwork("ours")], pictures, score=score)  # type: ignore[list-item]
    (only,) = witnessed(comparison, witness)  # type: ignore[arg-type]
    return only


def test_what_a_witness_sees_too_is_counted(pictures: EvaluationSet) -> None:
    assert said(pictures, ColourNetwork("other")) == Witnessed("ours", "other", 1, 1)


def test_what_lies_elsewhere_is_something_else(pictures: EvaluationSet) -> None:
    aside = ColourNetwork("other", fault=lambda one: [shifted(one, 15.0)])
    assert said(pictures, aside) == Witnessed("ours", "other", 1, 0)


def test_another_class_is_something_else(pictures: EvaluationSet) -> None:
    def as_dogs(one: Detection) -> list[Detection]:
        return [replace(one, label="dog")]

    assert said(pictures, ColourNetwork("other", fault=as_dogs)).seen_too == 0


def test_boxes_below_the_score_are_not_asked_about(pictures: EvaluationSet) -> None:
    assert said(pictures, ColourNetwork("other"), score=0.95).wrong == 0
