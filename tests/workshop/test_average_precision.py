from __future__ import annotations

from pathlib import Path

import pytest

from camera_app.values import Box, Detection, Size
from tools.workshop.average_precision import Precision, average_precision
from tools.workshop.evaluation_set import EvaluationSet, TruthBox, TruthPicture

PERFECT = Precision(1.0, 1.0, 1.0)
NOTHING = Precision(0.0, 0.0, 0.0)


def one_picture(*boxes: TruthBox, size: Size = Size(400, 200)) -> EvaluationSet:  # noqa: B008
    picture = TruthPicture("one", Path("one.png"), None, size, boxes)
    return EvaluationSet("made", ("person", "dog"), (picture,))


def box(left: float, height: float, label: str = "person") -> TruthBox:
    return TruthBox(Box(left, 0, left + 20, height), label)


def seen(truth: TruthBox, score: float = 0.9) -> Detection:
    return Detection(truth.box, truth.label, score)


def test_all_found_exactly_is_perfect_and_nothing_found_is_nothing() -> None:
    person = box(0, 50)
    assert average_precision(one_picture(person), [[seen(person)]], ["person"]).overall == PERFECT
    assert average_precision(one_picture(person), [[]], ["person"]).overall == NOTHING


def test_the_first_object_of_all_can_be_found() -> None:
    """The library keeps matches as numbers, and takes number 0 for none."""
    person, other = box(0, 50), box(100, 50)
    found = average_precision(one_picture(person, other), [[seen(person)]], ["person"])
    # 51 of the 101 levels of recall, 0.00 to 0.50, are reached, at precision 1.
    assert found.overall.ap50 == pytest.approx(51 / 101)


def test_a_box_that_overlaps_by_two_thirds_counts_at_50_and_not_at_75() -> None:
    person = TruthBox(Box(0, 0, 20, 50), "person")
    found = [[Detection(Box(4, 0, 24, 50), "person", 0.9)]]  # IoU 16 / 24
    overall = average_precision(one_picture(person), found, ["person"]).overall
    assert (overall.ap50, overall.ap75) == (1.0, 0.0)
    assert overall.ap50_95 == pytest.approx(0.4)  # 0.50, 0.55, 0.60 and 0.65 of ten


def test_classes_are_told_apart_and_weigh_alike() -> None:
    person, dog = box(0, 50), box(100, 50, "dog")
    found = average_precision(one_picture(person, dog), [[seen(person)]], ["person", "dog"])
    assert found.by_class == {"person": PERFECT, "dog": NOTHING}
    assert found.overall.ap50 == 0.5
    assert found.curve == (0.5,) * 101


def test_height_is_told_as_a_share_of_the_picture_and_area_in_pixels() -> None:
    low, tall = box(0, 15), box(100, 150)  # 7.5 % and 75 % of 200; 300 and 3000 square pixels
    found = average_precision(one_picture(low, tall), [[seen(tall)]], ["person"])
    assert found.by_height == {
        "below 10 %": NOTHING,
        "10 to 20 %": None,
        "20 to 50 %": None,
        "above 50 %": PERFECT,
    }
    assert found.by_area == {"small": NOTHING, "medium": PERFECT, "large": None}


def test_a_wrong_box_of_another_size_does_not_spoil_a_size() -> None:
    tall = box(0, 150)
    wrong = Detection(Box(200, 0, 220, 10), "person", 0.95)
    found = average_precision(one_picture(tall), [[wrong, seen(tall)]], ["person"])
    assert found.overall.ap50 == pytest.approx(0.5)
    assert found.by_height["above 50 %"] == PERFECT
