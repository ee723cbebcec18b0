"""Runs networks over the pictures of an evaluation set, as the camera runs them.

Every picture is shown to all networks one after the other, so that what else the machine does
meanwhile falls on all of them alike and their times can be compared.
"""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from camera_app.inference import Network
from camera_app.values import Detection, Rgb
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluation_set import FACE, EvaluationSet, TruthBox, TruthPicture

# As COCO does it: nearly everything a network says, the best hundred boxes of a picture.
MIN_SCORE = 0.01
MOST_BOXES = 100
# The camera's tracker ignores what scores less: decoding is timed with what it is used with.
SCORE_IN_USE = 0.1
# A reference is believed from here on; the topmost face is the one that the film is about.
REFERENCE_SCORE = 0.6


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one picture; medians over all of them, one thread.

    Attributes:
        prepare_ms: To make the input of the picture.
        invoke_ms: To run the network.
        decode_ms: To decode what it said, at the score that the camera's tracker begins with.
    """

    prepare_ms: float
    invoke_ms: float
    decode_ms: float


@dataclass(frozen=True, slots=True)
class Looked:
    """What one network said about all pictures.

    Attributes:
        model: Its name.
        found: Detections of each picture, in the order of the pictures, best first.
        latency: How long a picture took.
    """

    model: str
    found: tuple[tuple[Detection, ...], ...]
    latency: Latency


def look_at_all(networks: Sequence[Network], pictures: EvaluationSet) -> tuple[Looked, ...]:
    """Show every picture to every network.

    Raises:
        WorkshopError: A picture cannot be read.
    """
    found: list[list[tuple[Detection, ...]]] = [[] for _ in networks]
    spent: list[list[tuple[float, float, float]]] = [[] for _ in networks]
    for one in _with_progress(pictures.pictures, pictures.name):
        pixels = one.read()
        for index, network in enumerate(networks):
            detections, seconds = look(network, pixels)
            found[index].append(detections)
            spent[index].append(seconds)
    return tuple(
        Looked(network.pack.name, tuple(found[index]), _medians(spent[index]))
        for index, network in enumerate(networks)
    )


def _with_progress(pictures: Sequence[TruthPicture], name: str) -> Sequence[TruthPicture]:
    bar: Sequence[TruthPicture] = tqdm(pictures, desc=name, unit="picture", disable=None)
    return bar


def look(
    network: Network, picture: Rgb
) -> tuple[tuple[Detection, ...], tuple[float, float, float]]:
    """Return what a network finds in a picture, and the seconds that each step took."""
    begun = time.perf_counter()
    prepared = network.prepare(picture)
    made = time.perf_counter()
    outputs = network.invoke(prepared)
    run = time.perf_counter()
    network.decode(outputs, prepared, min_score=SCORE_IN_USE)
    decoded = time.perf_counter()
    found = network.decode(outputs, prepared, min_score=MIN_SCORE)
    return tuple(found[:MOST_BOXES]), (made - begun, run - made, decoded - run)


def _medians(seconds: Sequence[tuple[float, float, float]]) -> Latency:
    prepare, invoke, decode = (
        round(1000 * statistics.median(column), 3) for column in zip(*seconds, strict=True)
    )
    return Latency(prepare, invoke, decode)


def marked_by(reference: Network, pictures: EvaluationSet) -> EvaluationSet:
    """Return pictures that show one face each with the place where a reference sees it.

    The face is the topmost: what is printed on a shirt hangs below the one who wears it.

    Raises:
        WorkshopError: The reference finds no face in one of the pictures.
    """
    marked = tuple(
        dataclasses.replace(one, boxes=(_face(reference, one),))
        for one in _with_progress(pictures.pictures, f"{pictures.name}, faces marked")
    )
    return dataclasses.replace(
        pictures, pictures=marked, has_boxes=True, marked_by=reference.pack.name
    )


def _face(reference: Network, picture: TruthPicture) -> TruthBox:
    found = reference.look(picture.read(), min_score=REFERENCE_SCORE)
    faces = [one.box for one in found if one.label == FACE]
    if not faces:
        raise WorkshopError(
            "the reference finds no face here",
            where=picture.name,
            remedy="Choose another reference, or leave this clip out",
        )
    return TruthBox(min(faces, key=lambda box: box.top), FACE)
