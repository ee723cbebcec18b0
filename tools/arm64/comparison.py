"""Whether two processors saw the same: the events and tracks of one clip, replayed on each. Pure.

Networks of whole numbers may round differently by one on another processor, so boxes and scores
are compared with some room; what happened, to what and in which order is compared exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from camera_app.values import Box

LEAST_OVERLAP = 0.9
MOST_SCORE_APART = 0.05
LEAST_SHARED = 0.95  # of the boxes; a track may begin or end a frame apart

Place = tuple[int, int]  # frame and track


@dataclass(frozen=True, slots=True)
class Seen:
    """What one replay saw.

    Attributes:
        story: Each event change: what, of which class.
        boxes: Each track's box and score, by frame and track.
    """

    story: tuple[tuple[str, str], ...]
    boxes: Mapping[Place, tuple[Box, float]]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two replays agree.

    Attributes:
        is_same_story: The same events, in the same order.
        boxes: How many boxes there are in either.
        shared: How many of them both have.
        least_overlap: Of a shared box with its other, 0.0 to 1.0; 0.0 also if none is shared.
        most_score_apart: Between their scores.
    """

    is_same_story: bool
    boxes: int
    shared: int
    least_overlap: float
    most_score_apart: float

    @property
    def holds(self) -> bool:
        """Whether both saw the same, and saw something."""
        return (
            self.is_same_story
            and self.shared >= LEAST_SHARED * self.boxes
            and self.least_overlap >= LEAST_OVERLAP
            and self.most_score_apart <= MOST_SCORE_APART
        )


def seen_of(event_log: str, tracks: str) -> Seen:
    """Return what a replay's files say.

    Args:
        event_log: One JSON record a line.
        tracks: Lines of frame, track, left, top, width, height, score.
    """
    records = [json.loads(line) for line in event_log.splitlines()]
    story = tuple((str(record["type"]), str(record["label"])) for record in records)
    boxes = {}
    for line in tracks.splitlines():
        frame, track, left, top, width, height, score, *_ = map(float, line.split(","))
        box = Box(left, top, left + width, top + height)
        boxes[int(frame), int(track)] = (box, score)
    return Seen(story, boxes)


def agreement_of(one: Seen, other: Seen) -> Agreement:
    """Return how far two replays agree."""
    shared = one.boxes.keys() & other.boxes.keys()
    overlaps = [one.boxes[place][0].iou(other.boxes[place][0]) for place in shared]
    apart = [abs(one.boxes[place][1] - other.boxes[place][1]) for place in shared]
    return Agreement(
        is_same_story=one.story == other.story,
        boxes=len(one.boxes.keys() | other.boxes.keys()),
        shared=len(shared),
        least_overlap=min(overlaps, default=0.0),
        most_score_apart=max(apart, default=0.0),
    )
