"""Measures the tracker beside norfair's and ByteTrack's, on the same detections in one run.

    python -m tools.bench.tracking [--sequence ../shared/tracks/pets_s2l1_a] [--json]

Quality: every tracker sees the same detections of the sequence's video, all frames, every second
and every third one, and is judged against the truth at IoU 0.5. The other two are tried with every
setting of a small grid and count with the one that gives them the best IDF1 at that frame rate;
ours has one setting for all. Cost: microseconds of processor time of an update alone, without
making the others' inputs or reading their results; the median over frames, then over rounds. The
trackers take turns round by round, so that whatever else the machine does slows all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any, Protocol

import norfair
import numpy as np
import supervision
from tqdm import tqdm

from camera_app.capture import ClipReader
from camera_app.config import TrackingSettings
from camera_app.inference import load_network
from camera_app.models import find_pack
from camera_app.tracking import Tracker, visible
from camera_app.values import Box, Detection, Observation, Size, Track
from tools.bench.mot import Identified, Quality, judge, read_boxes

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT_SEQUENCE = REPOSITORY.parent / "shared" / "tracks" / "pets_s2l1_a"
DEFAULT_MODEL = "yolox_nano_coco_416"
LABEL = "person"
MIN_SCORE = 0.05
STRIDES = (1, 2, 3)
CROWDS = (5, 20, 100)
CROWD_FRAMES = 60
CROWD_FPS = 10.0

Settings = Mapping[str, Any]


class Contestant(Protocol):
    """A tracker under test, new for every sequence."""

    def prepare(self, observation: Observation) -> Any:
        """Return its own form of an observation; not timed."""

    def update(self, prepared: Any) -> Any:
        """Take one observation in; timed."""

    def report(self, result: Any) -> Identified:
        """Return the boxes that it would show; not timed."""


class Ours:
    """The tracker of this house, with its default settings."""

    grid: Mapping[str, Sequence[Any]] = {}

    def __init__(self, fps: float) -> None:  # noqa: ARG002 - it knows time from the observations
        self._tracker = Tracker(TrackingSettings())
        self._at_ns = 0

    def prepare(self, observation: Observation) -> Observation:
        self._at_ns = observation.at_ns
        return observation

    def update(self, prepared: Observation) -> tuple[Track, ...]:
        return self._tracker.update(prepared)

    def report(self, result: tuple[Track, ...]) -> Identified:
        return [(track.track_id, track.box) for track in visible(result, self._at_ns)]


class Norfair:
    """norfair with its optimised Kalman filter, as its demos set it up."""

    grid: Mapping[str, Sequence[Any]] = {
        "distance": ("iou", "mean_euclidean"),
        "reach": (0.5, 0.7, 0.9),  # of IoU distance; in mean_euclidean, of a person's height
        "min_score": (0.4, 0.5, 0.6),
        "lost_s": (1.0, 2.0),
    }

    def __init__(
        self, fps: float, *, distance: str, reach: float, min_score: float, lost_s: float
    ) -> None:
        self._min_score = min_score
        self._tracker = norfair.Tracker(
            distance_function=distance,
            distance_threshold=reach if distance == "iou" else reach * 50.0,
            hit_counter_max=max(2, round(lost_s * fps)),
            initialization_delay=1,
        )

    def prepare(self, observation: Observation) -> list[norfair.Detection]:
        return [
            norfair.Detection(
                np.array(((box.left, box.top), (box.right, box.bottom))),
                scores=np.array((found.score, found.score)),
            )
            for found in observation.detections
            if found.score >= self._min_score and (box := found.box)
        ]

    def update(self, prepared: list[norfair.Detection]) -> Any:
        return self._tracker.update(prepared)

    def report(self, result: Any) -> Identified:
        return [(track.id, Box(*track.estimate.ravel().tolist())) for track in result]


class ByteTrack:
    """supervision's ByteTrack; its frame rate is told right, so its patience is in seconds."""

    grid: Mapping[str, Sequence[Any]] = {
        "activation": (0.4, 0.5, 0.6),
        "matching": (0.8, 0.9),
        "lost_s": (1.0, 2.0),
    }

    def __init__(self, fps: float, *, activation: float, matching: float, lost_s: float) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it says that it will go away
            self._tracker = supervision.ByteTrack(
                track_activation_threshold=activation,
                minimum_matching_threshold=matching,
                lost_track_buffer=round(lost_s * 30),  # it counts in frames of thirty a second
                frame_rate=fps,
            )

    def prepare(self, observation: Observation) -> supervision.Detections:
        if not observation.detections:
            return supervision.Detections.empty()
        boxes = [(d.box.left, d.box.top, d.box.right, d.box.bottom) for d in observation.detections]
        return supervision.Detections(
            xyxy=np.array(boxes),
            confidence=np.array([d.score for d in observation.detections]),
            class_id=np.zeros(len(boxes), int),
        )

    def update(self, prepared: supervision.Detections) -> supervision.Detections:
        return self._tracker.update_with_detections(prepared)

    def report(self, result: supervision.Detections) -> Identified:
        ids = [] if result.tracker_id is None else result.tracker_id.tolist()
        return [(number, Box(*box)) for number, box in zip(ids, result.xyxy.tolist(), strict=True)]


CONTESTANTS: dict[str, Any] = {"camera_app": Ours, "norfair": Norfair, "ByteTrack": ByteTrack}


@dataclass(frozen=True, slots=True)
class QualityRow:
    """How well one tracker follows at one frame rate, and what an update costs it there."""

    tracker: str
    stride: int
    quality: Quality
    median_us: float
    settings: Settings


@dataclass(frozen=True, slots=True)
class CostRow:
    """What an update costs each tracker, by how many objects there are: median microseconds."""

    objects: int
    median_us: Mapping[str, float]


def main() -> int:
    options = _options()
    observations = detected(options.sequence / "video.mp4", options.model)
    truth = read_boxes(options.sequence / "gt.txt")
    quality = [
        row
        for stride in STRIDES
        for row in quality_rows(observations, truth, stride, options.rounds)
    ]
    costs = [cost_row(objects, options.rounds) for objects in CROWDS]
    if options.json:
        rows = {"quality": list(map(asdict, quality)), "cost": list(map(asdict, costs))}
        print(json.dumps(rows, indent=1))
    else:
        print_tables(quality, costs)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sequence", type=Path, default=DEFAULT_SEQUENCE)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--rounds", type=int, default=3, help="of measuring costs")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def detected(video: Path, model: str) -> list[Observation]:
    """Return what a network finds of persons in each frame of a video, the whole frame at once."""
    network = load_network(find_pack(model))
    observations = []
    with ClipReader(video) as clip:
        for frame in tqdm(clip.frames(), desc=model, disable=None):
            found = network.look(frame.picture, None, min_score=MIN_SCORE)
            persons = tuple(detection for detection in found if detection.label == LABEL)
            whole = Box(0, 0, frame.size.width, frame.size.height)
            observations.append(Observation(frame.captured_ns, frame.size, (whole,), persons))
    return observations


def quality_rows(
    observations: Sequence[Observation],
    truth: Mapping[int, Identified],
    stride: int,
    rounds: int,
) -> list[QualityRow]:
    """Return a row a tracker, each with the best of its settings at this frame rate."""
    frames = dict(list(enumerate(observations, start=1))[::stride])
    fps = 1e9 * (len(observations) - 1) / (observations[-1].at_ns - observations[0].at_ns) / stride
    best = {}
    for name, contestant in CONTESTANTS.items():
        trials = [
            (judge(truth, reported(contestant(fps, **settings), frames)), settings)
            for settings in every_setting(contestant.grid)
        ]
        best[name] = max(trials, key=lambda trial: trial[0].idf1)
    chosen = {name: settings for name, (_, settings) in best.items()}
    costs = median_costs(chosen, fps, [list(frames.values())] * rounds)
    return [
        QualityRow(name, stride, quality, costs[name], settings)
        for name, (quality, settings) in best.items()
    ]


def every_setting(grid: Mapping[str, Sequence[Any]]) -> list[Settings]:
    return [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def reported(contestant: Contestant, frames: Mapping[int, Observation]) -> dict[int, Identified]:
    """Return what a tracker shows after each frame, at that frame: nothing is filled in later."""
    return {
        frame: contestant.report(contestant.update(contestant.prepare(observation)))
        for frame, observation in frames.items()
    }


def cost_row(objects: int, rounds: int) -> CostRow:
    """Return what each tracker, with the first settings of its grid, costs in such a crowd."""
    settings = {name: every_setting(contestant.grid)[0] for name, contestant in CONTESTANTS.items()}
    crowds = [crowded(objects, seed=number) for number in range(rounds)]
    return CostRow(objects, median_costs(settings, CROWD_FPS, crowds))


def median_costs(
    settings: Mapping[str, Settings], fps: float, rounds: Sequence[Sequence[Observation]]
) -> dict[str, float]:
    """Return each tracker's median over the rounds of its median microseconds an update."""
    medians: dict[str, list[float]] = {name: [] for name in settings}
    for observations in rounds:
        for name, chosen in settings.items():
            costs = update_costs(CONTESTANTS[name](fps, **chosen), observations)
            medians[name].append(statistics.median(costs[len(costs) // 6 :]))
    return {name: round(statistics.median(some), 1) for name, some in medians.items()}


def update_costs(contestant: Contestant, observations: Iterable[Observation]) -> list[float]:
    """Return microseconds of processor time of each update."""
    costs = []
    for observation in observations:
        prepared = contestant.prepare(observation)
        begun_ns = time.thread_time_ns()
        contestant.update(prepared)
        costs.append((time.thread_time_ns() - begun_ns) / 1000)
    return costs


def crowded(objects: int, seed: int) -> list[Observation]:
    """Return people who wander about a large picture, and what a fair network says of them."""
    source = np.random.default_rng(seed)
    size = Size(1920, 1080)
    limits = np.array((size.width, size.height))
    place, speed = source.random((objects, 2)) * limits, source.normal(0, 60, (objects, 2))
    height = source.uniform(60, 160, objects)
    frames = []
    for frame in range(CROWD_FRAMES):
        place = place + speed / CROWD_FPS
        speed = np.where((place < 0) | (place > limits), -speed, speed)
        half = np.stack((height * 0.2, height * 0.5), axis=1)
        corners = np.concatenate((place - half, place + half), axis=1)
        corners += source.normal(0, 0.02, corners.shape) * height[:, None]
        scores = source.normal(0.7, 0.12, objects).clip(0.1, 1.0)
        is_found = source.random(objects) > 0.05
        found = tuple(
            Detection(Box(*corner), LABEL, score)
            for corner, score in zip(
                corners[is_found].tolist(), scores[is_found].tolist(), strict=True
            )
        )
        whole = (Box(0, 0, size.width, size.height),)
        frames.append(Observation(round(frame / CROWD_FPS * 1e9), size, whole, found))
    return frames


def print_tables(quality: Sequence[QualityRow], costs: Sequence[CostRow]) -> None:
    print(f"{'tracker':<12}{'stride':>7}{'MOTA':>8}{'IDF1':>8}{'switches':>10}{'µs/frame':>10}")
    for row in quality:
        print(
            f"{row.tracker:<12}{row.stride:>7}{row.quality.mota:>8.3f}{row.quality.idf1:>8.3f}"
            f"{row.quality.switches:>10}{row.median_us:>10.0f}  {_words(row.settings)}"
        )
    print(f"\n{'objects':<12}" + "".join(f"{name:>12}" for name in CONTESTANTS) + "  µs/frame")
    for cost in costs:
        cells = "".join(f"{cost.median_us[name]:>12.0f}" for name in CONTESTANTS)
        print(f"{cost.objects:<12}{cells}")


def _words(settings: Settings) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items())


if __name__ == "__main__":
    sys.exit(main())
