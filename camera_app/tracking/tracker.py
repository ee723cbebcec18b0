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

# How pairs of a track and a detection are valued; found on pedestrians in groups and on single
# people close by, at 10, 5 and 3.3 frames a second. Most may be off by a fifth and little changes;
# a reach below 0.95 loses people who come out from behind something, and identities in a crowd
# hang on few meetings, so a known weakness is that IDF1 jumps by several points when one turns out
# otherwise.
NEARNESS_SHARE = 0.6  # of a pair's worth: how near the middles are; the rest is the overlap
REACH = 1.03  # sizes between the middles at which nearness has come down to nothing
MARGIN_PER_S = 0.3  # each second unseen, a track's box is blown up by this share
MARGIN_LIMIT = 1.0
LEAST_WORTH = 0.02  # what makes a pair at all, first pass
LEAST_WORTH_LOW = 0.4  # the same for low scores, which are often parts or neighbours
LOW_SCORE_AGE_S = 0.35  # they go on with a track, but bring none back that was unseen for longer
AGE_COST = 0.075  # a track seen lately goes before one unseen: worth less for each second
AGE_LIMIT_S = 2.0  # older ones cost no more
OTHER_LABEL_COST = 0.4  # a class that flickers is followed, but its own class goes first
LOW_SCORE_NOISE = 2.5  # the boxes of low scores are taken less exactly
SHARED_NOISE = 6.0  # and those of boxes that may be of two objects, one of them unfound
SHARED_WORTH = 0.4  # an unfound track this close to another's box may be inside it
NEW_OVERLAP = 0.25  # a detection that overlaps a track seen just now is no new object
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

    def at(self, places: Integers) -> _Found:
        return _Found(self.boxes.take(places, axis=1), self.scores[places], self.labels[places])


_NOTHING_FOUND = _Found(np.zeros((4, 0)), np.zeros(0), np.zeros(0, np.int64))
_fields_of = attrgetter("score", "box.left", "box.top", "box.right", "box.bottom", "label")


class Tracker:
    """Follows the objects before one camera.

    Belongs to the thread that calls it. Equal observations give equal tracks, on every machine.

    Args:
        settings: What it goes by.
        kinds: Classes that may be taken for each other, such as those of one network: an object
            never turns from one kind into another, as a person's track must not go on with their
            face. A class in none of them is of one kind with all others like it.
    """

    def __init__(self, settings: TrackingSettings, kinds: Sequence[Sequence[str]] = ()) -> None:
        self._settings = settings
        self._kinds = {label: number for number, kind in enumerate(kinds) for label in kind}
        self._kind_of_label: list[int] = []  # by label number
        self._least_patience_s = min(settings.tentative_s, settings.lost_s)
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
        self._note_seen(believed, found.at(places), columns, noise)
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
                self._kind_of_label.append(self._kinds.get(label, -1))
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
        overlap = iou(found.boxes.take(better, axis=1), found.boxes.take(worse, axis=1))
        same = overlap > self._settings.merge_overlap
        if not same.any():
            return found
        kept = np.ones(len(found), np.bool_)
        for one, other in zip(better[same].tolist(), worse[same].tolist(), strict=True):
            kept[other] &= not kept[one]  # pairs come best first: `one` is settled by now
        return found.at(kept.nonzero()[0])

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
        if free.any():
            is_shared = np.zeros(len(found), np.bool_)
            is_shared[places[free[columns] & (worth > SHARED_WORTH)]] = True
            noise[is_shared[places[chosen]]] *= SHARED_NOISE
        return columns[chosen], places[chosen], noise

    def _pairs(self, believed: Prediction, found: _Found) -> tuple[Integers, Integers, Floats]:
        """Return the pairs of tracks and detections that come near, and what each is worth."""
        tracks = believed.boxes(1.0 + np.minimum(MARGIN_PER_S * believed.age_s, MARGIN_LIMIT))
        columns, places = self._of_one_kind(found, *touching(tracks, found.boxes))
        boxes = found.boxes.take(places, axis=1)
        worth = NEARNESS_SHARE * _nearness(believed, columns, boxes)
        worth += (1.0 - NEARNESS_SHARE) * iou(tracks.take(columns, axis=1), boxes)
        worth -= AGE_COST * np.minimum(believed.age_s, AGE_LIMIT_S)[columns]
        is_other = self._facts[_LABEL][columns] != found.labels[places]
        worth -= OTHER_LABEL_COST * is_other
        return columns, places, worth

    def _of_one_kind(
        self, found: _Found, columns: Integers, places: Integers
    ) -> tuple[Integers, Integers]:
        """Return the pairs whose track and detection may be one object by their classes."""
        if len(set(self._kind_of_label)) < 2:
            return columns, places
        kinds = np.array(self._kind_of_label)
        same = kinds[self._facts[_LABEL][columns]] == kinds[found.labels[places]]
        return columns[same], places[same]

    # -- the life of tracks

    def _note_missed(self, believed: Prediction, observation: Observation, seen: Integers) -> None:
        """Count time as missed for tracks that were looked for and not found."""
        if len(seen) == len(self._motion):
            return
        looked = _looked_for(believed, observation)
        looked[seen] = False
        gap_s = (observation.at_ns - self._facts[_LOOKED_NS]) * 1e-9
        self._measures[_MISSED_S] += np.minimum(gap_s, LONGEST_LOOK_GAP_S) * looked
        self._facts[_LOOKED_NS, looked] = observation.at_ns
        states = self._facts[_STATE]
        states[looked & (states == _CONFIRMED)] = _LOST

    def _note_seen(
        self, believed: Prediction, found: _Found, columns: Integers, noise: Floats
    ) -> None:
        if not len(columns):
            return
        self._motion.correct(columns, believed, found.boxes, noise)
        facts, measures = self._facts.take(columns, axis=1), self._measures.take(columns, axis=1)
        self._vote(facts, measures, found.labels, found.scores)
        facts[_HITS] += 1
        facts[_SEEN_NS] = facts[_LOOKED_NS] = believed.at_ns
        measures[_SCORE] = found.scores
        measures[_SCORE_SUM] += found.scores
        measures[_MISSED_S] = 0.0
        self._promote(facts, measures)
        self._facts[:, columns], self._measures[:, columns] = facts, measures

    def _vote(self, facts: Integers, measures: Floats, labels: Integers, scores: Floats) -> None:
        """Let each score speak for its class; the majority's name is the track's."""
        agrees = facts[_LABEL] == labels
        if agrees.all():
            measures[_LABEL_LEAD] += scores
            return
        measures[_LABEL_LEAD] += np.where(agrees, scores, -scores)
        turned = measures[_LABEL_LEAD] < 0.0
        facts[_LABEL, turned] = labels[turned]
        measures[_LABEL_LEAD] = np.abs(measures[_LABEL_LEAD])

    def _promote(self, facts: Integers, measures: Floats) -> None:
        states = facts[_STATE]
        if not (states != _CONFIRMED).any():
            return
        sure = facts[_HITS] >= self._settings.confirm_hits
        sure &= measures[_SCORE_SUM] >= self._settings.confirm_score * facts[_HITS]
        sure |= states == _LOST
        states[sure] = _CONFIRMED

    def _bury(self, at_ns: int) -> None:
        """Forget tracks that were looked for in vain long enough, or not looked for far longer."""
        if not len(self._motion):
            return
        unseen_s = (at_ns - int(self._facts[_SEEN_NS].min())) * 1e-9
        longest_missed_s = float(self._measures[_MISSED_S].max())
        if longest_missed_s < self._least_patience_s and unseen_s < self._settings.unwatched_s:
            return  # as nearly always
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


def visible(tracks: Iterable[Track], at_ns: int, coast_s: float = 0.0) -> tuple[Track, ...]:
    """Return the tracks worth showing: confirmed, and those lost for no longer than a moment.

    By default lost ones are left out: where one is believed to be is right too seldom to count.

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


def _nearness(believed: Prediction, columns: Integers, boxes: Boxes) -> Floats:
    """Return 1 for middles that coincide, falling with the square of their distance to 0.

    The square makes two small distances better than none and a large one: of people who come out
    of a crowd side by side each stays on its side.
    """
    centre, sides = centres_and_sides(boxes)
    mean_sides = (sides + believed.sides.take(columns, axis=1)) * (0.5 * REACH)
    off = (centre - believed.centre.take(columns, axis=1)) / mean_sides
    off *= off
    nearness: Floats = np.maximum(1.0 - off[0] - off[1], 0.0)
    return nearness


def _looked_for(believed: Prediction, observation: Observation) -> Flags:
    """Tell for each track whether a network saw the middle half of where it should be.

    What has walked out of the picture counts as looked for at the edge, or it would never end.
    """
    size = observation.size
    looked = np.zeros(len(believed.age_s), np.bool_)
    if any(_covers(box, size) for box in observation.looked_at):
        return ~looked
    boxes = _inside(believed.boxes(), size)
    left, top, right, bottom = boxes_around(*centres_and_sides(boxes), 0.5)
    for box in observation.looked_at:
        seen = (left >= box.left) & (right <= box.right)
        looked |= seen & (top >= box.top) & (bottom <= box.bottom)
    return looked


def _covers(box: Box, size: Size) -> bool:
    return box.left <= 0 and box.top <= 0 and box.right >= size.width and box.bottom >= size.height
