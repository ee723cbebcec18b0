"""Builds the camera from its configuration, starts it, stops it: the only file that knows all.

Sources are started first: their children take longest to bring a picture, and nobody needs to wait
for that. The other parts follow from the disk upward (store, publisher, networks, cameras), so that
an event finds its way the moment the first frame is looked at. They are stopped in reverse.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from camera_app import __version__
from camera_app.capture import LiveSource
from camera_app.clock import Clock, SystemClock
from camera_app.config import ALL_STICKS, NO_STICK, CameraSettings, Config, InferenceSettings
from camera_app.control import KeptFile, LiveView, Shown, Steered, Steering
from camera_app.errors import CommandRefused
from camera_app.events import event_id, random_bits
from camera_app.health import (
    CameraFigures,
    DeviceFigures,
    Heartbeat,
    Place,
    PressureGauge,
    ReadinessFile,
    SnapshotFolder,
    occupancy,
    places_of,
    runtime_folder,
)
from camera_app.inference.edgetpu import Performance, Stick
from camera_app.media import SnapshotKeeper, SpaceGuard
from camera_app.models import ModelPack, ModelSet, find_ladder, find_models
from camera_app.pipeline import Asking, CameraWatch, CameraWorker
from camera_app.publish import (
    FreshEvents,
    FrigateMirror,
    Hub,
    MirroringBoard,
    Publisher,
    StateBoard,
    Topics,
    availability_message,
    count_message,
)
from camera_app.publish.discovery import (
    AnnouncedCamera,
    AnnouncedDevice,
    announcements,
    title,
)
from camera_app.scheduling import CameraShare, CpuSeats, Executor, StickPlan
from camera_app.store import DATABASE_NAME, EventStore, interrupted_changes
from camera_app.threads import LatestBox, Part
from camera_app.values import Event, EventChange, Frame

_log = logging.getLogger(__name__)

FAREWELL_S = 2.0  # how long a stopping service waits for the broker's last acknowledgements


@dataclass(frozen=True, slots=True)
class _Input:
    """Where one camera's frames come from, and where the newest of them lies."""

    source: LiveSource
    frames: LatestBox[Frame]


@dataclass(frozen=True, slots=True)
class _Camera:
    """The parts of one camera."""

    source: LiveSource
    worker: CameraWorker
    snapshots: SnapshotFolder
    keeper: SnapshotKeeper


class App:
    """The whole camera: a part made of parts.

    Args:
        config: What to build.
        clock: Time.
        restart: Begins the whole service anew, or raises CommandRefused; None: cannot be done.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        restart: Callable[[], None] | None = None,
    ) -> None:
        self._config = config
        self._clock = clock or SystemClock()
        self._restart = restart or _cannot_restart
        self._stack = ExitStack()  # owned by the caller of start and stop, as is all below
        self._inputs: dict[str, _Input] = {}
        self._cameras: dict[str, _Camera] = {}
        self._began_ns = 0
        self._store: EventStore | None = None
        self._executor: Executor | None = None
        self._publisher: Publisher | None = None
        self._topics = Topics(config.mqtt.base_topic, config.device_id)
        stills = config.data.folder / "snapshots"
        self._space = SpaceGuard(
            config.data.folder,
            round(config.data.reserve_megabytes * 1e6),
            [stills / name for name in config.camera],
        )

    def start(self) -> None:
        """Start every part; what was started is stopped again when one fails.

        Raises:
            CameraAppError: A part cannot start: the data folder, the database, a model.
        """
        self._began_ns = self._clock.monotonic_ns()
        with ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Stop every part, the last started first."""
        self._stack.close()

    def figures(self) -> DeviceFigures:
        """Return how every part does now."""
        assert self._store is not None, "figures are for after start"
        assert self._executor is not None, "figures are for after start"
        return DeviceFigures(
            version=__version__,
            uptime_ns=self._clock.monotonic_ns() - self._began_ns,
            cameras={
                name: CameraFigures(camera.source.stats(), camera.worker.stats)
                for name, camera in self._cameras.items()
            },
            executor=self._executor.stats,
            store=self._store.stats(),
            publisher=None if self._publisher is None else self._publisher.stats(),
            space=self._space.space,
        )

    def _build(self, stack: ExitStack) -> None:
        config = self._config
        kept = KeptFile(config.data.folder, config.camera)
        cameras = kept.load() if config.commands.enabled else config.camera
        wanted = {name: camera for name, camera in cameras.items() if camera.enabled}
        models = {
            name: find_models(camera.model or config.inference.model, config.models.trusted_keys)
            for name, camera in wanted.items()
        }
        for name, settings in wanted.items():
            self._inputs[name] = self._started_input(name, settings, stack)
        database = config.data.folder / DATABASE_NAME
        self._store = EventStore(database, self._clock, config.retention)
        mirror = self._frigate_mirror()
        board = StateBoard() if mirror is None else MirroringBoard(mirror)
        if config.mqtt.enabled:
            # Made before the store starts: it listens to commits.
            self._publisher = Publisher(
                config.mqtt, config.device_id, self._store, board, self._clock
            )
            if mirror is not None:
                say, max_age_s = self._publisher.say, config.mqtt.now_max_age_s
                self._store.add_listener(FreshEvents(mirror, say, self._clock, max_age_s))
        for name in wanted:  # what the broker kept of a run that was killed is not so any more
            board.put(self._topics.camera_availability(name), availability_message(False))
        steering = self._steering(wanted, kept, board)
        hub = self._hub(wanted, models, steering, board)  # before the publisher: it listens
        _begin(self._store, stack)
        self._end_interrupted(self._store)
        if self._publisher is not None:
            _begin(self._publisher, stack)
            stack.callback(self._tell_the_rest, self._publisher, self._store)
            if isinstance(board, MirroringBoard):
                stack.callback(board.say_farewell)
        self._executor = self._made_executor(wanted, models.values())
        _begin(self._executor, stack)
        for name, settings in wanted.items():
            self._add_camera(name, settings, models[name], board, stack)
            camera = self._cameras[name]
            stills = camera.snapshots.folder
            steering.take_over(name, Steered(camera.source, camera.worker, camera.keeper, stills))
        _begin(self._heartbeat(board, self._readers_of_figures(stack)), stack)
        if self._publisher is not None and config.mqtt.live_interval_s:
            _begin(self._live_view(wanted, self._publisher), stack)
        if hub is not None:
            _begin(hub, stack)

    def _frigate_mirror(self) -> FrigateMirror | None:
        mqtt, cameras = self._config.mqtt, self._config.camera
        if mqtt.compat != "frigate":
            return None
        has_snapshots = {name: camera.snapshots.enabled for name, camera in cameras.items()}
        return FrigateMirror(self._topics, mqtt.compat_prefix, has_snapshots)

    def _made_executor(
        self, cameras: Mapping[str, CameraSettings], models: Iterable[ModelSet]
    ) -> Executor:
        config = self._config
        packs = {pack.name: pack for one in models for pack in one.packs}
        ladders = {
            name: find_ladder(pack, config.models.trusted_keys)
            if config.inference.smaller_models
            else (pack,)
            for name, pack in packs.items()
        }
        rungs = {pack.name: pack for ladder in ladders.values() for pack in ladder}
        shares = {
            name: CameraShare(camera.priority, min(camera.min_fps, camera.fps))
            for name, camera in cameras.items()
        }
        seats = CpuSeats(rungs, config.inference.cpu_seats, stand_ins=rungs.keys() - packs.keys())
        return Executor(ladders, seats, shares, self._clock, stick_plan(config.inference))

    def _tell_the_rest(self, publisher: Publisher, store: EventStore) -> None:
        """Let the last changes go out, for a moment; the next start tells what does not."""
        if publisher.stats().is_connected and not store.wait_drained(FAREWELL_S):
            _log.info("some event changes will be told after the next start")

    def _end_interrupted(self, store: EventStore) -> None:
        """End what the last run left open: it was killed, or the power went."""
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        changes = interrupted_changes(store.path, now_ns, wall_ns)
        if changes:
            _log.warning("ending %d events that the last run left open", len(changes))
            store.commit(changes)

    def _started_input(self, name: str, settings: CameraSettings, stack: ExitStack) -> _Input:
        frames: LatestBox[Frame] = LatestBox()
        source = LiveSource(name, settings, self._clock, frames)
        if settings.privacy:
            stack.callback(source.stop)  # it may be opened later, by command
        else:
            _begin(source, stack)
        return _Input(source, frames)

    def _add_camera(
        self,
        name: str,
        settings: CameraSettings,
        models: ModelSet,
        board: StateBoard,
        stack: ExitStack,
    ) -> None:
        assert self._store is not None
        assert self._executor is not None
        feed = self._inputs[name]
        folder = SnapshotFolder(self._config.data.folder / "snapshots" / name, settings.snapshots)
        keeper = SnapshotKeeper(
            folder.folder, settings.snapshots, lambda: self._space.takes_snapshots
        )
        places = places_of(settings, models.labels)
        telling = _Telling(name, places, board, self._topics, keeper)
        telling.sends_snapshots = self._config.mqtt.snapshots
        telling.tell_counts(())
        worker = CameraWorker(
            CameraWatch(name, settings, models.input_size, _new_event_id, models.labels_by_pack),
            feed.frames,
            self._executor,
            asking=Asking(models.names, settings.tracking.min_score),
            clock=self._clock,
            commit=self._store.commit,
            concluded=telling,
        )
        self._cameras[name] = _Camera(feed.source, worker, folder, keeper)
        _begin(worker, stack)

    def _steering(
        self, cameras: Mapping[str, CameraSettings], kept: KeptFile, board: StateBoard
    ) -> Steering:
        return Steering(
            cameras,
            kept,
            board=board,
            topics=self._topics,
            clock=self._clock,
            figures=self.figures,
            folder=self._config.data.folder,
            sends_snapshots=self._config.mqtt.snapshots,
            restart=self._restart,
            try_edgetpu=self._try_edgetpu,
        )

    def _try_edgetpu(self, place: str) -> None:
        assert self._executor is not None, "commands are for after start"
        self._executor.wake_stick(place)

    def _hub(
        self,
        cameras: Mapping[str, CameraSettings],
        models: Mapping[str, ModelSet],
        steering: Steering,
        board: StateBoard,
    ) -> Hub | None:
        config, takes_commands = self._config, self._config.commands.enabled
        if self._publisher is None:
            return None
        announced = AnnouncedDevice(
            device_id=config.device_id,
            name=config.home_assistant.name or title(config.device_id),
            version=__version__,
            topics=self._topics,
            cameras=[
                AnnouncedCamera(
                    name,
                    places_of(settings, models[name].labels),
                    sends_snapshots=config.mqtt.snapshots,
                    sends_live=bool(config.mqtt.live_interval_s),
                )
                for name, settings in cameras.items()
            ],
            status_interval_s=config.mqtt.status_interval_s,
            takes_commands=takes_commands,
        )
        wanted = config.home_assistant
        return Hub(
            wanted,
            announcements(announced, wanted.discovery, wanted.prefix),
            topics=self._topics,
            cameras=cameras,
            conduct=steering if takes_commands else None,
            voice=self._publisher,
            board=board,
            folder=config.data.folder,
            clock=self._clock,
            random=random.random,
        )

    def _live_view(self, settings: Mapping[str, CameraSettings], publisher: Publisher) -> LiveView:
        shown = {
            name: Shown(
                self._topics.live(name),
                _newest_of(camera.worker),
                settings[name].snapshots.quality,
            )
            for name, camera in self._cameras.items()
        }
        return LiveView(
            shown,
            publisher.say,
            lambda: publisher.stats().is_connected,
            self._config.mqtt.live_interval_s,
        )

    def _readers_of_figures(self, stack: ExitStack) -> list[Callable[[DeviceFigures], None]]:
        folder = runtime_folder()
        if folder is None:
            return []
        readiness = ReadinessFile(folder, self._clock)
        stack.callback(readiness.remove)
        return [readiness.tell]

    def _heartbeat(
        self, board: StateBoard, readers: Sequence[Callable[[DeviceFigures], None]]
    ) -> Heartbeat:
        executor = self._executor
        assert executor is not None
        gauge = PressureGauge(self._clock, lambda: executor.cpu_time_ns)

        def pulse() -> None:
            executor.note_pressure(gauge.read())
            self._space.look()

        return Heartbeat(
            self.figures,
            board,
            self._topics,
            self._clock,
            status_interval_s=self._config.mqtt.status_interval_s,
            snapshots=[camera.snapshots for camera in self._cameras.values()],
            pulse=pulse,
            readers=readers,
        )


class _Telling:
    """Tells the retained state of one camera after each look; called on the camera's thread.

    Args:
        camera: Name of the camera.
        places: What is counted.
        board: Where it is told.
        topics: Names of the topics.
        keeper: Keeps the stills.
    """

    def __init__(
        self,
        camera: str,
        places: Sequence[Place],
        board: StateBoard,
        topics: Topics,
        keeper: SnapshotKeeper,
    ) -> None:
        self._camera = camera
        self._places = places
        self._board = board
        self._topics = topics
        self._keeper = keeper
        self.sends_snapshots = False

    def __call__(
        self, frame: Frame | None, changes: Sequence[EventChange], open_events: Sequence[Event]
    ) -> None:
        written = self._keeper.consider(frame, open_events, changes)
        if self.sends_snapshots:
            for change, path in written:
                picture = path.read_bytes()
                label = change.event.label
                self._board.put(self._topics.snapshot(self._camera), picture)
                self._board.put(self._topics.label_snapshot(self._camera, label), picture)
        if changes:
            self.tell_counts(open_events)

    def tell_counts(self, open_events: Sequence[Event]) -> None:
        """Put the number of each class in each place on the board."""
        for (zone, label), count in occupancy(self._places, open_events).items():
            topic = self._topics.count(self._camera, label)
            if zone:
                topic = self._topics.zone_count(self._camera, zone, label)
            self._board.put(topic, count_message(count))


def _newest_of(worker: CameraWorker) -> Callable[[], Frame | None]:
    return lambda: worker.newest_frame


def _cannot_restart() -> None:
    raise CommandRefused("it was not started in a way that can begin anew")


def stick_plan(settings: InferenceSettings) -> StickPlan | None:
    """Return which sticks are to be used; None: none."""
    if settings.edgetpu == (NO_STICK,):
        return None
    performance = None
    if settings.edgetpu_performance != "default":
        performance = Performance(settings.edgetpu_performance.capitalize())

    def make(place: str, packs: Sequence[ModelPack]) -> Stick:
        return Stick(place, packs, performance)

    return StickPlan(make, () if settings.edgetpu == (ALL_STICKS,) else settings.edgetpu)


def _begin(part: Part, stack: ExitStack) -> None:
    part.start()
    stack.callback(part.stop)


def _new_event_id(wall_ns: int) -> str:
    return event_id(wall_ns, random_bits())
