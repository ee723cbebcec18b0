"""On real film the tracker meets what is asked of it, at any frame rate."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest

from camera_app.capture import ClipReader
from camera_app.config import TrackingSettings
from camera_app.inference import load_network
from camera_app.models import find_pack
from camera_app.tracking import Tracker, visible
from camera_app.values import Box, Observation, Size
from tests.tracking.scenes import seen
from tools.bench.mot import Identified, Quality, judge, read_boxes

FPS = 10.0
LATE_S = 0.5  # a person is seen up to so much later than a part of them is in the picture

pytestmark = pytest.mark.shared


@cache  # several tests look at the same film
def observed(video: Path, model: str, stride: int = 1) -> list[Observation]:
    """Return what a network finds of persons in every frame, or every second, or third."""
    network = load_network(find_pack(model))
    observations = []
    with ClipReader(video) as clip:
        for frame in clip.frames():
            if frame.sequence % stride:
                continue
            found = network.look(frame.picture, None, min_score=0.05)
            persons = tuple(detection for detection in found if detection.label == "person")
            whole = Box(0, 0, frame.size.width, frame.size.height)
            observations.append(Observation(frame.captured_ns, frame.size, (whole,), persons))
    return observations


def shown(observations: list[Observation]) -> list[Identified]:
    tracker = Tracker(TrackingSettings())
    return [
        [(track.track_id, track.box) for track in visible(tracker.update(look), look.at_ns)]
        for look in observations
    ]


@pytest.mark.parametrize(
    ("stride", "least_mota", "least_idf1"), [(1, 0.78, 0.80), (2, 0.76, 0.76), (3, 0.76, 0.78)]
)
def test_people_in_a_street_are_followed(
    shared: Path, stride: int, least_mota: float, least_idf1: float
) -> None:
    """The first row is what is asked; with frames shed the quality stays near it."""
    street = observed(shared / "tracks/pets_s2l1_a/video.mp4", "yolox_nano_coco_416")
    truth = read_boxes(shared / "tracks/pets_s2l1_a/gt.txt")
    frames = range(1, len(street) + 1, stride)

    quality = judge(truth, dict(zip(frames, shown(street[::stride]), strict=True)))

    assert quality.mota >= least_mota
    assert quality.idf1 >= least_idf1


def test_true_boxes_are_followed_almost_without_a_fault(shared: Path) -> None:
    """What is missing then is each person's first frame, before they are confirmed, or ends."""
    truth = read_boxes(shared / "tracks/pets_s2l1_a/gt.txt")
    size = Size(480, 360)
    observations = [
        Observation(
            round(frame / FPS * 1e9),
            size,
            (Box(0, 0, 480, 360),),
            tuple(seen(box) for _, box in truth[frame]),
        )
        for frame in sorted(truth)
    ]

    quality = judge(truth, dict(zip(sorted(truth), shown(observations), strict=True)))

    assert quality.mota >= 0.98
    assert quality.idf1 >= 0.98


@pytest.mark.parametrize("stride", [1, 2])
def test_each_visit_is_one_track(shared: Path, stride: int) -> None:
    """Six people come one at a time; detections have gaps, and visits are 2.8 s apart.

    At 5 and at 2.5 frames a second, which takes half the time of looking at every frame.
    """
    clips = tomllib.loads((shared / "clips/MANIFEST.toml").read_text())["clip"]
    (visits,) = (c["present"] for c in clips if c["file"] == "one_by_one_person.mp4")
    film = observed(shared / "clips/one_by_one_person.mp4", "yolox_nano_person_256", 2)
    observations = film[::stride]

    numbers_of_visits = [set() for _ in visits]
    for observation, boxes in zip(observations, shown(observations), strict=True):
        time_s = observation.at_ns / 1e9
        for number, _ in boxes:
            (visit,) = (
                i
                for i, (first, last) in enumerate(visits)
                if first / FPS - LATE_S <= time_s <= last / FPS + LATE_S
            )
            numbers_of_visits[visit].add(number)

    assert [len(numbers) for numbers in numbers_of_visits] == [1] * 6
    assert len(set().union(*numbers_of_visits)) == 6


def test_the_counting_meets_published_figures(shared: Path) -> None:
    folder = shared / "tracks/tud_campus_boxes"
    truth, reported = read_boxes(folder / "gt.txt"), read_boxes(folder / "tracker_output.txt")

    quality = judge(truth, {frame: reported.get(frame, []) for frame in truth})

    assert quality == Quality(
        mota=pytest.approx(0.5265, abs=5e-5),
        idf1=pytest.approx(0.5577, abs=5e-5),
        switches=7,
        misses=150,
        false_alarms=13,
    )
