"""Tracks in, event changes out: when an event starts, what makes it worth telling again, its end.

A confirmed track becomes an event once the median of its recent scores is high enough and it has
been seen for long enough: a false detection rarely repeats itself in one place. The event is then
dated back to the first sight of its object, however weak. It ends when the tracker gives the
track up, dated to its last sight. What rules find of it meanwhile, a line crossed or a zone that it
does not leave, are changes of its life like the others, each told by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from camera_app.clock import nanoseconds
from camera_app.config import EventSettings, LineSettings, ZoneSettings
from camera_app.events.lines import LinePassages
from camera_app.events.loitering import Loiterer
from camera_app.events.precursors import Precursors
from camera_app.events.zones import ZonePresence
from camera_app.values import (
    BestMoment,
    Box,
    ChangeType,
    Crossing,
    CrossingCount,
    Event,
    EventChange,
    Loitering,
    Observation,
    Size,
    Track,
    TrackState,
)

SCORES_KEPT = 10  # the median of so many recent scores is the event's score
STILL_IOU = 0.7  # an object whose box overlaps its resting place this much has not moved
# What passes lines for so long without becoming an event is no object worth more.
UNTOLD_KEPT = 32
BETTER_BY = 0.05  # a best moment must beat the last by this to be worth telling

NewId = Callable[[int], str]


@dataclass(slots=True)
class _Life:
    """What is remembered of one track.

    Attributes:
        track: As last reported.
        since_ns: When its object was first seen, however weakly.
        scores: Scores of its most recent detections.
        best: Its best moment so far.
        presence: Its way through the zones.
        passages: Its way across the lines.
        resting: Where it stood when it was last seen to move.
        resting_ns: When that was.
        event: The event it has become, as last told; None before it starts.
        told_ns: When it was last told.
        loiterer: Its stays in zones.
        untold: What rules have found and nobody was told yet, in order: told once it is an event.
    """

    track: Track
    since_ns: int
    best: BestMoment
    presence: ZonePresence
    passages: LinePassages
    resting: Box
    resting_ns: int
    scores: deque[float] = field(default_factory=lambda: deque(maxlen=SCORES_KEPT))
    event: Event | None = None
    told_ns: int = 0
    loiterer: Loiterer = field(default_factory=Loiterer)
    untold: deque[Crossing | Loitering] = field(default_factory=lambda: deque(maxlen=UNTOLD_KEPT))


class LifeCycle:
    """Turns the tracks of one camera into event changes.

    Args:
        camera: Name of the camera.
        settings: Which tracks make events, and when.
        zones: The camera's zones.
        new_id: Gives an event its name from the wall time of its start.
        lines: The camera's lines.
    """

    def __init__(
        self,
        camera: str,
        settings: EventSettings,
        zones: Sequence[ZoneSettings],
        new_id: NewId,
        lines: Sequence[LineSettings] = (),
    ) -> None:
        self._camera = camera
        self._settings = settings
        self._zones = tuple(zones)
        self._lines = tuple(lines)
        self._new_id = new_id
        self._precursors = Precursors()
        self._lives: dict[int, _Life] = {}

    @property
    def open_events(self) -> tuple[Event, ...]:
        """The events that have started and not ended, oldest first."""
        return tuple(life.event for life in self._lives.values() if life.event is not None)

    def adjust(self, settings: EventSettings) -> None:
        """Go by other settings from the next observation on; what has started goes on."""
        self._settings = settings

    def update(
        self, tracks: Iterable[Track], observation: Observation, wall_ns: int
    ) -> list[EventChange]:
        """Take all living tracks after one observation; return what is to be told, in order.

        Args:
            tracks: Every track that the tracker still keeps.
            observation: What it was last given.
            wall_ns: Wall time of that.
        """
        at_ns, size = observation.at_ns, observation.size
        self._precursors.note(at_ns, observation.detections)
        alive = {track.track_id: track for track in tracks}
        gone = [track_id for track_id in self._lives if track_id not in alive]
        changes: list[EventChange] = []
        for track_id in gone:
            changes += self._end(track_id, at_ns, wall_ns, "left")
        for track in alive.values():
            changes += self._follow(track, size, at_ns, wall_ns)
        return changes

    def finish(self, at_ns: int, wall_ns: int, reason: str) -> list[EventChange]:
        """End every event that is open: the clip is over or the camera stops."""
        changes: list[EventChange] = []
        for track_id in list(self._lives):
            changes += self._end(track_id, at_ns, wall_ns, reason)
        return changes

    def _follow(self, track: Track, size: Size, at_ns: int, wall_ns: int) -> list[EventChange]:
        life = self._lives.get(track.track_id)
        if life is None:
            life = self._lives[track.track_id] = self._begin(track)
        life.track = track
        if track.last_seen_ns == at_ns:
            self._note_sight(life, size, at_ns)
        if life.event is None:
            change = self._start(life, size, at_ns, wall_ns)
        else:
            change = self._continue(life, at_ns, wall_ns)
        changes = [] if change is None else [change]
        return changes + self._tell_found(life, at_ns, wall_ns)

    def _begin(self, track: Track) -> _Life:
        return _Life(
            track=track,
            since_ns=self._precursors.first_sight_ns(track),
            best=BestMoment(track.last_seen_ns, track.box, 0.0),
            presence=ZonePresence(self._zones),
            passages=LinePassages(self._lines),
            resting=track.box,
            resting_ns=track.first_seen_ns,
        )

    def _note_sight(self, life: _Life, size: Size, at_ns: int) -> None:
        track = life.track
        life.scores.append(track.score)
        if track.score > life.best.score:
            life.best = BestMoment(at_ns, track.box, track.score)
        life.presence.update(track.box.foot, track.label, size, at_ns)
        life.untold += life.passages.update(track.box, track.label, size, at_ns)
        life.untold += life.loiterer.update(life.presence.stays, track.label, at_ns)
        if life.resting.iou(track.box) < STILL_IOU:
            life.resting, life.resting_ns = track.box, at_ns

    def _start(self, life: _Life, size: Size, at_ns: int, wall_ns: int) -> EventChange | None:
        if not self._is_credible(life, size):
            return None
        track = life.track
        score = median(life.scores)
        life.event = Event(
            event_id=self._new_id(wall_ns - at_ns + life.since_ns),
            camera=self._camera,
            label=track.label,
            started_ns=life.since_ns,
            last_seen_ns=track.last_seen_ns,
            box=track.box,
            score=score,
            top_score=score,
            best=life.best,
            frame_size=size,
            zones=life.presence.inside,
            entered_zones=life.presence.entered,
        )
        life.told_ns = at_ns
        return EventChange(ChangeType.STARTED, at_ns, wall_ns, life.event, "appeared")

    def _is_credible(self, life: _Life, size: Size) -> bool:
        track, settings = life.track, self._settings
        if track.state is not TrackState.CONFIRMED or not life.scores:
            return False
        if settings.labels and track.label not in settings.labels:
            return False
        share = track.box.area / (size.width * size.height)
        return (
            settings.min_area_share <= share <= settings.max_area_share
            and track.last_seen_ns - track.first_seen_ns >= nanoseconds(settings.min_seen_s)
            and median(life.scores) >= settings.min_score
        )

    def _continue(self, life: _Life, at_ns: int, wall_ns: int) -> EventChange | None:
        told = life.event
        assert told is not None
        now = self._described(life, told, at_ns)
        reason = self._reason_to_tell(told, now, at_ns - life.told_ns)
        if reason is None:
            life.event = replace(now, best=told.best, is_stationary=told.is_stationary)
            return None
        life.event, life.told_ns = now, at_ns
        return EventChange(ChangeType.UPDATED, at_ns, wall_ns, now, reason)

    def _described(self, life: _Life, told: Event, at_ns: int) -> Event:
        score = median(life.scores)
        return replace(
            told,
            last_seen_ns=life.track.last_seen_ns,
            box=life.track.box,
            score=score,
            top_score=max(told.top_score, score),
            best=life.best,
            zones=life.presence.inside,
            entered_zones=life.presence.entered,
            is_stationary=at_ns - life.resting_ns >= nanoseconds(self._settings.stationary_s),
        )

    def _reason_to_tell(self, told: Event, now: Event, silent_ns: int) -> str | None:
        if now.zones != told.zones:
            return "zones"
        if now.is_stationary != told.is_stationary:
            return "stationary" if now.is_stationary else "moving"
        if now.best.score >= told.best.score + BETTER_BY and silent_ns >= nanoseconds(1.0):
            return "better_view"
        if silent_ns >= nanoseconds(self._settings.update_interval_s):
            return "still_there"
        return None

    def _tell_found(self, life: _Life, at_ns: int, wall_ns: int) -> list[EventChange]:
        """Tell what rules have found, each by itself, once there is an event to tell it of."""
        changes: list[EventChange] = []
        while life.event is not None and life.untold:
            change = _change_of(life.event, life.untold.popleft(), at_ns, wall_ns)
            life.event = change.event
            changes.append(change)
        return changes

    def _end(self, track_id: int, at_ns: int, wall_ns: int, reason: str) -> list[EventChange]:
        life = self._lives.pop(track_id)
        if life.event is None:
            return []
        life.untold += life.passages.finish()
        found = self._tell_found(life, at_ns, wall_ns)
        ended = replace(
            life.event,
            best=life.best,
            last_seen_ns=life.track.last_seen_ns,
            ended_ns=life.track.last_seen_ns,
            zones=(),
        )
        return [*found, EventChange(ChangeType.ENDED, at_ns, wall_ns, ended, reason)]


def _change_of(event: Event, found: Crossing | Loitering, at_ns: int, wall_ns: int) -> EventChange:
    """Return the change that tells what a rule has found."""
    if isinstance(found, Crossing):
        now = replace(event, crossings=counted(event.crossings, found))
        return EventChange(ChangeType.UPDATED, at_ns, wall_ns, now, "line_crossed", crossing=found)
    zones = event.loitered_zones
    if found.zone not in zones:
        event = replace(event, loitered_zones=(*zones, found.zone))
    return EventChange(ChangeType.UPDATED, at_ns, wall_ns, event, "loitering", loitering=found)


def counted(counts: Sequence[CrossingCount], crossing: Crossing) -> tuple[CrossingCount, ...]:
    """Return the counts with one crossing more."""
    key = (crossing.line, crossing.direction)
    if all((one.line, one.direction) != key for one in counts):
        return (*counts, CrossingCount(*key, 1))
    return tuple(
        replace(one, count=one.count + 1) if (one.line, one.direction) == key else one
        for one in counts
    )
