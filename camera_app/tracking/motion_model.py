"""Where tracked objects are believed to be at a given moment: a Kalman filter, a column a track.

The filter of every track rests at its last detection; a prediction is computed from there for any
later moment and changes nothing. So it does not matter how many frames came in between, and the
same scene at 10 and at 3 frames a second moves alike.

Position follows a constant velocity that fades, size a random walk. Noise is measured in sizes of
the object itself, so one set of numbers serves near and far objects, and both axes share one
covariance. Only elementwise arithmetic is used: its results are the same on every machine, which
is not promised of matrix products or exponentials.

Which track a detection belongs to, and which tracks live, is not decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

Boxes = Floats
"""Boxes as one array (4, n), pixels: rows left, top, right, bottom."""

# Variances are in squared widths or heights of the object.
START_SPEED_VARIANCE = 0.7  # (sizes / s)^2, of a track that was seen once
SPEED_DRIFT = 0.3  # (sizes / s)^2 a second: how fast walkers turn and stop
POSITION_NOISE = 0.0025  # of a confident detection's centre
SIZE_NOISE = 0.015  # of a confident detection's width and height
SIZE_DRIFT = 0.02  # sizes^2 a second: how fast a box grows, shrinks, changes shape
FADE_S = 4.0  # an unseen object has gone at most this many seconds' way at its last speed

# Rows of the state, one column a track. The first three are pairs: across, down.
_CENTRE = slice(0, 2)
_VELOCITY = slice(2, 4)
_SIDES = slice(4, 6)
_VARIANCES = slice(6, 10)
_POSITION, _CROSS, _SPEED, _SIZE, _ROWS = 6, 7, 8, 9, 10


def centres_and_sides(boxes: Boxes) -> tuple[Floats, Floats]:
    """Return the middles (2, n) and the widths and heights (2, n)."""
    return (boxes[:2] + boxes[2:]) * 0.5, boxes[2:] - boxes[:2]


def boxes_around(centre: Floats, sides: Floats, factor: Floats | float = 1.0) -> Boxes:
    """Return boxes with these middles, their sides multiplied."""
    half = sides * (factor * 0.5)
    return np.concatenate((centre - half, centre + half))


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is believed of every track at one moment.

    Attributes:
        at_ns: The moment.
        age_s: Time since the track's last detection, (tracks,).
        centre: Pixels, (2, tracks): across, down.
        velocity: Pixels a second, (2, tracks).
        sides: Width and height in pixels, (2, tracks).
    """

    at_ns: int
    age_s: Floats
    centre: Floats
    velocity: Floats
    sides: Floats

    def boxes(self, factor: Floats | float = 1.0) -> Boxes:
        """Return where the tracks are, blown up about their middles."""
        return boxes_around(self.centre, self.sides, factor)


class MotionModel:
    """The filters of all living tracks, in the order in which they were started.

    Belongs to the one tracker that made it; its columns run parallel to that tracker's own.
    """

    def __init__(self) -> None:
        self._state: Floats = np.zeros((_ROWS, 0))
        self._seen_ns: Integers = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._seen_ns)

    def predict(self, at_ns: int) -> Prediction:
        """Return what is believed at a moment not earlier than any correction."""
        age_s = np.asarray((at_ns - self._seen_ns) * 1e-9, np.float64)
        fade = FADE_S / (FADE_S + age_s)
        velocity = self._state[_VELOCITY] * fade
        centre = self._state[_CENTRE] + velocity * age_s
        return Prediction(at_ns, age_s, centre, velocity * fade, self._state[_SIDES])

    def correct(self, columns: Integers, believed: Prediction, boxes: Boxes, noise: Floats) -> None:
        """Draw tracks toward the detections that they were given.

        Args:
            columns: Which tracks, each at most once, (n,).
            believed: What `predict` says of all tracks for the moment of the detections.
            boxes: The detection of each of these tracks, (4, n).
            noise: Factor on the variance of each detection, (n,); 1.0 for a confident one.
        """
        position, cross, speed, size = _spread(
            self._state[_VARIANCES].take(columns, axis=1), believed.age_s[columns]
        )
        centre, sides = centres_and_sides(boxes)
        old_centre = believed.centre.take(columns, axis=1)
        old_sides = believed.sides.take(columns, axis=1)
        off = centre - old_centre
        certainty = 1.0 / (position + POSITION_NOISE * noise)
        gain, speed_gain = position * certainty, cross * certainty
        size_gain = size / (size + SIZE_NOISE * noise)
        rest = 1.0 - gain
        new = np.empty((_ROWS, len(columns)))
        new[_CENTRE] = old_centre + gain * off
        new[_VELOCITY] = believed.velocity.take(columns, axis=1) + speed_gain * off
        new[_SIDES] = old_sides + size_gain * (sides - old_sides)
        new[_POSITION] = rest * position
        new[_CROSS] = rest * cross
        new[_SPEED] = speed - speed_gain * cross
        new[_SIZE] = size - size_gain * size
        self._state[:, columns] = new
        self._seen_ns[columns] = believed.at_ns

    def start(self, boxes: Boxes, at_ns: int) -> None:
        """Add tracks at these boxes, at rest, after the ones that are there."""
        fresh = np.zeros((_ROWS, boxes.shape[1]))
        fresh[_CENTRE], fresh[_SIDES] = centres_and_sides(boxes)
        fresh[_VARIANCES] = [[POSITION_NOISE], [0.0], [START_SPEED_VARIANCE], [SIZE_NOISE]]
        self._state = np.concatenate((self._state, fresh), axis=1)
        self._seen_ns = np.concatenate((self._seen_ns, np.full(boxes.shape[1], at_ns)))

    def keep(self, columns: Flags) -> None:
        """Forget all tracks but these."""
        self._state = self._state[:, columns]
        self._seen_ns = self._seen_ns[columns]


def _spread(variances: Floats, age_s: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the variances of position, position with speed, speed and size after a while.

    Source:
        Constant velocity driven by white acceleration, integrated over the whole while.
    """
    position, cross, speed, size = variances
    drift = SPEED_DRIFT * age_s
    return (
        position + age_s * (2.0 * cross + age_s * (speed + drift * (1.0 / 3.0))),
        cross + age_s * (speed + drift * 0.5),
        speed + drift,
        size + SIZE_DRIFT * age_s,
    )
