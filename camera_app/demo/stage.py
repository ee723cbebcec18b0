"""The demo itself: plays the scene through the whole camera and listens at the other end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from camera_app.clock import SystemClock
from camera_app.config import CameraSettings, MqttSettings, RetentionSettings, ZoneSettings
from camera_app.demo.broker import BrokerAddress, demo_broker
from camera_app.demo.film import make_film
from camera_app.demo.scene import FACE, PERSON
from camera_app.demo.subscriber import Message, Subscriber
from camera_app.demo.verdict import FrameReport, Verdict, judge
from camera_app.errors import ModelError
from camera_app.health import occupancy, places_of
from camera_app.models import ModelSet
from camera_app.publish import Publisher, StateBoard, Topics, count_message
from camera_app.replay import (
    ReplayFiles,
    ReplayHooks,
    ReplayRequest,
    ReplaySummary,
    Watched,
    camera_names,
    run_replay,
)
from camera_app.store import EventStore
from camera_app.values import ChangeType, Event, EventChange

DEVICE_ID = "demo"
HEARING_LIMIT_S = 30.0

# The gate in the wall would be here; whoever stands before it is in the zone.
_GATE = ((0.30, 0.75), (0.70, 0.75), (0.70, 1.0), (0.30, 1.0))
SETTINGS = CameraSettings(
    source="demo", zones=(ZoneSettings(name="gate", polygon=_GATE, labels=(PERSON,)),)
)


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What the demo is asked to do.

    Attributes:
        out: Folder for everything that it makes.
        models: Which networks look.
        broker: The broker to use; None starts one.
    """

    out: Path
    models: ModelSet
    broker: BrokerAddress | None = None


@dataclass(slots=True)
class DemoHooks:
    """Who wants to know how the demo goes.

    Attributes:
        frame_drawn: A frame of the scene is drawn: frames done, frames in all.
        broker_found: A broker is there.
        replay: How the replay goes.
    """

    frame_drawn: Callable[[int, int], None] = lambda _done, _all: None
    broker_found: Callable[[BrokerAddress], None] = lambda _address: None
    replay: ReplayHooks = field(default_factory=ReplayHooks)


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What came of it.

    Attributes:
        request: The replay of the scene.
        summary: What the replay did.
        verdict: How that compares with the truth.
        messages: What the subscriber heard.
        missing: Event changes that the subscriber did not hear in time; none is right.
    """

    request: ReplayRequest
    summary: ReplaySummary
    verdict: Verdict
    messages: tuple[Message, ...]
    missing: int

    @property
    def is_right(self) -> bool:
        return self.verdict.is_right and self.missing == 0


class ClipClock:
    """Monotonic time of the machine, wall time of the clip: a replayed change is never late."""

    def __init__(self) -> None:
        self._machine = SystemClock()
        self._wall_ns = 0  # set by the replay's thread; an int is read whole by any

    def monotonic_ns(self) -> int:
        return self._machine.monotonic_ns()

    def wall_ns(self) -> int:
        return self._wall_ns

    def show(self, wall_ns: int) -> None:
        """Set the wall time that the clip has reached."""
        self._wall_ns = wall_ns


def run_demo(request: DemoRequest, hooks: DemoHooks | None = None) -> DemoResult:
    """Draw the scene, play it through the camera, and hold what it said against the truth.

    Raises:
        CameraAppError: A part cannot do its work: no broker, no model, an unwritable folder.
    """
    labels = _judged_labels(request.models)
    hooks = hooks or DemoHooks()
    files = ReplayFiles(request.out)
    files.clear()
    film = make_film(request.out, on_frame=hooks.frame_drawn)
    replay = ReplayRequest(
        clips=(film.clip,),
        settings=SETTINGS,
        models=request.models,
        out=request.out,
        is_annotated=True,
        has_tracks=True,
    )
    with ExitStack() as stack:
        address = request.broker or stack.enter_context(demo_broker())
        hooks.broker_found(address)
        house = _House(address, files, replay)
        subscriber = stack.enter_context(Subscriber(address, [f"{house.topics.root}/#"]))
        house.open(stack)
        summary = run_replay(replay, house.listening(hooks.replay), house.store)
        house.store.wait_drained(HEARING_LIMIT_S)
        event_topic = house.topics.event(house.camera)
        subscriber.wait_for(
            lambda messages: _count(messages, event_topic) >= summary.changes, HEARING_LIMIT_S
        )
        missing = summary.changes - _count(subscriber.messages, event_topic)
    verdict = judge(
        film.visits,
        house.reports,
        house.ended,
        labels=labels,
        min_score=SETTINGS.tracking.high_score,
    )
    return DemoResult(replay, summary, verdict, subscriber.messages, missing)


def _count(messages: Sequence[Message], topic: str) -> int:
    return sum(message.topic == topic for message in messages)


def _judged_labels(models: ModelSet) -> list[str]:
    """Return the classes that the scene shows and the models find.

    Raises:
        ModelError: There is none.
    """
    labels = [label for label in (PERSON, FACE) if label in models.labels]
    if not labels:
        raise ModelError(
            "nothing in the demo's scene is to be found: it shows persons and faces",
            where=" + ".join(models.names),
            remedy="Name a model that finds persons or faces.",
        )
    return labels


class _House:
    """Store and publisher around the replay, as the service has them."""

    def __init__(self, address: BrokerAddress, files: ReplayFiles, replay: ReplayRequest) -> None:
        mqtt = MqttSettings(host=address.host, port=address.port, now_max_age_s=3600.0)
        [self.camera] = camera_names(replay.clips)
        self.topics = Topics(mqtt.base_topic, DEVICE_ID)
        self._clock = ClipClock()
        self.store = EventStore(files.database, self._clock, RetentionSettings())
        self._board = StateBoard()
        self._publisher = Publisher(mqtt, DEVICE_ID, self.store, self._board, self._clock)
        self._places = places_of(replay.settings, replay.models.labels)
        self._open: dict[str, Event] = {}
        self.ended: list[Event] = []
        self.reports: dict[int, FrameReport] = {}

    def open(self, stack: ExitStack) -> None:
        """Start both; they stop with the stack."""
        self.store.start()
        stack.callback(self.store.stop)
        self._publisher.start()
        stack.callback(self._publisher.stop)
        self._tell_counts()

    def listening(self, hooks: ReplayHooks) -> ReplayHooks:
        """Return hooks that tell this house as well."""

        def changed(change: EventChange) -> None:
            self._take(change)
            hooks.changed(change)

        def watched(frame: Watched) -> None:
            # Without the frame itself: together their pixels would fill the memory.
            self.reports[frame.frame.sequence] = FrameReport(frame.observation, frame.tracks)
            hooks.watched(frame)

        return ReplayHooks(hooks.clip_opened, hooks.frame_done, changed, watched)

    def _take(self, change: EventChange) -> None:
        self._clock.show(change.wall_ns)
        if change.change is ChangeType.ENDED:
            self._open.pop(change.event.event_id, None)
            self.ended.append(change.event)
        else:
            self._open[change.event.event_id] = change.event
        self._tell_counts()

    def _tell_counts(self) -> None:
        for (zone, label), count in occupancy(self._places, self._open.values()).items():
            topic = self.topics.count(self.camera, label)
            if zone:
                topic = self.topics.zone_count(self.camera, zone, label)
            self._board.put(topic, count_message(count))
