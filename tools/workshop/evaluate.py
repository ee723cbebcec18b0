"""How good networks are, in figures: on the same pictures, by the same rules, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from camera_app.inference import Network, load_network
from camera_app.models import find_pack
from tools.workshop import evaluation_set
from tools.workshop.average_precision import AveragePrecision, average_precision
from tools.workshop.counting import (
    Count,
    HeightCount,
    best_balance,
    count_at,
    objects_of,
    recall_by_height,
    threshold_curve,
)
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluation_set import FACE, EvaluationSet, TruthBox
from tools.workshop.face_recall import FaceFigures, face_figures_of, mean_iou
from tools.workshop.looking import Latency, Looked, look_at_all, marked_by
from tools.workshop.matching import Match, match

PERSON = "person"
# How well a box must cover an object to have found it.
MIN_IOU = 0.5
# The camera begins a new track with detections of this score.
SCORE = 0.6
# Marks the face in clips that nobody annotated.
REFERENCE = "rfb_face_320x240"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out for one network.

    Attributes:
        model: Its name.
        weights_bytes: Length of its weights file.
        latency: Of one picture.
        precision: By COCO's rules.
        at_score: What a fixed threshold leaves.
        at_best: What the threshold of the best F1 leaves; None if nothing was found.
        by_height: Objects found at the fixed threshold, by their height.
        mean_iou: Of objects found at the fixed threshold, with their boxes.
        faces: Counts of faces; None if it is not about faces alone.
        matches: Every box of every picture, in the order of the pictures.
    """

    model: str
    weights_bytes: int
    latency: Latency
    precision: AveragePrecision
    at_score: Count
    at_best: Count | None
    by_height: tuple[HeightCount, ...]
    mean_iou: float
    faces: FaceFigures | None
    matches: tuple[tuple[Match, ...], ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much alike two networks see: an int8 one and the float one that it was made from.

    Attributes:
        model: The int8 network.
        other: The float network.
        score: Boxes that score less were left out.
        f1: Of the one's boxes against the other's, at IoU 0.5.
        mean_iou: Of the pairs.
        ap50_95_change: The int8 network's less the float network's.
        ap50_change: The same at IoU 0.5.
    """

    model: str
    other: str
    score: float
    f1: float
    mean_iou: float
    ap50_95_change: float
    ap50_change: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several networks on the same pictures.

    Attributes:
        pictures: What they were shown.
        classes: That count: those which all of them know and which are there.
        score: The fixed threshold.
        evaluations: One a network, in the order asked for, a float twin after its network.
        agreements: One a float twin.
    """

    pictures: EvaluationSet
    classes: tuple[str, ...]
    score: float
    evaluations: tuple[Evaluation, ...]
    agreements: tuple[Agreement, ...]


def compare(
    networks: Sequence[Network],
    pictures: EvaluationSet,
    *,
    twins: Mapping[str, Network] | None = None,
    score: float = SCORE,
    only: Sequence[str] = (),
) -> Comparison:
    """Measure networks on the same pictures.

    Args:
        networks: With different names.
        pictures: With boxes.
        twins: Float networks by the name of the int8 network that they belong to.
        score: The fixed threshold.
        only: Classes to which to keep; empty: all.

    Raises:
        WorkshopError: No class is common to all, or a picture cannot be read.
    """
    twins = twins or {}
    every = [one for net in networks for one in (net, twins.get(net.pack.name)) if one is not None]
    classes = common_classes(pictures, every, only)
    looked = look_at_all(every, pictures)
    evaluations = {
        net.pack.name: _evaluated(net, pictures, one, classes, score)
        for net, one in zip(every, looked, strict=True)
    }
    agreements = tuple(
        _agreement(evaluations[name], evaluations[twin.pack.name], score)
        for name, twin in twins.items()
    )
    return Comparison(pictures, classes, score, tuple(evaluations.values()), agreements)


def common_classes(
    pictures: EvaluationSet, networks: Sequence[Network], only: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the classes that count.

    Raises:
        WorkshopError: There is none.
    """
    classes = tuple(name for name in pictures.classes if not only or name in only)
    for network in networks:
        known = tuple(name for name in classes if name in network.labels)
        if not known:
            raise WorkshopError(
                f"no class in common: the network finds {_some(network.labels)}, and to be found "
                f"in {pictures.name} is {_some(classes)}",
                where=network.pack.name,
                remedy="Give pictures, or a model, of another kind",
            )
        classes = known
    return classes


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "") if names else "nothing"


def _evaluated(
    network: Network,
    pictures: EvaluationSet,
    looked: Looked,
    classes: Sequence[str],
    score: float,
) -> Evaluation:
    matches = tuple(
        match([one for one in found if one.label in classes], picture.boxes, min_iou=MIN_IOU)
        for picture, found in zip(pictures.pictures, looked.found, strict=True)
    )
    objects = objects_of(pictures, classes)
    is_faces = tuple(classes) == (FACE,)
    return Evaluation(
        model=looked.model,
        weights_bytes=network.pack.weights.size_bytes,
        latency=looked.latency,
        precision=average_precision(pictures, looked.found, classes),
        at_score=count_at(matches, objects, score),
        at_best=best_balance(threshold_curve(matches, objects)),
        by_height=recall_by_height(pictures, matches, classes, score=score),
        mean_iou=mean_iou(matches, score),
        faces=face_figures_of(matches, objects, score=score) if is_faces else None,
        matches=matches,
    )


def _agreement(one: Evaluation, other: Evaluation, score: float) -> Agreement:
    pairs: list[Match] = []
    boxes = 0
    for ours, theirs in zip(one.matches, other.matches, strict=True):
        mine = [m.detection for m in ours if m.detection.score >= score]
        truth = [
            TruthBox(m.detection.box, m.detection.label)
            for m in theirs
            if m.detection.score >= score
        ]
        pairs.extend(m for m in match(mine, truth, min_iou=MIN_IOU) if m.is_right)
        boxes += len(mine) + len(truth)
    whole, twin = one.precision.overall, other.precision.overall
    return Agreement(
        model=one.model,
        other=other.model,
        score=score,
        f1=2 * len(pairs) / boxes if boxes else 1.0,
        mean_iou=sum(pair.iou for pair in pairs) / len(pairs) if pairs else 0.0,
        ap50_95_change=whole.ap50_95 - twin.ap50_95,
        ap50_change=whole.ap50 - twin.ap50,
    )


def with_boxes(pictures: EvaluationSet, reference: str = REFERENCE) -> EvaluationSet:
    """Return pictures with their boxes; where nobody marked any, a reference detector does.

    Raises:
        CameraAppError: The reference cannot be had, or sees nothing in one of the pictures.
    """
    if pictures.has_boxes:
        return pictures
    return marked_by(load_network(find_pack(reference)), pictures)


# --- as plain values ------------------------------------------------------------------------


def figures(comparison: Comparison) -> dict[str, Any]:
    """Return all figures as JSON can hold them, single boxes left out."""
    pictures = comparison.pictures
    return {
        "schema": 1,
        "images": pictures.name,
        "pictures": len(pictures.pictures),
        "objects": objects_of(pictures, comparison.classes),
        "classes": list(comparison.classes),
        "score": comparison.score,
        "models": [_evaluation_figures(one) for one in comparison.evaluations],
        "agreements": [asdict(one) for one in comparison.agreements],
    }


def _evaluation_figures(one: Evaluation) -> dict[str, Any]:
    return {
        "model": one.model,
        "weights_bytes": one.weights_bytes,
        "latency": asdict(one.latency),
        **asdict(one.precision),
        "at_score": _count_figures(one.at_score),
        "at_best": _count_figures(one.at_best) if one.at_best else None,
        "by_height_at_score": [asdict(count) for count in one.by_height],
        "mean_iou": one.mean_iou,
        "faces": asdict(one.faces) if one.faces else None,
    }


def _count_figures(count: Count) -> dict[str, Any]:
    return {
        **asdict(count),
        "recall": count.recall,
        "precision": count.precision,
        "f1": count.f1,
    }


# --- what is asked for most -----------------------------------------------------------------


def person_average_precision(network: Network, images: Path) -> dict[str, Any]:
    """Return the figures for persons on the pictures in a folder: `overall` holds the APs.

    Raises:
        WorkshopError: The folder is nothing to measure with, or persons are unknown to it or to
            the network.
    """
    comparison = compare([network], evaluation_set.load(images), only=[PERSON])
    return _evaluation_figures(comparison.evaluations[0])


def face_figures(network: Network, images: Path, *, score: float = SCORE) -> FaceFigures:
    """Count the faces a network finds in a folder of faces, or of clips of one face each.

    Raises:
        WorkshopError: The folder is nothing to measure with, or faces are unknown to the network.
    """
    pictures = with_boxes(evaluation_set.load(images))
    faces = compare([network], pictures, only=[FACE], score=score).evaluations[0].faces
    assert faces is not None  # only that class was asked for
    return faces
