"""What one camera makes of its frames: gate, plan, tracks, events. No thread, no clock.

Whoever drives it (the service live, replay on a virtual clock) asks `plan` for each frame, has
the regions looked at, and hands what was found to `conclude`, in the order of the frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from camera_app.capture import MotionGate
from camera_app.config import CameraSettings, EventSettings
from camera_app.events import LifeCycle, NewId
from camera_app.pipeline.looking import Looker, LookPlan, ShedReason
from camera_app.pipeline.merging import Look, merge_regions, without_cut
from camera_app.pipeline.moving import MotionHold
from camera_app.pipeline.tally import FrameTally
from camera_app.pipeline.worth import rules_of
from camera_app.tracking import Tracker
from camera_app.values import (
    Detection,
    Event,
    EventChange,
    Frame,
    FrameCounts,
    Motion,
    Observation,
    Size,
    Track,
)


class CameraWatch:
    """Follows one camera. Belongs to the one thread that drives it.

    Args:
        name: Name of the camera.
        settings: Its section of the configuration.
        input_size: Input of the network that will look; of the largest, if there are several.
        new_id: Gives an event its name from the wall time of its start.
        labels_by_model: Classes that each network knows; none: there is only one network.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        input_size: Size,
        new_id: NewId,
        labels_by_model: Sequence[Sequence[str]] = (),
    ) -> None:
        self.name = name
        self._gate = MotionGate(settings.motion) if settings.motion.enabled else None
        self._moving = MotionHold(settings.motion.hold_s)
        self._looker = Looker(settings.motion, settings.regions, input_size, rules_of(settings))
        self._labels = frozenset(settings.events.labels)
        self._muted: frozenset[str] = frozenset()
        self._tracking = settings.tracking
        self._labels_by_model = labels_by_model
        self._tracker = Tracker(settings.tracking, labels_by_model)
        self._observation: Observation | None = None
        self._ids_before = 0  # the highest number that trackers before this one gave
        self._highest_id = 0  # and the highest of all
        self._size: Size | None = None
        self._life_cycle = LifeCycle(name, settings.events, settings.zones, new_id, settings.lines)
        self._tracks: tuple[Track, ...] = ()
        self._tally = FrameTally()

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The tracks after the last conclusion."""
        return self._tracks

    @property
    def observation(self) -> Observation | None:
        """What the last conclusion rests on; None before the first."""
        return self._observation

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The events that have started and not ended."""
        return self._life_cycle.open_events

    @property
    def counts(self) -> FrameCounts:
        """The frames so far, by fate; from any thread."""
        return self._tally.counts

    @property
    def has_under_way(self) -> bool:
        """Whether a frame has been taken up whose fate is not known yet."""
        return self._tally.has_under_way

    def is_moving(self, at_ns: int) -> bool | None:
        """Say whether anything moves or did lately; None where no motion gate looks."""
        return None if self._gate is None else self._moving.is_on(at_ns)

    @property
    def still_until_ns(self) -> int:
        """Until when a frame in which nothing moves needs no look; 0: each is to be planned."""
        return 0 if self._gate is None else self._looker.still_until_ns(self._tracks)

    def plan(self, frame: Frame) -> LookPlan:
        """Decide where to look in a frame.

        One that needs no look is shed here. One that does is under way until it is given to
        `conclude` or `give_up`.
        """
        self._tally.begin()
        motion: Motion | None = None
        if self._gate is not None:
            motion = frame.motion or self._gate.look(frame.picture.luma, frame.captured_ns)
            self._moving.note(motion, frame.captured_ns)
        plan = self._looker.plan(frame.captured_ns, frame.size, motion, self._tracks)
        if plan.shed is not None:
            self._tally.shed(plan.shed)
        return plan

    def give_up(self, reason: ShedReason) -> None:
        """Shed the frame that is under way: nothing could look at it."""
        self._tally.shed(reason)
        self._looker.note_given_up()

    def pass_over(self, reason: ShedReason, frames: int) -> None:
        """Count frames that came and were never planned."""
        self._tally.pass_over(reason, frames)

    def conclude(self, frame: Frame, looks: Sequence[Look], wall_ns: int) -> list[EventChange]:
        """Take what was found in a frame; return the event changes it brings.

        Args:
            frame: The frame that was looked at.
            looks: Each region with its detections.
            wall_ns: Wall time of the frame's capture.
        """
        self._tally.look()
        changes = self._begin_anew_if_resized(frame, wall_ns)
        whole = [without_cut(frame.size, look) for look in looks]
        has_cut = any(len(kept) < len(look[1]) for kept, look in zip(whole, looks, strict=True))
        self._looker.note_concluded(has_cut=has_cut)
        detections = self._wanted(merge_regions(whole))
        looked_at = tuple(region.box for region, _ in looks)
        observation = Observation(frame.captured_ns, frame.size, looked_at, detections)
        self._observation = observation
        self._tracks = self._numbered(self._tracker.update(observation))
        return changes + self._life_cycle.update(self._tracks, observation, wall_ns)

    def adjust(self, settings: EventSettings, muted: frozenset[str] = frozenset()) -> None:
        """Go by another threshold from the next look on, and pass some classes over.

        What is followed of those is soon lost, as if it had gone.
        """
        self._life_cycle.adjust(settings)
        self._muted = muted

    def begin_anew(self, at_ns: int, wall_ns: int, reason: str) -> list[EventChange]:
        """End every open event and forget what was followed; the next look is at a whole frame."""
        self._ids_before = self._highest_id
        self._tracker = Tracker(self._tracking, self._labels_by_model)
        self._tracks = ()
        self._moving.forget()
        self._looker.note_given_up()
        return self.finish(at_ns, wall_ns, reason)

    def finish(self, at_ns: int, wall_ns: int, reason: str) -> list[EventChange]:
        """End every open event: the clip is over, or the camera stops."""
        return self._life_cycle.finish(at_ns, wall_ns, reason)

    def _wanted(self, detections: tuple[Detection, ...]) -> tuple[Detection, ...]:
        """Return the detections of classes that can become events: nothing else is followed."""
        if not self._labels and not self._muted:
            return detections
        return tuple(
            one
            for one in detections
            if one.label not in self._muted and (not self._labels or one.label in self._labels)
        )

    def _begin_anew_if_resized(self, frame: Frame, wall_ns: int) -> list[EventChange]:
        """End what is open when frames come in another size: its pixels mean other places now."""
        previous, self._size = self._size, frame.size
        if previous is None or previous == frame.size:
            return []
        return self.begin_anew(frame.captured_ns, wall_ns, "resolution_changed")

    def _numbered(self, tracks: tuple[Track, ...]) -> tuple[Track, ...]:
        """Return tracks with numbers that no earlier tracker has used."""
        before = self._ids_before
        if before:
            tracks = tuple(replace(track, track_id=track.track_id + before) for track in tracks)
        if tracks:  # ordered by number
            self._highest_id = max(self._highest_id, tracks[-1].track_id)
        return tracks
