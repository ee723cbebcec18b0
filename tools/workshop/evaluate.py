"""How good a network is, in figures: the whole of it, and the two that are asked for most."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from camera_app.inference import Network, load_network
from camera_app.models import find_pack
from tools.workshop import evaluation_set
from tools.workshop.average_precision import average_precision, common_classes
from tools.workshop.evaluation_set import EvaluationSet
from tools.workshop.face_recall import count_faces
from tools.workshop.looking import look_at_all, marked_by

PERSON = "person"
FACE_SCORE = 0.6
REFERENCE = "rfb_face_320x240"


def person_average_precision(network: Network, images: Path) -> dict[str, Any]:
    """Return average precision of persons on the pictures in a folder, and the latency.

    Raises:
        WorkshopError: The folder is nothing to measure with, or persons are unknown to it or to
            the network.
    """
    pictures = evaluation_set.load(images)
    common_classes(pictures, [PERSON] if PERSON in network.labels else [], network.pack.name)
    looked = look_at_all([network], pictures)[0]
    found = average_precision(pictures, looked.found, [PERSON])
    return {
        **asdict(found.overall),
        "by_area": _plain(found.by_area),
        "by_height": _plain(found.by_height),
        "latency": asdict(looked.latency),
    }


def _plain(table: Any) -> dict[str, Any]:
    return {name: asdict(value) if value else None for name, value in table.items()}


def face_figures(network: Network, images: Path, *, score: float = FACE_SCORE) -> dict[str, Any]:
    """Return how many faces a network finds in a folder of faces or of clips of one face each.

    Raises:
        WorkshopError: The folder is nothing to measure with.
    """
    pictures = with_boxes(evaluation_set.load(images), REFERENCE)
    common_classes(pictures, network.labels, network.pack.name)
    looked = look_at_all([network], pictures)[0]
    figures = asdict(count_faces(pictures, looked.found, score=score))
    del figures["curve"]
    return {**figures, "latency": asdict(looked.latency)}


def with_boxes(pictures: EvaluationSet, reference: str) -> EvaluationSet:
    """Return pictures with their boxes; where nobody marked any, a reference detector does."""
    if pictures.has_boxes:
        return pictures
    return marked_by(load_network(find_pack(reference)), pictures)
