"""Plays recorded clips through the camera's own rules, as fast as the machine allows.

The result depends on clip, settings and model alone. Time is the clip's own. No frame is shed for
lack of time. And what is planned for a frame rests on the tracks as they were a fixed number of
frames before, never on how far the networks happen to be: that number is also how many frames
can be under way, which keeps every core busy.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from camera_app.capture import ClipInfo, ClipReader
from camera_app.clock import ManualClock, seconds
from camera_app.config import RetentionSettings
from camera_app.events import event_id, seeded_bits
from camera_app.pipeline import Asking, CameraWatch, LookPlan
from camera_app.replay.outputs import ClipOutputs, EventLog, ReplayFiles
from camera_app.replay.settings import ReplayRequest, camera_names, file_digest, settings_digest
from camera_app.scheduling import Answer, CpuSeats
from camera_app.store import EventStore
from camera_app.tracking import visible
from camera_app.values import ChangeType, EventChange, Frame, FrameCounts, Observation, Track

# Frames between plan and conclusion. A constant: results must not depend on the machine. At ten
# frames a second crops follow tracks 0.4 s old; motion, which also makes crops, is always fresh.
LAG_FRAMES = 4


@dataclass(frozen=True, slots=True)
class ReplaySummary:
    """What a replay did.

    Attributes:
        frames: Frames in all clips.
        seconds: How long it took, by the machine's clock.
        clip_seconds: How long the clips last.
        looked_at: Frames that a network has seen.
        shed: The others, by reason.
        events: Events that started.
        crossings: How often which line was crossed which way, by camera, line and way.
        loitering: How often somebody loitered, by camera and zone.
        changes: Event changes in all.
        events_sha256: Digest of the event log.
        model: Name of the model pack, or of several with ` + ` between them.
        model_sha256: Digest of their manifests and weights.
        config_sha256: Digest of the settings.
        invoke_cpu_s: Processor time spent inside the networks.
        warnings: What was wrong with a clip and did not stop the replay.
    """

    frames: int
    seconds: float
    clip_seconds: float
    looked_at: int
    shed: dict[str, int]
    events: int
    changes: int
    events_sha256: str
    model: str
    model_sha256: str
    config_sha256: str
    invoke_cpu_s: float
    warnings: tuple[str, ...] = ()
    crossings: Mapping[tuple[str, str, str], int] = field(default_factory=dict)
    loitering: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def fps(self) -> float:
        """Frames a second that were played."""
        return self.frames / self.seconds if self.seconds else 0.0

    def record(self) -> dict[str, object]:
        """Return the summary as plain JSON values."""
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "fps": round(self.fps, 2),
            "clip_seconds": round(self.clip_seconds, 3),
            "looked_at": self.looked_at,
            "shed": dict(sorted(self.shed.items())),
            "events": self.events,
            "crossings": [
                {"camera": camera, "line": line, "direction": way, "count": count}
                for (camera, line, way), count in sorted(self.crossings.items())
            ],
            "loitering": [
                {"camera": camera, "zone": zone, "count": count}
                for (camera, zone), count in sorted(self.loitering.items())
            ],
            "event_changes": self.changes,
            "events_sha256": self.events_sha256,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "config_sha256": self.config_sha256,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """What became of one frame.

    Attributes:
        frame: The frame.
        observation: What the networks found in it; None if it was not looked at.
        tracks: Those that can be seen in it.
    """

    frame: Frame
    observation: Observation | None
    tracks: tuple[Track, ...]


@dataclass(slots=True)
class ReplayHooks:
    """Who wants to know how a replay goes; each is called on the replay's own thread.

    Attributes:
        clip_opened: A clip begins: its path and how many frames it is thought to have, if known.
        frame_done: A frame's fate is known.
        changed: An event changed.
        watched: The same moment as `frame_done`, with what became of the frame.
    """

    clip_opened: Callable[[Path, int | None], None] = lambda _path, _frames: None
    frame_done: Callable[[], None] = lambda: None
    changed: Callable[[EventChange], None] = lambda _change: None
    watched: Callable[[Watched], None] = lambda _watched: None


@dataclass(slots=True)
class _Totals:
    counts: list[FrameCounts] = field(default_factory=list)
    clip_ns: int = 0
    events: int = 0
    warnings: list[str] = field(default_factory=list)
    crossings: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    loitering: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, change: EventChange) -> None:
        """Count what a change tells."""
        camera, crossing, stay = change.event.camera, change.crossing, change.loitering
        self.events += change.change is ChangeType.STARTED
        if crossing is not None:
            self.crossings[camera, crossing.line, crossing.direction.value] += 1
        if stay is not None and not stay.repeat:
            self.loitering[camera, stay.zone] += 1

    def shed(self) -> dict[str, int]:
        reasons = sorted({reason for counts in self.counts for reason in counts.shed})
        return {
            reason: sum(counts.shed.get(reason, 0) for counts in self.counts) for reason in reasons
        }


def run_replay(
    request: ReplayRequest, hooks: ReplayHooks | None = None, store: EventStore | None = None
) -> ReplaySummary:
    """Play every clip and write what was asked for.

    Args:
        request: What to do.
        hooks: Who wants to know how it goes.
        store: Where events are committed, already started; None opens one in the request's
            folder, if there is a folder.

    Raises:
        SourceError: A clip cannot be read at all.
        ModelError: The model cannot be loaded.
        StoreError: The folder cannot be written.
    """
    _require_readable(request.clips)
    hooks = hooks or ReplayHooks()
    began_s = time.perf_counter()
    totals = _Totals()
    files = None if request.out is None else ReplayFiles(request.out)
    with ExitStack() as stack:
        if files is not None and store is None:
            files.clear()
            store = _started_store(files, stack)
        log = stack.enter_context(EventLog(None if files is None else files.event_log, store))
        seats = CpuSeats({pack.name: pack for pack in request.models.packs}, request.seats)
        seats.start()
        stack.callback(seats.stop)
        replay = _Replay(request, seats, log, files, hooks, totals)
        for camera, clip in zip(camera_names(request.clips), request.clips, strict=True):
            replay.play(camera, clip)
        log.settle()
    return ReplaySummary(
        frames=sum(counts.captured for counts in totals.counts),
        seconds=time.perf_counter() - began_s,
        clip_seconds=seconds(totals.clip_ns),
        looked_at=sum(counts.looked_at for counts in totals.counts),
        shed=totals.shed(),
        events=totals.events,
        changes=log.changes,
        events_sha256=log.sha256,
        model=" + ".join(request.models.names),
        model_sha256=request.models.digest,
        config_sha256=settings_digest(request.settings),
        invoke_cpu_s=seconds(seats.stats.invoke_cpu_ns),
        warnings=tuple(totals.warnings),
        crossings=totals.crossings,
        loitering=totals.loitering,
    )


def _require_readable(clips: Sequence[Path]) -> None:
    """Refuse a clip that cannot be opened before anything is done, or an old replay removed."""
    for clip in clips:
        with closing(ClipReader(clip)) as reader:
            reader.open()


def _started_store(files: ReplayFiles, stack: ExitStack) -> EventStore:
    # A clock that stands at 1970, as the clip's own wall time does: nothing is ever too old.
    store = EventStore(files.database, ManualClock(), RetentionSettings(), is_stamped=False)
    store.start()
    stack.callback(store.stop)
    return store


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A frame between its plan and its conclusion."""

    frame: Frame
    plan: LookPlan
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class _Replay:
    """What all clips of one replay share."""

    request: ReplayRequest
    seats: CpuSeats
    log: EventLog
    files: ReplayFiles | None
    hooks: ReplayHooks
    totals: _Totals

    def play(self, camera: str, clip: Path) -> None:
        """Play one clip from its first frame to its last."""
        settings, request = self.request.settings, self.request
        with closing(ClipReader(clip, camera, masks=settings.privacy_masks)) as reader:
            info = reader.open()
            bits = seeded_bits(f"{file_digest(clip)}/{camera}")

            def new_id(wall_ns: int) -> str:
                return event_id(wall_ns, bits())

            self.hooks.clip_opened(clip, expected_frames(info))
            models = request.models
            watch = CameraWatch(camera, settings, models.input_size, new_id, models.labels_by_pack)
            is_only = len(request.clips) == 1
            outputs = ClipOutputs(self.files, camera, request, info, is_only=is_only)
            with outputs:
                _ClipReplay(self, watch, outputs).run(reader)
            if reader.warning:
                self.totals.warnings.append(f"{clip}: {reader.warning}")


class _ClipReplay:
    """Plays one clip.

    Args:
        replay: What all clips share.
        watch: What becomes of the frames.
        outputs: What is written about them.
    """

    def __init__(self, replay: _Replay, watch: CameraWatch, outputs: ClipOutputs) -> None:
        self._replay = replay
        self._watch = watch
        self._outputs = outputs
        request = replay.request
        self._asking = Asking(request.models.names, request.settings.tracking.min_score)
        self._last_ns = 0

    def run(self, reader: ClipReader) -> None:
        """Plan each frame as it comes, conclude it `LAG_FRAMES` later, end what is open."""
        under_way: deque[_UnderWay] = deque()
        for frame in reader.frames():
            under_way.append(self._look(frame))
            if len(under_way) > LAG_FRAMES:
                self._conclude(under_way.popleft())
        while under_way:
            self._conclude(under_way.popleft())
        endings = self._watch.finish(self._last_ns, self._last_ns, "clip_ended")
        self._outputs.clip_done(endings)
        self._tell(endings)
        totals = self._replay.totals
        totals.counts.append(self._watch.counts)
        totals.clip_ns += self._last_ns

    def _look(self, frame: Frame) -> _UnderWay:
        plan = self._watch.plan(frame)
        demands = self._asking.demands(frame, plan)
        return _UnderWay(frame, plan, tuple(map(self._replay.seats.submit, demands)))

    def _conclude(self, done: _UnderWay) -> None:
        frame, at_ns = done.frame, done.frame.captured_ns
        self._last_ns = at_ns
        changes: list[EventChange] = []
        observation: Observation | None = None
        if done.plan.shed is None:
            looks = self._asking.looks(done.plan, [answer.result() for answer in done.answers])
            # The clip's own time is also its wall time: it begins at 1970-01-01T00:00:00Z.
            changes = self._watch.conclude(frame, looks, at_ns)
            observation = self._watch.observation
        shown = visible(self._watch.tracks, at_ns)
        self._outputs.frame_done(frame, shown, self._watch.open_events, changes)
        self._tell(changes)
        self._replay.hooks.frame_done()
        self._replay.hooks.watched(Watched(frame, observation, shown))

    def _tell(self, changes: Sequence[EventChange]) -> None:
        self._replay.log.append(changes)
        for change in changes:
            self._replay.totals.count(change)
            self._replay.hooks.changed(change)


def expected_frames(info: ClipInfo) -> int | None:
    """Return how many frames a clip should have, counted or from its length; None: no idea."""
    if info.frame_count is not None:
        return info.frame_count
    return None if info.duration_s is None else round(info.duration_s * info.fps) or None
