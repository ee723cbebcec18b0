"""Pictures that show where a network goes wrong: the largest misses, the surest wrong boxes,
boxes in the wrong place, and some pictures by chance, so that nobody sees mistakes alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from camera_app.values import Box, Pixels, Rgb, Size
from tools.workshop.evaluate import Comparison, Evaluation
from tools.workshop.evaluation_set import TruthBox, TruthPicture
from tools.workshop.matching import Match

MISS, WRONG, MISPLACED, SAMPLE = "missed", "wrong", "misplaced", "sample"
# A wrong box that covers an object this well, though not well enough, is misplaced.
LEAST_TOUCH_IOU = 0.1
# What is shown of a picture: this many times the object, but not less than some pixels.
SURROUNDINGS = 3.0
LEAST_SIDE_PX = 160
SHOWN_SIDE_PX = 320
JPEG_QUALITY = 70
TRUTH_COLOUR = (40, 200, 60)
FOUND_COLOUR = (255, 120, 0)
CROWD_COLOUR = (120, 120, 120)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One picture, or a part of it, that is worth looking at.

    Attributes:
        kind: Missed, wrong, misplaced or sample.
        picture: Its index.
        focus: The box that it is about; None: the whole picture.
        caption: What is to be seen.
    """

    kind: str
    picture: int
    focus: Box | None
    caption: str


def choose(
    comparison: Comparison, evaluation: Evaluation, *, most: int, seed: int
) -> tuple[Exhibit, ...]:
    """Choose what to show of one network.

    Args:
        comparison: Of which it is part.
        evaluation: Of the network.
        most: How many of each kind.
        seed: Of the sample; the same for every network, so that pictures can be compared.
    """
    pictures = comparison.pictures.pictures
    score = shown_score(comparison, evaluation)
    return (
        *_misses(comparison, evaluation, score, most),
        *_wrong(pictures, evaluation, score, most),
        *_misplaced(pictures, evaluation, score, most),
        *_sample(pictures, most, seed),
    )


def shown_score(comparison: Comparison, evaluation: Evaluation) -> float:
    """Return the threshold of the pictures: the network's best, for fairness to all of them."""
    return evaluation.at_best.score if evaluation.at_best else comparison.score


def _misses(
    comparison: Comparison, evaluation: Evaluation, score: float, most: int
) -> list[Exhibit]:
    missed = [
        (truth.box.height / picture.size.height, number, truth)
        for number, (picture, matches) in enumerate(
            zip(comparison.pictures.pictures, evaluation.matches, strict=True)
        )
        for truth in _unseen(picture, matches, comparison.classes, score)
    ]
    missed.sort(key=lambda entry: (-entry[0], entry[1]))
    return [
        _of_miss(number, truth, share, comparison.pictures.pictures[number].name)
        for share, number, truth in missed[:most]
    ]


def _of_miss(number: int, truth: TruthBox, share: float, name: str) -> Exhibit:
    caption = f"{truth.label}, {share:.0%} of the height: {name}"
    return Exhibit(MISS, number, truth.box, caption)


def _unseen(
    picture: TruthPicture, matches: Sequence[Match], classes: Sequence[str], score: float
) -> Iterator[TruthBox]:
    seen = {one.truth for one in matches if one.detection.score >= score}
    for index, truth in enumerate(picture.boxes):
        if index not in seen and truth.label in classes and not truth.is_crowd:
            yield truth


def _wrong(
    pictures: Sequence[TruthPicture], evaluation: Evaluation, score: float, most: int
) -> list[Exhibit]:
    entries = [e for e in _wrong_boxes(evaluation, score) if e[1].iou < LEAST_TOUCH_IOU]
    return [_of_match(WRONG, number, one, pictures) for number, one in entries[:most]]


def _misplaced(
    pictures: Sequence[TruthPicture], evaluation: Evaluation, score: float, most: int
) -> list[Exhibit]:
    entries = [e for e in _wrong_boxes(evaluation, score) if e[1].iou >= LEAST_TOUCH_IOU]
    return [_of_match(MISPLACED, number, one, pictures) for number, one in entries[:most]]


def _wrong_boxes(evaluation: Evaluation, score: float) -> list[tuple[int, Match]]:
    """Return wrong boxes with the numbers of their pictures, surest first."""
    entries = [
        (number, one)
        for number, matches in enumerate(evaluation.matches)
        for one in matches
        if one.is_wrong and one.detection.score >= score
    ]
    return sorted(entries, key=lambda entry: (-entry[1].detection.score, entry[0]))


def _of_match(kind: str, number: int, one: Match, pictures: Sequence[TruthPicture]) -> Exhibit:
    found = one.detection
    place = f", IoU {one.iou:.2f}" if kind == MISPLACED else ""
    caption = f"{found.label} {found.score:.2f}{place}: {pictures[number].name}"
    return Exhibit(kind, number, found.box, caption)


def _sample(pictures: Sequence[TruthPicture], most: int, seed: int) -> list[Exhibit]:
    count = min(most, len(pictures))
    chance = random.Random(seed)  # nosec B311 # the same pictures every time
    numbers = sorted(chance.sample(range(len(pictures)), count))
    return [Exhibit(SAMPLE, number, None, pictures[number].name) for number in numbers]


# --- drawing --------------------------------------------------------------------------------


def drawn(exhibit: Exhibit, comparison: Comparison, evaluation: Evaluation) -> bytes:
    """Return a small JPEG: truth green, crowds grey, what was found orange.

    Raises:
        WorkshopError: The picture cannot be read.
    """
    picture = comparison.pictures.pictures[exhibit.picture]
    window = _window(exhibit.focus, picture.size)
    scale = min(1.0, SHOWN_SIDE_PX / max(window.width, window.height))
    canvas = _cut(picture.read(), window, scale)
    for truth in picture.boxes:
        if truth.label in comparison.classes:
            colour = CROWD_COLOUR if truth.is_crowd else TRUTH_COLOUR
            _outline(canvas, truth.box, window, scale, colour)
    score = shown_score(comparison, evaluation)
    for one in evaluation.matches[exhibit.picture]:
        if one.detection.score >= score:
            _outline(canvas, one.detection.box, window, scale, FOUND_COLOUR)
    return _jpeg(canvas)


def _window(focus: Box | None, size: Size) -> Box:
    """Return the part of a picture to show, in whole pixels."""
    whole = Box(0, 0, size.width, size.height)
    if focus is None:
        return whole
    side = max(SURROUNDINGS * max(focus.width, focus.height), LEAST_SIDE_PX)
    left, right = _span(focus.centre.x, side, size.width)
    top, bottom = _span(focus.centre.y, side, size.height)
    return Box(left, top, right, bottom)


def _span(centre: float, side: float, limit: int) -> tuple[int, int]:
    length = min(round(side), limit)
    begin = min(max(round(centre - length / 2), 0), limit - length)
    return begin, begin + length


def _cut(picture: Rgb, window: Box, scale: float) -> Pixels:
    part = picture.pixels[
        int(window.top) : int(window.bottom), int(window.left) : int(window.right)
    ]
    width, height = (max(1, round(side * scale)) for side in (window.width, window.height))
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA))


def _outline(
    canvas: Pixels, box: Box, window: Box, scale: float, colour: tuple[int, int, int]
) -> None:
    begin = (round((box.left - window.left) * scale), round((box.top - window.top) * scale))
    end = (round((box.right - window.left) * scale), round((box.bottom - window.top) * scale))
    cv2.rectangle(canvas, begin, end, colour, 2)


def _jpeg(pixels: Pixels) -> bytes:
    flags = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    _, content = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), flags)
    return bytes(content)
