"""What the camera said, held against what is true in the scene. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from camera_app.clock import seconds
from camera_app.demo.film import Visit
from camera_app.demo.scene import FPS
from camera_app.values import Box, Event

MIN_VISIBILITY = 0.5
MIN_IOU = 0.5

BoxesByFrame = Mapping[int, Sequence[Box]]


@dataclass(frozen=True, slots=True)
class VisitVerdict:
    """How one visit was seen.

    Attributes:
        visit: The visit as it really was.
        frames: Frames that show at least half of the person.
        found: Those of them in which a track lies on the person.
        events: Events that are about this visit; one is right.
    """

    visit: Visit
    frames: int
    found: int
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the whole scene was seen.

    Attributes:
        visits: Each visit, in order.
        stray_events: Events that are about nobody.
    """

    visits: tuple[VisitVerdict, ...]
    stray_events: tuple[Event, ...]

    @property
    def recall(self) -> float:
        """Share of the frames with at least half a person in which the person was found."""
        return sum(v.found for v in self.visits) / sum(v.frames for v in self.visits)

    @property
    def is_right(self) -> bool:
        """Each visit made one event, and nothing else made any."""
        return not self.stray_events and all(len(v.events) == 1 for v in self.visits)


def judge(visits: Sequence[Visit], tracks: BoxesByFrame, events: Iterable[Event]) -> Verdict:
    """Hold tracks and events against the truth.

    Args:
        visits: The truth.
        tracks: Boxes of the tracks that were seen, by frame index from 0.
        events: Each event as it was at its end.
    """
    found = _found(visits, tracks)
    by_visit: dict[int | None, list[Event]] = {}
    for event in events:
        by_visit.setdefault(_visit_of(event, visits), []).append(event)
    return Verdict(
        tuple(
            VisitVerdict(
                visit,
                frames=len(_clear_frames(visit)),
                found=len(_clear_frames(visit) & found[visit.number]),
                events=tuple(by_visit.get(visit.number, ())),
            )
            for visit in visits
        ),
        stray_events=tuple(by_visit.get(None, ())),
    )


def _clear_frames(visit: Visit) -> set[int]:
    return {index for index, share in visit.visibility.items() if share >= MIN_VISIBILITY}


def _found(visits: Sequence[Visit], tracks: BoxesByFrame) -> dict[int, set[int]]:
    """Return, by visit, the frames in which a track lies on the person."""
    found: dict[int, set[int]] = {visit.number: set() for visit in visits}
    for index, boxes in tracks.items():
        true_boxes = {visit.number: visit.boxes[index] for visit in visits if index in visit.boxes}
        for number in _matched(true_boxes, boxes):
            found[number].add(index)
    return found


def _matched(true_boxes: Mapping[int, Box], boxes: Sequence[Box]) -> set[int]:
    """Return the visits that a box lies on; a box counts for one visit, the best pairs first."""
    pairs = sorted(
        (
            (true.iou(box), number, n)
            for number, true in true_boxes.items()
            for n, box in enumerate(boxes)
        ),
        reverse=True,
    )
    found: set[int] = set()
    used: set[int] = set()
    for share, number, box_number in pairs:
        if share >= MIN_IOU and number not in found and box_number not in used:
            found.add(number)
            used.add(box_number)
    return found


def _visit_of(event: Event, visits: Sequence[Visit]) -> int | None:
    """Return the visit that an event's best moment shows."""
    index = round(seconds(event.best.at_ns) * FPS)
    shares = [(v.boxes[index].iou(event.best.box), v.number) for v in visits if index in v.boxes]
    share, number = max(shares, default=(0.0, 0))
    return number if share >= MIN_IOU else None


def read_tracks(mot_text: str) -> dict[int, list[Box]]:
    """Return the boxes of a MOTChallenge file by frame index from 0."""
    boxes: dict[int, list[Box]] = {}
    for line in mot_text.splitlines():
        frame, _, left, top, width, height = (float(n) for n in line.split(",")[:6])
        box = Box(left, top, left + width, top + height)
        boxes.setdefault(int(frame) - 1, []).append(box)
    return boxes
