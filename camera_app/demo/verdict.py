"""What the camera made of the scene, held against what is true in it. Pure.

Three questions for each class, in the order in which a frame goes through the camera: was it found
where a network looked, was it followed, was it reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from camera_app.clock import seconds
from camera_app.demo.film import Visit
from camera_app.demo.scene import FACE, FPS, PERSON
from camera_app.values import Box, Event, Observation, Track

MIN_VISIBILITY = 0.5
MIN_IOU = 0.5
MIN_COVERED = 0.9  # of a box inside a region makes that a look at it


@dataclass(frozen=True, slots=True)
class Standard:
    """What a class must reach.

    Attributes:
        recall: Least share of the frames that show it in which it is tracked.
        wrong_share: Most wrong boxes among the tracked ones.
    """

    recall: float
    wrong_share: float


STANDARDS = {PERSON: Standard(0.9, 0.1), FACE: Standard(0.8, 0.1)}


@dataclass(frozen=True, slots=True)
class FrameReport:
    """What the camera made of one frame.

    Attributes:
        observation: What the networks found; None if nothing looked.
        tracks: Those that can be seen in it.
    """

    observation: Observation | None
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class VisitVerdict:
    """How one visit was seen. Counted are frames that show at least half of who comes.

    Attributes:
        visit: The visit as it really was.
        looks: Frames in which a network looked where they are.
        found: Those of them in which it found them.
        frames: All such frames.
        tracked: Those of them in which a track lies on them.
        events: Events that are about this visit; one is right.
    """

    visit: Visit
    looks: int
    found: int
    frames: int
    tracked: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class BoxCount:
    """Boxes of one class in all frames.

    Attributes:
        right: On somebody; one for each of them.
        wrong: On nobody, or a second one. What lies on somebody of whom less than half is to be
            seen is neither.
    """

    right: int
    wrong: int

    @property
    def wrong_share(self) -> float:
        return self.wrong / max(1, self.right + self.wrong)


@dataclass(frozen=True, slots=True)
class ClassVerdict:
    """How one class was seen.

    Attributes:
        label: The class.
        visits: Each visit, in order.
        found: Boxes that networks gave.
        tracked: Boxes of tracks.
        stray_events: Events that are about nobody.
    """

    label: str
    visits: tuple[VisitVerdict, ...]
    found: BoxCount
    tracked: BoxCount
    stray_events: tuple[Event, ...]

    @property
    def found_recall(self) -> float:
        """Share of the looks at somebody that found them."""
        return _share(sum(v.found for v in self.visits), sum(v.looks for v in self.visits))

    @property
    def recall(self) -> float:
        """Share of the frames with at least half of somebody in which they were tracked."""
        return _share(sum(v.tracked for v in self.visits), sum(v.frames for v in self.visits))

    @property
    def reported(self) -> int:
        """Visits that made exactly one event."""
        return sum(len(v.events) == 1 for v in self.visits)

    @property
    def is_right(self) -> bool:
        """Each visit made one event, nothing else made any, and the standard is met."""
        standard = STANDARDS[self.label]
        return (
            not self.stray_events
            and self.reported == len(self.visits)
            and self.recall >= standard.recall
            and self.tracked.wrong_share <= standard.wrong_share
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the whole scene was seen, by class."""

    classes: tuple[ClassVerdict, ...]

    @property
    def is_right(self) -> bool:
        return all(one.is_right for one in self.classes)


def judge(
    visits: Sequence[Visit],
    reports: Mapping[int, FrameReport],
    events: Iterable[Event],
    *,
    labels: Sequence[str],
    min_score: float,
) -> Verdict:
    """Hold what was found, tracked and reported against the truth.

    Args:
        visits: The truth, of all classes.
        reports: What was made of each frame, by frame index from 0.
        events: Each event as it was at its end.
        labels: Classes to judge.
        min_score: What the networks gave less for does not count as found.
    """
    ended = list(events)
    return Verdict(
        tuple(
            _judge_class(
                label,
                [visit for visit in visits if visit.label == label],
                reports,
                [event for event in ended if event.label == label],
                min_score,
            )
            for label in labels
        )
    )


def _judge_class(
    label: str,
    visits: Sequence[Visit],
    reports: Mapping[int, FrameReport],
    events: Sequence[Event],
    min_score: float,
) -> ClassVerdict:
    found, tracked = _Tally(visits), _Tally(visits)
    looks: set[tuple[int, int]] = set()
    for index, report in reports.items():
        tracked.take(index, [track.box for track in report.tracks if track.label == label])
        if report.observation is not None:
            looks |= _looked_at(index, visits, report.observation.looked_at)
            found.take(index, _boxes_of(label, report.observation, min_score))
    by_visit: dict[int | None, list[Event]] = {}
    for event in events:
        by_visit.setdefault(_visit_of(event, visits), []).append(event)
    return ClassVerdict(
        label,
        tuple(
            VisitVerdict(
                visit,
                looks=len(clear & looks),
                found=len(clear & looks & found.places),
                frames=len(clear),
                tracked=len(clear & tracked.places),
                events=tuple(by_visit.get(visit.number, ())),
            )
            for visit in visits
            for clear in [{(visit.number, index) for index in _clear_frames(visit)}]
        ),
        found.count,
        tracked.count,
        stray_events=tuple(by_visit.get(None, ())),
    )


class _Tally:
    """Boxes of one kind, frame after frame.

    Args:
        visits: The truth.
    """

    def __init__(self, visits: Sequence[Visit]) -> None:
        self._visits = visits
        self._wrong = 0
        self.places: set[tuple[int, int]] = set()  # visit number and frame index of each right one

    def take(self, index: int, boxes: Sequence[Box]) -> None:
        """Take the boxes of one frame."""
        here = [visit for visit in self._visits if index in visit.boxes]
        pairs = _matched({visit.number: visit.boxes[index] for visit in here}, boxes)
        self.places |= {(number, index) for number in pairs}
        dim = [v.boxes[index] for v in here if v.visibility[index] < MIN_VISIBILITY]
        left = [box for n, box in enumerate(boxes) if n not in pairs.values()]
        self._wrong += sum(not any(_lies_on(box, other) for other in dim) for box in left)

    @property
    def count(self) -> BoxCount:
        return BoxCount(len(self.places), self._wrong)


def _boxes_of(label: str, observation: Observation, min_score: float) -> list[Box]:
    return [
        one.box for one in observation.detections if one.label == label and one.score >= min_score
    ]


def _looked_at(index: int, visits: Sequence[Visit], regions: Sequence[Box]) -> set[tuple[int, int]]:
    """Return visit number and frame index of those whom a region shows."""
    return {
        (visit.number, index)
        for visit in visits
        if index in visit.boxes
        for box in [visit.boxes[index]]
        if any(region.intersection(box) >= MIN_COVERED * box.area for region in regions)
    }


def _clear_frames(visit: Visit) -> set[int]:
    return {index for index, share in visit.visibility.items() if share >= MIN_VISIBILITY}


def _lies_on(box: Box, other: Box) -> bool:
    return box.intersection(other) >= MIN_IOU * box.area


def _matched(true_boxes: Mapping[int, Box], boxes: Sequence[Box]) -> dict[int, int]:
    """Return which box lies on which visit; a box counts for one visit, the best pairs first."""
    pairs = sorted(
        (
            (true.iou(box), number, n)
            for number, true in true_boxes.items()
            for n, box in enumerate(boxes)
        ),
        reverse=True,
    )
    found: dict[int, int] = {}
    for share, number, n in pairs:
        if share >= MIN_IOU and number not in found and n not in found.values():
            found[number] = n
    return found


def _visit_of(event: Event, visits: Sequence[Visit]) -> int | None:
    """Return the visit that an event's best moment shows."""
    index = round(seconds(event.best.at_ns) * FPS)
    shares = [(v.boxes[index].iou(event.best.box), v.number) for v in visits if index in v.boxes]
    share, number = max(shares, default=(0.0, 0))
    return number if share >= MIN_IOU else None


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
