"""One camera's tracker: observations in, living tracks out; who lives, who is new, who is gone.

All times are seconds between capture times, never numbers of frames, so frames may be shed.
Nothing depends on the order of the detections in an observation. Where tracks move is the motion
model's business, which pair is best the association's; what tracks mean is the event rules'.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from camera_app.config import TrackingSettings
from camera_app.tracking.association import assign, iou, touching
from camera_app.tracking.motion_model import (
    Boxes,
    Flags,
    Floats,
    Integers,
    MotionModel,
    Prediction,
    boxes_around,
    centres_and_sides,
)
from camera_app.values import Box, Detection, Observation, Size, Track, TrackState

MAX_DETECTIONS = 300
"""What one observation may bring; the lowest scores go first. Bounds time and memory."""

MAX_TRACKS = 600
"""Living tracks; at the limit no new one starts until an old one is over."""

VISIBLE_S = 0.25
"""How long an unseen track is still shown where it is believed to be, in seconds."""

# How pairs of a track and a detection are valued; found on pedestrians in groups and on single
# people close by, at 10, 5 and 3.3 frames a second.
MARGIN = 0.3  # boxes are compared blown up by this share, so near misses count too
MARGIN_PER_S = 0.3  # and by so much more for each second that a track was not seen
MARGIN_LIMIT = 0.9
LEAST_WORTH = 0.1  # overlap of blown-up boxes that makes a pair at all, first pass
LEAST_WORTH_LOW = 0.3  # the same for low scores, which are often parts or neighbours
LOW_SCORE_AGE_S = 1.0  # a low score does not bring back a track unseen for longer
AGE_COST = 0.0  # a track seen lately goes before one unseen: worth less for each second
TENTATIVE_COST = 0.0  # and a confirmed one before a tentative one
OTHER_LABEL_COST = 0.4  # a class that flickers is followed, but its own class goes first
LOW_SCORE_NOISE = 2.0  # the boxes of low scores are taken less exactly
SHARED_NOISE = 8.0  # and those of boxes that may be of two objects, one of them unfound
SHARED_WORTH = 0.3  # an unfound track this close to another's box may be inside it
NEW_OVERLAP = 0.5  # a detection that overlaps a track seen just now is no new object
LONGEST_LOOK_GAP_S = 1.0  # of a longer time between two looks only this much counts as missed

_FAR = 1e9  # pixels; what lies farther out is no box

_TENTATIVE, _CONFIRMED, _LOST = range(3)
_STATES = (TrackState.TENTATIVE, TrackState.CONFIRMED, TrackState.LOST)

# Rows of what is known of the tracks beside their motion, one column a track.
_ID, _STATE, _LABEL, _HITS, _FIRST_NS, _SEEN_NS, _LOOKED_NS = range(7)
_SCORE, _SCORE_SUM, _LABEL_LEAD, _MISSED_S = range(4)


@dataclass(frozen=True, slots=True)
class _Found:
    """The usable detections of one observation, best first.

    Attributes:
        boxes: Pixels, (4, n).
        scores: (n,).
        labels: Numbers of labels, (n,).
    """

    boxes: Boxes
    scores: Floats
    labels: Integers

    def __len__(self) -> int:
        return len(self.scores)

    def at(self, places: Integers | Flags) -> _Found:
        return _Found(self.boxes[:, places], self.scores[places], self.labels[places])


_NOTHING_FOUND = _Found(np.zeros((4, 0)), np.zeros(0), np.zeros(0, np.int64))
_fields_of = attrgetter("score", "box.left", "box.top", "box.right", "box.bottom", "label")


class Tracker:
    """Follows the objects before one camera.

    Belongs to the thread that calls it. Equal observations give equal tracks, on every machine.
    """

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._motion = MotionModel()
        self._facts: Integers = np.zeros((7, 0), np.int64)
        self._measures: Floats = np.zeros((4, 0))
        self._labels: list[str] = []  # names of label numbers, in order of first appearance
        self._label_numbers: dict[str, int] = {}
        self._next_id = 1
        self._at_ns: int | None = None

    def update(self, observation: Observation) -> tuple[Track, ...]:
        """Take one observation in; return all living tracks after it, ordered by number.

        Raises:
            ValueError: The observation is older than the one before it.
        """
        at_ns = observation.at_ns
        if self._at_ns is not None and at_ns < self._at_ns:
            raise ValueError(f"observation of {at_ns} comes after that of {self._at_ns}")
        self._at_ns = at_ns
        found = self._merged(self._read(observation.detections))
        believed = self._motion.predict(at_ns)
        columns, places, noise = self._match(believed, found)
        self._note_missed(believed, observation, columns)
        self._note_seen(found.at(places), columns, noise, at_ns)
        self._bury(at_ns)
        self._start_new(found, places, at_ns)
        return self._tracks(observation.size, at_ns)

    # -- reading detections

    def _read(self, detections: Sequence[Detection]) -> _Found:
        """Return detections as columns in an order that does not depend on how they came.

        What has no area, or a number that is none, is no detection.
        """
        least = self._settings.min_score
        rows = [
            row
            for row in map(_fields_of, detections)
            if row[0] >= least and -_FAR < row[1] < row[3] < _FAR and -_FAR < row[2] < row[4] < _FAR
        ]
        if not rows:
            return _NOTHING_FOUND
        rows.sort(reverse=True)
        *numbers, labels = zip(*rows[:MAX_DETECTIONS], strict=True)
        columns = np.array(numbers)
        return _Found(columns[1:], columns[0], self._numbered(labels))

    def _numbered(self, labels: Iterable[str]) -> Integers:
        numbers = self._label_numbers
        for label in labels:
            if label not in numbers:
                numbers[label] = len(self._labels)
                self._labels.append(label)
        return np.array([numbers[label] for label in labels], np.int64)

    def _merged(self, found: _Found) -> _Found:
        """Leave out what a better detection of the same class already covers."""
        if len(found) < 2:
            return found
        better, worse = touching(found.boxes, found.boxes)
        apart = better < worse
        apart &= found.labels[better] == found.labels[worse]
        better, worse = better[apart], worse[apart]
        if not len(better):
            return found
        overlap = iou(found.boxes[:, better], found.boxes[:, worse])
        same = overlap > self._settings.merge_overlap
        if not same.any():
            return found
        kept = np.ones(len(found), np.bool_)
        for one, other in zip(better[same].tolist(), worse[same].tolist(), strict=True):
            kept[other] &= not kept[one]  # pairs come best first: `one` is settled by now
        return found.at(kept)

    # -- matching

    def _match(self, believed: Prediction, found: _Found) -> tuple[Integers, Integers, Floats]:
        """Return columns of tracks, places of their detections, and how noisy these are."""
        if not len(self._motion) or not len(found):
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, np.zeros(0)
        columns, places, worth = self._pairs(believed, found)
        is_high = found.scores[places] >= self._settings.high_score
        chosen = _assigned(columns, places, worth, is_high & (worth > LEAST_WORTH))
        free = np.ones(len(self._motion), np.bool_)
        free[columns[chosen]] = False
        if not is_high.all():
            may = ~is_high & free[columns] & (worth > LEAST_WORTH_LOW)
            may &= believed.age_s[columns] < LOW_SCORE_AGE_S
            second = _assigned(columns, places, worth, may)
            free[columns[second]] = False
            chosen = np.concatenate((chosen, second))
        noise = np.where(is_high[chosen], 1.0, LOW_SCORE_NOISE)
        is_shared = np.zeros(len(found), np.bool_)
        is_shared[places[free[columns] & (worth > SHARED_WORTH)]] = True
        noise[is_shared[places[chosen]]] *= SHARED_NOISE
        return columns[chosen], places[chosen], noise

    def _pairs(self, believed: Prediction, found: _Found) -> tuple[Integers, Integers, Floats]:
        """Return the pairs of tracks and detections that come near, and what each is worth."""
        margin = 1.0 + np.minimum(MARGIN + MARGIN_PER_S * believed.age_s, MARGIN_LIMIT)
        tracks = believed.boxes(margin)
        detections = boxes_around(*centres_and_sides(found.boxes), 1.0 + MARGIN)
        columns, places = touching(tracks, detections)
        worth = iou(tracks[:, columns], detections[:, places])
        worth = worth - AGE_COST * np.minimum(believed.age_s, 2.0)[columns]
        is_other = self._facts[_LABEL, columns] != found.labels[places]
        worth = worth - OTHER_LABEL_COST * is_other
        worth = worth - TENTATIVE_COST * (self._facts[_STATE, columns] == _TENTATIVE)
        return columns, places, worth

    # -- the life of tracks

    def _note_missed(self, believed: Prediction, observation: Observation, seen: Integers) -> None:
        """Count time as missed for tracks that were looked for and not found."""
        if not len(self._motion):
            return
        looked = _looked_for(believed, observation)
        gap_s = (observation.at_ns - self._facts[_LOOKED_NS]) * 1e-9
        missed = looked.copy()
        missed[seen] = False
        self._measures[_MISSED_S] += np.minimum(gap_s, LONGEST_LOOK_GAP_S) * missed
        self._facts[_LOOKED_NS, looked] = observation.at_ns
        states = self._facts[_STATE]
        states[missed & (states == _CONFIRMED)] = _LOST

    def _note_seen(self, found: _Found, columns: Integers, noise: Floats, at_ns: int) -> None:
        if not len(columns):
            return
        self._motion.correct(columns, found.boxes, noise, at_ns)
        facts, measures = self._facts[:, columns], self._measures[:, columns]
        self._vote(facts, measures, found.labels, found.scores)
        facts[_HITS] += 1
        facts[_SEEN_NS] = at_ns
        facts[_LOOKED_NS] = at_ns
        measures[_SCORE] = found.scores
        measures[_SCORE_SUM] += found.scores
        measures[_MISSED_S] = 0.0
        self._promote(facts, measures)
        self._facts[:, columns], self._measures[:, columns] = facts, measures

    def _vote(self, facts: Integers, measures: Floats, labels: Integers, scores: Floats) -> None:
        """Let each score speak for its class; the majority's name is the track's."""
        agrees = facts[_LABEL] == labels
        measures[_LABEL_LEAD] += np.where(agrees, scores, -scores)
        turned = measures[_LABEL_LEAD] < 0.0
        if turned.any():
            facts[_LABEL, turned] = labels[turned]
            measures[_LABEL_LEAD] = np.abs(measures[_LABEL_LEAD])

    def _promote(self, facts: Integers, measures: Floats) -> None:
        sure = facts[_HITS] >= self._settings.confirm_hits
        sure &= measures[_SCORE_SUM] >= self._settings.confirm_score * facts[_HITS]
        sure |= facts[_STATE] == _LOST
        facts[_STATE, sure] = _CONFIRMED

    def _bury(self, at_ns: int) -> None:
        """Forget tracks that were looked for in vain long enough, or not looked for far longer."""
        if not len(self._motion):
            return
        patience_s = np.where(
            self._facts[_STATE] == _TENTATIVE, self._settings.tentative_s, self._settings.lost_s
        )
        living = self._measures[_MISSED_S] < patience_s
        living &= (at_ns - self._facts[_SEEN_NS]) * 1e-9 < self._settings.unwatched_s
        if living.all():
            return
        self._facts, self._measures = self._facts[:, living], self._measures[:, living]
        self._motion.keep(living)

    def _start_new(self, found: _Found, taken: Integers, at_ns: int) -> None:
        is_new = found.scores >= self._settings.new_track_score
        is_new[taken] = False
        fresh = is_new.nonzero()[0]
        if not len(fresh):
            return
        fresh = self._without_doubles(found, fresh, at_ns)
        fresh = fresh[: MAX_TRACKS - len(self._motion)]
        self._motion.start(found.boxes[:, fresh], at_ns)
        facts = np.zeros((7, len(fresh)), np.int64)
        facts[_ID] = np.arange(self._next_id, self._next_id + len(fresh))
        facts[_LABEL] = found.labels[fresh]
        facts[_HITS] = 1
        facts[[_FIRST_NS, _SEEN_NS, _LOOKED_NS]] = at_ns
        measures = np.zeros((4, len(fresh)))
        measures[[_SCORE, _SCORE_SUM, _LABEL_LEAD]] = found.scores[fresh]
        self._promote(facts, measures)
        self._facts = np.concatenate((self._facts, facts), axis=1)
        self._measures = np.concatenate((self._measures, measures), axis=1)
        self._next_id += len(fresh)

    def _without_doubles(self, found: _Found, fresh: Integers, at_ns: int) -> Integers:
        """Leave out detections that lie on a track of their class that was seen just now."""
        seen = (self._facts[_SEEN_NS] == at_ns).nonzero()[0]
        if not len(seen):
            return fresh
        tracks = self._motion.predict(at_ns).boxes()[:, seen]
        boxes = found.boxes[:, fresh]
        which, column = touching(boxes, tracks)
        double = iou(boxes[:, which], tracks[:, column]) > NEW_OVERLAP
        double &= found.labels[fresh[which]] == self._facts[_LABEL, seen[column]]
        is_double = np.zeros(len(fresh), np.bool_)
        is_double[which[double]] = True
        remaining: Integers = fresh[~is_double]
        return remaining

    # -- handing out

    def _tracks(self, size: Size, at_ns: int) -> tuple[Track, ...]:
        if not len(self._motion):
            return ()
        now = self._motion.predict(at_ns)
        boxes = _inside(now.boxes(), size)
        return tuple(
            map(
                Track,
                self._facts[_ID].tolist(),
                [self._labels[label] for label in self._facts[_LABEL].tolist()],
                map(Box, *boxes.tolist()),
                self._measures[_SCORE].tolist(),
                [_STATES[state] for state in self._facts[_STATE].tolist()],
                self._facts[_FIRST_NS].tolist(),
                self._facts[_SEEN_NS].tolist(),
                self._facts[_HITS].tolist(),
                *now.velocity.tolist(),
            )
        )


def visible(tracks: Iterable[Track], at_ns: int, coast_s: float = VISIBLE_S) -> tuple[Track, ...]:
    """Return the tracks worth showing: confirmed, or lost for no longer than a moment.

    Args:
        tracks: What `Tracker.update` returned.
        at_ns: Capture time of that observation.
        coast_s: How long a lost track is still shown where it is believed to be, in seconds.
    """
    oldest_ns = at_ns - round(coast_s * 1e9)
    return tuple(
        track
        for track in tracks
        if track.state is TrackState.CONFIRMED
        or (track.state is TrackState.LOST and track.last_seen_ns >= oldest_ns)
    )


def _inside(boxes: Boxes, size: Size) -> Boxes:
    """Return the parts of boxes that lie inside the picture; empty at its edge if none does."""
    limits = np.array(((size.width,), (size.height,)) * 2, np.float64)
    return np.minimum(np.maximum(boxes, 0.0), limits)


def _assigned(columns: Integers, places: Integers, worth: Floats, may: Flags) -> Integers:
    candidates = may.nonzero()[0]
    return candidates[assign(columns[candidates], places[candidates], worth[candidates])]


def _looked_for(believed: Prediction, observation: Observation) -> Flags:
    """Tell for each track whether a network saw the middle half of where it should be.

    What has walked out of the picture counts as looked for at the edge, or it would never end.
    """
    size = observation.size
    boxes = _inside(believed.boxes(), size)
    if any(_covers(box, size) for box in observation.looked_at):
        return np.ones(boxes.shape[1], np.bool_)
    left, top, right, bottom = boxes_around(*centres_and_sides(boxes), 0.5)
    looked = np.zeros(boxes.shape[1], np.bool_)
    for box in observation.looked_at:
        seen = (left >= box.left) & (right <= box.right)
        looked |= seen & (top >= box.top) & (bottom <= box.bottom)
    return looked


def _covers(box: Box, size: Size) -> bool:
    return box.left <= 0 and box.top <= 0 and box.right >= size.width and box.bottom >= size.height
