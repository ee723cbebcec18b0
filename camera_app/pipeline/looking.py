"""Which regions of a frame a network is shown, if any. Pure.

A small network sees a whole frame coarsely. Where something moves or is followed, a crop shows it
more detail at the same cost; so crops are taken where they show clearly more than the whole frame
would, and the whole frame now and then, for what has not moved yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from camera_app.clock import nanoseconds, seconds
from camera_app.config import MotionSettings, RegionSettings
from camera_app.pipeline.worth import HasRule, worth_of
from camera_app.scheduling.load import Worth
from camera_app.values import Box, Motion, Region, Size, Track, TrackState

MIN_GAIN = 1.5  # a crop must show at least this much more detail than the whole frame
SURE_SCORE = 0.4  # of the last detection, from which on a track needs no second look
MOVING_SHARE_S = 0.05  # a track that moves this share of its size in a second is a moving one


class ShedReason(StrEnum):
    """Why nothing looked at a frame."""

    STILL = "still"  # nothing moves, and nothing is in doubt
    BUSY = "busy"  # a newer frame came before there was time for this one
    FAILED = "failed"  # the network could not answer
    LATE = "late"  # it would have been answered too late to be of use
    REPLACED = "replaced"  # a newer frame was waiting, and nothing of this one had begun
    OVERLOAD = "overload"  # more was wanted than the devices can do, and this was worth least
    NO_DEVICE = "no_device"  # no device was left that could look
    PAUSED = "paused"  # the owner switched detection off
    STOPPED = "stopped"  # the camera was being switched off


@dataclass(frozen=True, slots=True)
class LookPlan:
    """What is to be looked at in one frame.

    Attributes:
        regions: The regions; empty when the frame is not looked at.
        shed: Why not, if so.
        worths: What each region is worth.
    """

    regions: tuple[Region, ...]
    shed: ShedReason | None = None
    worths: tuple[Worth, ...] = ()


STILL = LookPlan((), ShedReason.STILL)


class Looker:
    """Decides, frame by frame, where to look.

    Args:
        motion: When a frame needs a network.
        regions: How crops are made.
        input_size: What the network is shown is scaled to this.
        has_rule: Tells the classes that a rule of the owner's waits for.
    """

    def __init__(
        self,
        motion: MotionSettings,
        regions: RegionSettings,
        input_size: Size,
        has_rule: HasRule = lambda _label: False,
    ) -> None:
        self._regions = regions
        self._input_size = input_size
        self._has_rule = has_rule
        self._recheck_ns = nanoseconds(motion.recheck_s)
        self._whole_every_ns = nanoseconds(regions.whole_every_s)
        self._whole_ns: int | None = None  # when the whole frame was last looked at
        self._must_be_whole = True  # crops would be guesses: nothing is known yet, or too little

    def note_concluded(self, *, has_cut: bool) -> None:
        """Take note that a look was concluded.

        Args:
            has_cut: A crop cut an object in two; the next frame is looked at whole.
        """
        self._must_be_whole = has_cut

    def note_given_up(self) -> None:
        """Take note that what was planned was not looked at: the next frame is looked at whole.

        Without this, a scene that falls still just then would not be looked at again until the
        time of its next recheck.
        """
        self._whole_ns = None

    def still_until_ns(self, tracks: Sequence[Track]) -> int:
        """Return until when a frame in which nothing moves is not looked at; 0: it may be.

        Args:
            tracks: The tracks as far as they are known.
        """
        if self._whole_ns is None or any(is_in_doubt(track) for track in tracks):
            return 0
        return self._whole_ns + self._recheck_ns

    def plan(
        self, at_ns: int, size: Size, motion: Motion | None, tracks: Sequence[Track]
    ) -> LookPlan:
        """Decide about one frame.

        Args:
            at_ns: Its capture time.
            size: Its size.
            motion: What moves in it; None when the motion gate is off.
            tracks: The tracks as far as they are known.
        """
        plan = self._plan(at_ns, size, motion, tracks)
        if plan.shed is not None:
            return plan
        moving = () if motion is None else motion.boxes
        followed = [
            (_expected(track, at_ns), track.label, is_in_doubt(track) or _moves(track))
            for track in tracks
        ]
        worths = tuple(
            worth_of(region.box, moving, followed, self._has_rule) for region in plan.regions
        )
        return replace(plan, worths=worths)

    def _plan(
        self, at_ns: int, size: Size, motion: Motion | None, tracks: Sequence[Track]
    ) -> LookPlan:
        if motion is None or motion.is_scene_change or self._is_due(at_ns, self._recheck_ns):
            return self._look_at_whole(at_ns, size)
        if not motion.boxes and not any(is_in_doubt(track) for track in tracks):
            return STILL
        if (
            self._must_be_whole
            or self._regions.mode == "whole"
            or self._is_due(at_ns, self._whole_every_ns)
        ):
            return self._look_at_whole(at_ns, size)
        crops = self._crops(size, _interest(at_ns, motion, tracks))
        return LookPlan(crops) if crops else self._look_at_whole(at_ns, size)

    def _is_due(self, at_ns: int, every_ns: int) -> bool:
        return self._whole_ns is None or at_ns - self._whole_ns >= every_ns

    def _look_at_whole(self, at_ns: int, size: Size) -> LookPlan:
        self._whole_ns = at_ns
        return LookPlan((Region.whole(size),))

    def _crops(self, size: Size, boxes: Iterable[Box]) -> tuple[Region, ...]:
        """Return crops around the boxes; none when the whole frame would serve as well."""
        margin = self._regions.margin_share
        clusters = merge_overlapping([grown(box, margin).clipped(size) for box in boxes])
        crops = [self._crop_around(cluster, size) for cluster in clusters if cluster.area > 0]
        merged = merge_overlapping([crop.box for crop in crops])
        if len(merged) != len(crops):
            crops = [self._crop_around(box, size) for box in merged]
        if len(crops) > self._regions.max_per_frame:
            return ()
        if any(_gain(crop, size) < MIN_GAIN for crop in crops):
            return ()
        return tuple(sorted(crops, key=lambda crop: (crop.y, crop.x)))

    def _crop_around(self, box: Box, size: Size) -> Region:
        smallest = max(self._input_size.width, self._input_size.height) / self._regions.max_zoom
        side = max(box.width, box.height, smallest)
        width, height = min(side, size.width), min(side, size.height)
        x = min(max(box.centre.x - width / 2, 0.0), size.width - width)
        y = min(max(box.centre.y - height / 2, 0.0), size.height - height)
        return even_region(Box(x, y, x + width, y + height), size)


def is_in_doubt(track: Track) -> bool:
    """Tell whether another look could change what is believed of a track.

    A low score may be a thing that stands where somebody has just left: looked at again, it does
    not hold; believed without a look, it would keep an event open.
    """
    return track.state is not TrackState.CONFIRMED or track.score < SURE_SCORE


def grown(box: Box, share: float) -> Box:
    """Return a box with `share` of its longer side added on every side."""
    room = share * max(box.width, box.height)
    return Box(box.left - room, box.top - room, box.right + room, box.bottom + room)


def merge_overlapping(boxes: Sequence[Box]) -> list[Box]:
    """Return boxes of which no two overlap, around all that was given."""
    merged: list[Box] = []
    for box in boxes:
        current = box
        while touching := [other for other in merged if other.intersection(current) > 0]:
            for other in touching:
                merged.remove(other)
                current = current.union(other)
        merged.append(current)
    return merged


def even_region(box: Box, size: Size) -> Region:
    """Return the smallest even region around a box, inside a frame of this size."""
    right = min(int(-(-box.right // 2) * 2), size.width & ~1)
    bottom = min(int(-(-box.bottom // 2) * 2), size.height & ~1)
    x, y = int(box.left) & ~1, int(box.top) & ~1
    return Region(x, y, right - x, bottom - y)


def _gain(crop: Region, size: Size) -> float:
    return max(size.width, size.height) / max(crop.width, crop.height)


def _interest(at_ns: int, motion: Motion, tracks: Iterable[Track]) -> list[Box]:
    """Return what is to be seen: what moves, what is in doubt, and all of whom a motion touches.

    A waving hand moves, its owner stands still: a crop of the hand alone would cut the person.
    """
    expected = [(track, _expected(track, at_ns)) for track in tracks]
    wanted = [
        box
        for track, box in expected
        if is_in_doubt(track) or _moves(track) or any(box.intersection(m) > 0 for m in motion.boxes)
    ]
    return [*motion.boxes, *wanted]


def _moves(track: Track) -> bool:
    speed = abs(track.velocity_x_px_s) + abs(track.velocity_y_px_s)
    return speed >= MOVING_SHARE_S * max(track.box.width, track.box.height)


def _expected(track: Track, at_ns: int) -> Box:
    """Return where a track's box is by now, if it goes on as it went."""
    age_s = min(seconds(max(0, at_ns - track.last_seen_ns)), 1.0)
    dx, dy = track.velocity_x_px_s * age_s, track.velocity_y_px_s * age_s
    box = track.box
    return Box(box.left + dx, box.top + dy, box.right + dx, box.bottom + dy)
