"""Weak sights before a track began: they tell when an object really appeared.

Whoever walks in is seen dimly at first, a head at the edge, with scores too low to follow. Once a
track has begun, the chain of weak detections that leads up to it dates its event back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from camera_app.clock import nanoseconds
from camera_app.values import Detection, Track

WEAK_SCORE = 0.2  # below it a detection is noise
LOOK_BACK_S = 2.0  # no chain is longer
LINK_S = 0.6  # nor has it a longer hole
LINK_IOU = 0.3  # two sights that overlap this much are of one object


@dataclass(frozen=True, slots=True)
class _Sights:
    """What one frame showed."""

    at_ns: int
    detections: tuple[Detection, ...]


class Precursors:
    """Remembers the detections of the last moments."""

    def __init__(self) -> None:
        self._recent: deque[_Sights] = deque()

    def note(self, at_ns: int, detections: Iterable[Detection]) -> None:
        """Take the detections of one frame, weak ones too."""
        while self._recent and at_ns - self._recent[0].at_ns > nanoseconds(LOOK_BACK_S):
            self._recent.popleft()
        credible = tuple(one for one in detections if one.score >= WEAK_SCORE)
        if credible:
            self._recent.append(_Sights(at_ns, credible))

    def first_sight_ns(self, track: Track) -> int:
        """Return when the object of a track that has just begun was first seen, however weakly."""
        box, earliest_ns = track.box, track.first_seen_ns
        for sights in reversed(self._recent):
            if sights.at_ns >= track.first_seen_ns:
                continue
            if earliest_ns - sights.at_ns > nanoseconds(LINK_S):
                break
            linked = [
                one
                for one in sights.detections
                if one.label == track.label and one.box.iou(box) >= LINK_IOU
            ]
            if linked:
                box, earliest_ns = max(linked, key=lambda one: one.score).box, sights.at_ns
        return earliest_ns
