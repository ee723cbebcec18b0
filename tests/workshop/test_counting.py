from __future__ import annotations

from pathlib import Path

import pytest

from camera_app.values import Box, Detection, Size
from tools.workshop.counting import (
    Count,
    best_balance,
    count_at,
    most_found,
    recall_by_height,
    threshold_curve,
)
from tools.workshop.evaluation_set import EvaluationSet, TruthBox, TruthPicture
from tools.workshop.face_recall import face_figures_of
from tools.workshop.matching import Match

ANYWHERE = Box(0, 0, 10, 10)


def right(score: float, truth: int = 0, iou: float = 0.8) -> Match:
    return Match(Detection(ANYWHERE, "face", score), truth, iou)


def wrong(score: float) -> Match:
    return Match(Detection(ANYWHERE, "face", score), None, 0.0)


def on_crowd(score: float) -> Match:
    return Match(Detection(ANYWHERE, "face", score), None, 0.0, is_on_crowd=True)


PICTURES = ((right(0.9), wrong(0.8)), (right(0.7), on_crowd(0.95)), (wrong(0.2),))


def test_recall_precision_and_f1_of_a_count() -> None:
    count = Count(0.5, found=3, wrong=1, objects=6)
    assert (count.recall, count.precision, count.f1) == (0.5, 0.75, pytest.approx(0.6))


def test_a_count_of_nothing_is_nought() -> None:
    assert (Count(0.5, 0, 4, 6).precision, Count(0.5, 0, 4, 6).f1) == (0.0, 0.0)
    assert Count(0.5, 0, 0, 0).recall == 0.0


def test_a_threshold_includes_its_own_score() -> None:
    assert count_at(PICTURES, 4, 0.7) == Count(0.7, found=2, wrong=1, objects=4)
    assert count_at(PICTURES, 4, 0.71) == Count(0.71, found=1, wrong=1, objects=4)


def test_the_curve_counts_every_threshold_once() -> None:
    tied = ((right(0.9), wrong(0.9)), (right(0.5),))
    assert threshold_curve(tied, 3) == (Count(0.9, 1, 1, 3), Count(0.5, 2, 1, 3))


def test_the_best_balance_is_the_best_f1() -> None:
    best = best_balance(threshold_curve(PICTURES, 2))
    assert best is not None
    assert (best.score, best.found, best.wrong) == (0.7, 2, 1)
    assert best_balance(()) is None


def test_most_found_is_the_highest_threshold_that_finds_all_there_is_to_find() -> None:
    assert most_found(threshold_curve(PICTURES, 4)) == Count(0.7, 2, 1, 4)


def test_objects_are_counted_by_their_share_of_the_height() -> None:
    boxes = tuple(
        TruthBox(Box(0, 0, 5, height), label, crowd)
        for height, label, crowd in (
            (20, "face", False),
            (20, "face", False),
            (105, "face", False),  # an annotation that leaves the picture
            (20, "dog", False),
            (20, "face", True),
        )
    )
    picture = TruthPicture("one", Path("one"), None, Size(100, 100), boxes)
    pictures = EvaluationSet("made", ("face",), (picture,))
    counts = recall_by_height(pictures, ((right(0.9, 1), right(0.3, 2)),), ["face"], score=0.5)
    there = {(c.from_share, c.to_share): (c.found, c.objects) for c in counts if c.objects}
    assert there == {(0.2, 0.3): (1, 2), (0.75, 1.0): (0, 1)}


def test_faces_are_counted_at_the_score_asked_for_and_at_the_best() -> None:
    figures = face_figures_of(
        ((right(0.9, iou=0.9), wrong(0.8)), (right(0.7, iou=0.7),), (wrong(0.65),)), 3, score=0.6
    )
    assert (figures.pictures, figures.faces) == (3, 3)
    assert (figures.found, figures.others, figures.mean_iou) == (2, 2, pytest.approx(0.8))
    assert (figures.best_score, figures.best_found, figures.best_others) == (0.7, 2, 1)
    assert [count.score for count in figures.curve] == [0.9, 0.7]


def test_a_network_that_finds_no_face_gets_noughts() -> None:
    figures = face_figures_of(((),), 1, score=0.6)
    assert (figures.found, figures.others, figures.mean_iou, figures.best_found) == (0, 0, 0.0, 0)
    assert figures.curve == ()
