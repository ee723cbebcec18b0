"""Lines and loitering on real film, held against what really happens in it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from camera_app.config import CameraSettings
from camera_app.events.lines import LinePassages
from camera_app.models import find_models
from camera_app.replay import ReplayHooks, ReplayRequest, run_replay
from camera_app.values import Box, EventChange, Size
from tools.bench.mot import read_boxes

pytestmark = pytest.mark.shared

STREET_SIZE, STREET_FPS = Size(480, 360), 10.0
# Upwards: its right is the picture's right.
UPRIGHT = {"name": "middle", "points": [[0.5, 1.0], [0.5, 0.0]]}
LEVEL = {"name": "middle", "points": [[0.0, 0.5], [1.0, 0.5]]}


def settings(**more: Any) -> CameraSettings:
    return CameraSettings.model_validate({"source": "film", **more})


def told(clip: Path, model: str, how: CameraSettings) -> list[EventChange]:
    """Return every event change of a clip."""
    changes: list[EventChange] = []
    request = ReplayRequest((clip,), how, find_models([model]))
    run_replay(request, ReplayHooks(changed=changes.append))
    return changes


def crossings(changes: list[EventChange]) -> list[tuple[float, str]]:
    """Return when the line was met, and which way."""
    found = [change.crossing for change in changes if change.crossing is not None]
    return sorted((one.at_ns / 1e9, one.direction.value) for one in found)


def ways(found: list[tuple[float, str]]) -> list[str]:
    return [way for _, way in found]


def true_crossings(shared: Path) -> list[dict[str, Any]]:
    with (shared / "tracks/MANIFEST.toml").open("rb") as file:
        manifest = tomllib.load(file)
    listed: list[dict[str, Any]] = manifest["pets_s2l1_a"]["crosses_x_240"]
    return listed


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
def test_true_paths_cross_the_line_as_often_as_they_do_however_many_frames_are_seen(
    shared: Path, stride: int
) -> None:
    line = settings(lines=[UPRIGHT]).lines[0]
    lives: dict[int, list[tuple[int, Box]]] = {}
    for frame, boxes in read_boxes(shared / "tracks/pets_s2l1_a/gt.txt").items():
        if frame % stride == 0:
            for identity, box in boxes:
                lives.setdefault(identity, []).append((frame, box))
    found = []
    for identity, sights in lives.items():
        passages = LinePassages([line])
        for frame, box in sorted(sights, key=lambda sight: sight[0]):
            at_ns = round(frame / STREET_FPS * 1e9)
            one = passages.update(box, "person", STREET_SIZE, at_ns)
            found += [(c.at_ns / 1e9 * STREET_FPS, identity, c.direction.value) for c in one]
    sides = {"right": "in", "left": "out"}
    truth = [(one["frame"], one["id"], sides[one["to"]]) for one in true_crossings(shared)]
    assert [one[1:] for one in sorted(found)] == [one[1:] for one in truth]
    for (met, *_), (first_beyond, *_) in zip(sorted(found), truth, strict=True):
        assert first_beyond - 1 - stride <= met <= first_beyond + stride


def test_people_in_a_street_cross_a_line_as_the_truth_says(shared: Path) -> None:
    """Seven, each within half a second: with the shipped network, its own tracks and no help."""
    changes = told(
        shared / "tracks/pets_s2l1_a/video.mp4", "person_large", settings(lines=[UPRIGHT])
    )
    found, truth = crossings(changes), true_crossings(shared)
    assert ways(found) == ["in" if one["to"] == "right" else "out" for one in truth]
    for (at_s, _), one in zip(found, truth, strict=True):
        assert abs(at_s - (one["frame"] - 1) / STREET_FPS) < 0.5


def test_six_visits_are_six_crossings_and_six_stays(shared: Path) -> None:
    """Each of six people comes from below, stands a while, and leaves to the right."""
    counter = {
        "name": "counter",
        "polygon": [[0.0, 0.0], [0.7, 0.0], [0.7, 1.0], [0.0, 1.0]],
        "loitering_s": 5.0,
    }
    line = {"name": "exit", "points": [[0.7, 1.0], [0.7, 0.0]]}
    how = settings(lines=[line], zones=[counter])
    changes = told(shared / "clips/one_by_one_person.mp4", "person_small", how)
    assert ways(crossings(changes)) == ["in"] * 6
    stays = [change for change in changes if change.loitering is not None]
    assert len({change.event.event_id for change in stays}) == len(stays) == 6
    for change in stays:
        assert change.loitering is not None
        assert change.at_ns - change.loitering.since_ns >= 5e9
    lives = [change.event for change in changes if change.event.ended_ns is not None]
    assert [life.loitered_zones for life in lives] == [("counter",)] * 6
    assert [[(one.line, one.count) for one in life.crossings] for life in lives] == [
        [("exit", 1)]
    ] * 6


def test_cars_from_above_cross_the_middle_both_ways(shared: Path) -> None:
    """No network of ours knows cars from above: whatever it takes them for, it follows them."""
    how = settings(
        lines=[LEVEL],
        events={"labels": [], "min_score": 0.3},
        tracking={"new_track_score": 0.3, "confirm_score": 0.3},
        motion={"enabled": False},
    )
    clip = shared / "clips/cars_from_above.mp4"
    found = crossings(told(clip, "yolox_nano_coco_416", how))
    with (shared / "clips/MANIFEST.toml").open("rb") as file:
        clips = {one["file"]: one for one in tomllib.load(file)["clip"]}
    truth = clips[clip.name]["centre_crosses_y_216"]
    assert ways(found) == ["out" if one["direction"] == "up" else "in" for one in truth]
    # The truth is of their middle, the rule's of their lower edge: half a car earlier or later.
    for (at_s, _), one in zip(found, truth, strict=True):
        assert abs(at_s - one["frame"] / clips[clip.name]["fps"]) < 1.0
