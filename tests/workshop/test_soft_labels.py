"""What a teacher may say beside people's labels, and what is remembered of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from camera_app.values import Box, Detection, Rgb
from tests.workshop.training_pictures import RED, SIDE, extent, painted, painted_set
from tools.workshop.dataset import LabelledBox, LabelledImage
from tools.workshop.errors import WorkshopError
from tools.workshop.soft_labels import CACHE, Teacher, taught, teach, teacher_of, without_doubles

DRAWN = LabelledBox(0, 10, 10, 30, 30)
UNSURE = LabelledBox(0, 40, 40, 60, 60, ignore=True)
GUESSED = LabelledBox(0, 40, 40, 60, 60, score=0.4)
SAID_THERE = LabelledBox(0, 41, 40, 60, 60, score=0.7)
SAID_ELSEWHERE = LabelledBox(0, 2, 40, 22, 60, score=0.7)
SAID_AT_DRAWN = LabelledBox(0, 11, 10, 30, 30, score=0.9)


class RedFinder:
    """Finds the red rectangle, with a score of 0.8, and counts how often it looked."""

    labels = ("dog", "person")

    def __init__(self, digest: str = "one") -> None:
        self.pack = SimpleNamespace(name="red", digest=digest)
        self.looks = 0

    def look(self, picture: Rgb, *, min_score: float) -> list[Detection]:
        self.looks += 1
        seen = extent(picture.pixels[..., ::-1], RED)
        return [] if seen is None else [Detection(Box(*map(float, seen)), "person", 0.8)]


def image(*boxes: LabelledBox) -> LabelledImage:
    return LabelledImage(Path("a.png"), SIDE, SIDE, "train", "test", boxes)


def teacher(finder: RedFinder | None = None) -> Teacher:
    return teacher_of(finder or RedFinder(), ("person",))


# --- the rules ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "said", "expected"),
    [
        ((DRAWN,), (SAID_AT_DRAWN,), (DRAWN,)),  # people outrank it
        ((DRAWN,), (SAID_ELSEWHERE,), (DRAWN,)),  # and where they drew, all else is nothing
        ((DRAWN, UNSURE), (SAID_THERE,), (DRAWN, SAID_THERE)),  # it settles what they left open
        ((DRAWN, UNSURE), (), (DRAWN, UNSURE)),  # which stays open if it does not
        ((GUESSED,), (SAID_THERE,), (SAID_THERE,)),  # a detector's box gives way to its own
        ((GUESSED,), (SAID_ELSEWHERE,), (SAID_ELSEWHERE, GUESSED)),  # nobody looked: all counts
        ((UNSURE,), (SAID_ELSEWHERE,), (SAID_ELSEWHERE, UNSURE)),
        ((), (SAID_ELSEWHERE,), ()),  # people said that nothing is here
    ],
)
def test_a_teacher_settles_what_people_left_open(
    labels: tuple[LabelledBox, ...],
    said: tuple[LabelledBox, ...],
    expected: tuple[LabelledBox, ...],
) -> None:
    assert taught(image(*labels), said).boxes == expected


def test_another_class_at_the_same_place_is_another_object() -> None:
    other = replace(SAID_THERE, class_index=1)
    assert taught(image(DRAWN, UNSURE), [other]).boxes == (DRAWN, UNSURE)


def test_of_doubles_the_surer_one_stays_and_other_classes_are_no_doubles() -> None:
    lesser = replace(SAID_THERE, left=40, score=0.3)
    dog = replace(lesser, class_index=1, score=0.2)
    assert without_doubles([dog, lesser, SAID_THERE]) == (SAID_THERE, dog)


# --- the teacher -------------------------------------------------------------------------------


def test_a_teacher_looks_upright_and_mirrored_and_says_the_same_place(tmp_path: Path) -> None:
    finder = RedFinder()
    found = teacher(finder).look(painted(tmp_path / "a.png", (6, 8, 30, 40), size=(100, 60)))
    assert found == (LabelledBox(0, 6, 8, 30, 40, score=0.8),)
    assert finder.looks == 2


def test_a_teacher_that_knows_none_of_the_classes_is_refused() -> None:
    with pytest.raises(WorkshopError, match=r"dog, person …; the data set has face") as caught:
        teacher_of(RedFinder(), ("face",))
    assert caught.value.where == "model pack red"


def test_labels_that_are_none_of_our_classes_are_passed_over(tmp_path: Path) -> None:
    dogs = teacher_of(RedFinder(), ("dog",))
    assert dogs.look(painted(tmp_path / "a.png", (6, 8, 30, 40))) == ()


# --- teaching a data set -----------------------------------------------------------------------


def test_only_pictures_to_train_on_are_taught(tmp_path: Path) -> None:
    data = painted_set(tmp_path, 3)
    unknown = tuple(replace(one, boxes=(UNSURE,)) for one in data.images)
    mixed = replace(data, images=(*unknown[:2], replace(unknown[2], split="val")))
    first, second, third = teach(mixed, teacher(), tmp_path / "run").images
    assert [box.score for box in first.boxes] == [0.8, 1.0]
    assert len(second.boxes) == 2
    assert third.boxes == (UNSURE,)


def test_what_was_looked_at_is_not_looked_at_again(tmp_path: Path) -> None:
    data, run = painted_set(tmp_path, 4), tmp_path / "run"
    once = teach(data, teacher(), run)
    finder = RedFinder()
    assert teach(data, teacher(finder), run) == once
    assert finder.looks == 0


def test_another_teacher_is_asked_itself(tmp_path: Path) -> None:
    """It once got the answers of the one before it, since they lay under the picture's name."""
    data, run = painted_set(tmp_path, 2), tmp_path / "run"
    teach(data, teacher(), run)
    finder = RedFinder("two")
    teach(data, teacher(finder), run)
    assert finder.looks == 4


def test_a_call_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    data, run = painted_set(tmp_path, 3), tmp_path / "run"
    teach(data, teacher(), run)
    lines = (run / CACHE).read_text().splitlines()
    (run / CACHE).write_text("\n".join([*lines[:2], lines[2][:40]]))
    finder = RedFinder()
    teach(data, teacher(finder), run)
    assert finder.looks == 2  # the one picture whose line was torn, upright and mirrored
    again = RedFinder()
    teach(data, teacher(again), run)
    assert again.looks == 0  # and what was appended behind the torn line can be read


@pytest.mark.parametrize("line", ["3", "[]", "{}", '{"teacher": 1}', "\x00"])
def test_strange_lines_among_the_answers_are_passed_over(tmp_path: Path, line: str) -> None:
    data, run = painted_set(tmp_path, 1), tmp_path / "run"
    run.mkdir()
    (run / CACHE).write_text(line + "\n")
    assert teach(data, teacher(), run).images[0].boxes == data.images[0].boxes


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    data, run = painted_set(tmp_path, 1), tmp_path / "run"
    run.mkdir()
    (run / CACHE).symlink_to("/dev/full")
    with pytest.raises(WorkshopError, match="No space left on device") as caught:
        teach(data, teacher(), run)
    assert caught.value.where == str(run / CACHE)


def test_an_answer_is_a_line_that_a_person_can_read(tmp_path: Path) -> None:
    data, run = painted_set(tmp_path, 1), tmp_path / "run"
    teach(data, teacher(), run)
    (record,) = [json.loads(line) for line in (run / CACHE).read_text().splitlines()]
    assert record["path"] == str(data.images[0].path)
    assert record["boxes"][0]["score"] == 0.8
