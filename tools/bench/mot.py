"""Boxes with identities against the truth: MOTA and IDF1 as the MOTChallenge counts them.

The counting is motmetrics'; here are only its inputs: files in MOTChallenge form, and overlaps.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import motmetrics
import numpy as np

from camera_app.values import Box

LEAST_OVERLAP = 0.5

Identified = Sequence[tuple[int, Box]]
"""Boxes of one frame, each with the number of its person."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well reported boxes follow the true persons.

    Attributes:
        mota: 1 less misses, false alarms and switches, as a share of the true boxes.
        idf1: Share of boxes, true and reported, that have the right person's number.
        switches: How often a person's number changed.
        misses: True boxes that were not reported.
        false_alarms: Reported boxes where nobody is.
    """

    mota: float
    idf1: float
    switches: int
    misses: int
    false_alarms: int


def read_boxes(path: Path) -> dict[int, list[tuple[int, Box]]]:
    """Read a MOTChallenge file: what each frame, counted from 1, shows; all boxes count."""
    frames: dict[int, list[tuple[int, Box]]] = {}
    with path.open(newline="") as file:
        for frame, number, *sides in csv.reader(file):
            left, top, width, height = (float(side) for side in sides[:4])
            box = Box(left, top, left + width, top + height)
            frames.setdefault(int(frame), []).append((int(number), box))
    return frames


def judge(truth: Mapping[int, Identified], reported: Mapping[int, Identified]) -> Quality:
    """Compare the frames that were reported, empty ones too, with the truth about them."""
    record = motmetrics.MOTAccumulator(auto_id=True)
    for frame in sorted(reported):
        true, found = truth.get(frame, ()), reported[frame]
        record.update(
            [number for number, _ in true],
            [number for number, _ in found],
            _distances(true, found),
        )
    names = ["mota", "idf1", "num_switches", "num_misses", "num_false_positives"]
    counted = motmetrics.metrics.create().compute(record, metrics=names, return_dataframe=False)
    mota, idf1, *counts = (counted[name] for name in names)
    return Quality(float(mota), float(idf1), *(int(count) for count in counts))


def _distances(true: Identified, found: Identified) -> np.ndarray:
    """Return 1 - IoU of every true box with every reported one; NaN where they do not match."""
    distances = np.full((len(true), len(found)), np.nan)
    for i, (_, box) in enumerate(true):
        for j, (_, other) in enumerate(found):
            overlap = box.iou(other)
            if overlap >= LEAST_OVERLAP:
                distances[i, j] = 1.0 - overlap
    return distances
