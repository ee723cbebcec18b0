"""Made-up observations: who walks where, and what a network would say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from camera_app.config import TrackingSettings
from camera_app.tracking import Tracker
from camera_app.values import Box, Detection, Observation, Size, Track

NS = 1_000_000_000
SIZE = Size(1280, 720)
WHOLE = Box(0, 0, SIZE.width, SIZE.height)

Walk = Callable[[float], Box | None]
"""Where somebody is at a time in seconds; None while hidden."""


def person(x: float, y: float = 300.0, *, height: float = 120.0) -> Box:
    """Return the box of a standing person whose middle is at (x, y)."""
    return Box(x - height / 5, y - height / 2, x + height / 5, y + height / 2)


def seen(box: Box, score: float = 0.8, label: str = "person") -> Detection:
    return Detection(box, label, score)


def look(
    time_s: float, *detections: Detection, looked_at: tuple[Box, ...] = (WHOLE,)
) -> Observation:
    return Observation(round(time_s * NS), SIZE, looked_at, detections)


def times(until_s: float, fps: float) -> list[float]:
    return [frame / fps for frame in range(round(until_s * fps) + 1)]


def film(walks: Iterable[Walk], until_s: float, fps: float = 10.0) -> list[Observation]:
    """Return one look at the whole picture for each frame."""
    walks = list(walks)
    observations = []
    for time_s in times(until_s, fps):
        boxes = [box for walk in walks if (box := walk(time_s)) is not None]
        observations.append(look(time_s, *(seen(box) for box in boxes)))
    return observations


def tracked(
    observations: Iterable[Observation], settings: TrackingSettings | None = None
) -> list[tuple[Track, ...]]:
    tracker = Tracker(settings or TrackingSettings())
    return [tracker.update(observation) for observation in observations]


def track_at(tracks: Iterable[Track], box: Box) -> Track:
    """Return the track that lies on a box best."""
    return max(tracks, key=lambda track: track.box.iou(box))
