"""Builds the camera from its configuration, starts it, stops it: the only file that knows all.

Sources are started first: their children take longest to bring a picture, and nobody needs to wait
for that. The other parts follow from the disk upward (store, publisher, networks, cameras), so that
an event finds its way the moment the first frame is looked at. They are stopped in reverse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from camera_app import __version__
from camera_app.assembly import (
    Camera,
    Delivery,
    DeliverySettings,
    Devices,
    Household,
    Surroundings,
    device_plan,
    model_choices,
    shares_of,
)
from camera_app.clock import Clock, SystemClock
from camera_app.config import CameraSettings, Config
from camera_app.control import KeptFile, Steering
from camera_app.errors import CommandRefused
from camera_app.health import (
    Caretaker,
    DeviceFigures,
    Heartbeat,
    Notifier,
    PressureGauge,
    ReadinessFile,
    runtime_folder,
)
from camera_app.media import FilmFolder, FilmKeeper, SpaceGuard
from camera_app.models import ModelSet, find_models
from camera_app.pipeline import ModelChoice
from camera_app.publish import FrigateMirror, MirroringBoard, StateBoard, Topics
from camera_app.store import (
    DATABASE_NAME,
    FILMS_FOLDER,
    EventStore,
    GoneFilm,
    interrupted_changes,
    known_films,
)
from camera_app.threads import ROSTER, Part

_log = logging.getLogger(__name__)

STILLS_FOLDER = "snapshots"


class App:
    """The whole camera: a part made of parts.

    Args:
        config: What to build.
        clock: Time.
        restart: Begins the whole service anew, or raises CommandRefused; None: cannot be done.
        notifier: Whoever started the service and wants to know how it does; None: nobody.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        restart: Callable[[], None] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._config = config
        self._notifier = notifier or Notifier()
        self._clock = clock or SystemClock()
        self._restart = restart or _cannot_restart
        self._stack = ExitStack()  # owned by the caller of start and stop, as is all below
        self._began_ns = 0
        self._topics = Topics(config.mqtt.base_topic, config.device_id)
        self._mirror = self._frigate_mirror()
        self._board = StateBoard() if self._mirror is None else MirroringBoard(self._mirror)
        folder = config.data.folder
        self._store = EventStore(folder / DATABASE_NAME, self._clock, config.retention)
        self._space = SpaceGuard(
            folder,
            round(config.data.reserve_megabytes * 1e6),
            [folder / STILLS_FOLDER / name for name in config.camera],
            [folder / FILMS_FOLDER / name for name in config.camera],
            self._note_gone_films,
        )
        self._film_keeper = FilmKeeper(
            self._clock, self._store.note_films, lambda: known_films(self._store.path)
        )
        self._film_keeper.look_after(self._film_folders(config.camera))
        self._devices = Devices(self._clock)
        self._kept = KeptFile(folder, config.camera)
        self._steering = self._made_steering()
        self._heartbeat: Heartbeat | None = None
        # Both are replaced, never changed: other threads read them.
        self._cameras: Mapping[str, Camera] = {}
        self._delivery: Delivery | None = None

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
        """Return how every part does now; for after `start`, from any thread."""
        delivery = self._delivery
        return DeviceFigures(
            version=__version__,
            uptime_ns=self._clock.monotonic_ns() - self._began_ns,
            cameras={name: camera.figures for name, camera in self._cameras.items()},
            executor=self._devices.stats,
            store=self._store.stats(),
            publisher=None if delivery is None else delivery.stats(),
            space=self._space.space,
            signs=ROSTER.signs(),
        )

    def _build(self, stack: ExitStack) -> None:
        config = self._config
        settings = self._kept.load() if config.commands.enabled else config.camera
        self._cameras = self._made_cameras(settings)
        plan = device_plan(
            config.inference,
            [camera.models for camera in self._cameras.values()],
            config.models.trusted_keys,
        )
        stack.callback(self._close_cameras)
        for camera in self._cameras.values():
            camera.open()
            camera.tell_unseen()  # what the broker kept of a run that was killed is over
        self._delivery = Delivery(self._delivery_settings(), self._household(), self._cameras)
        _begin(self._store, stack)
        self._end_interrupted()
        _begin(self._film_keeper, stack)
        stack.callback(self._close_delivery)
        self._in_force.open()
        stack.callback(self._devices.stop)
        self._devices.start(
            plan, shares_of({name: camera.settings for name, camera in self._cameras.items()})
        )
        stack.callback(self._rest_cameras)
        for name, camera in self._cameras.items():
            camera.watch()
            self._steering.take_over(name, camera.steered, camera.settings)
        self._heartbeat = self._made_heartbeat(self._readers_of_figures(stack))
        _begin(self._heartbeat, stack)
        if config.metrics.listen:
            _begin(self._made_metrics(), stack)
        stack.callback(self._dismiss_hub)
        self._in_force.attend()
        _begin(Caretaker(self.figures, self._notifier, self._clock), stack)

    # Cameras

    def _made_cameras(self, settings: Mapping[str, CameraSettings]) -> dict[str, Camera]:
        """Return every enabled camera, not begun yet.

        Raises:
            ModelError: One of its models is wrong or missing.
        """
        config, around = self._config, self._surroundings()
        return {
            name: Camera(
                name,
                one,
                find_models(one.model or config.inference.model, config.models.trusted_keys),
                around,
            )
            for name, one in settings.items()
            if one.enabled
        }

    def _close_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.close()

    def _rest_cameras(self) -> None:
        for camera in self._cameras.values():
            camera.rest()

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            clock=self._clock,
            devices=self._devices,
            commit=self._store.commit,
            board=self._board,
            topics=self._topics,
            stills=self._config.data.folder / STILLS_FOLDER,
            films=self._config.data.folder / FILMS_FOLDER,
            film_keeper=self._film_keeper,
            takes_snapshots=lambda: self._space.takes_snapshots,
            takes_films=lambda: self._space.takes_films,
            sends_snapshots=self._sends_snapshots,
            choices=self._choices,
        )

    def _choices(self, models: ModelSet) -> tuple[ModelChoice, ...]:
        config = self._config
        return model_choices(config.inference, models, config.models.trusted_keys)

    def _film_folders(self, cameras: Mapping[str, CameraSettings]) -> list[FilmFolder]:
        folder = self._config.data.folder / FILMS_FOLDER
        return [FilmFolder(name, folder / name, one.recording) for name, one in cameras.items()]

    def _note_gone_films(self, films: Sequence[Path]) -> None:
        self._store.note_films([GoneFilm(f"{film.parent.name}/{film.name}") for film in films])

    def _sends_snapshots(self) -> bool:
        return self._config.mqtt.snapshots

    def _end_interrupted(self) -> None:
        """End what the last run left open: it was killed, or the power went."""
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        changes = interrupted_changes(self._store.path, now_ns, wall_ns)
        if changes:
            _log.warning("ending %d events that the last run left open", len(changes))
            self._store.commit(changes)

    # The way to the hub

    @property
    def _in_force(self) -> Delivery:
        assert self._delivery is not None, "made by `_build`"
        return self._delivery

    def _close_delivery(self) -> None:
        self._in_force.close()

    def _dismiss_hub(self) -> None:
        self._in_force.dismiss()

    def _delivery_settings(self) -> DeliverySettings:
        config = self._config
        return DeliverySettings(
            config.device_id, config.mqtt, config.home_assistant, config.commands.enabled
        )

    def _household(self) -> Household:
        return Household(
            store=self._store,
            board=self._board,
            mirror=self._mirror,
            topics=self._topics,
            steering=self._steering,
            folder=self._config.data.folder,
            clock=self._clock,
        )

    def _frigate_mirror(self) -> FrigateMirror | None:
        mqtt, cameras = self._config.mqtt, self._config.camera
        if mqtt.compat != "frigate":
            return None
        has_snapshots = {name: camera.snapshots.enabled for name, camera in cameras.items()}
        return FrigateMirror(self._topics, mqtt.compat_prefix, has_snapshots)

    # What looks after the rest

    def _made_steering(self) -> Steering:
        return Steering(
            self._kept,
            board=self._board,
            topics=self._topics,
            clock=self._clock,
            figures=self.figures,
            folder=self._config.data.folder,
            takes_stills=lambda: self._space.takes_snapshots,
            profiles=lambda: self._config.profile,
            restart=self._restart,
            try_edgetpu=self._devices.wake_stick,
        )

    def _readers_of_figures(self, stack: ExitStack) -> list[Callable[[DeviceFigures], None]]:
        folder = runtime_folder()
        if folder is None:
            return []
        readiness = ReadinessFile(folder, self._clock)
        stack.callback(readiness.remove)
        return [readiness.tell]

    def _made_metrics(self) -> Part:
        # Imported only where it is wanted: what it needs costs a megabyte.
        from camera_app.health.metrics import MetricsServer

        return MetricsServer(self._config.metrics, self.figures, self._clock)

    def _made_heartbeat(self, readers: Sequence[Callable[[DeviceFigures], None]]) -> Heartbeat:
        gauge = PressureGauge(self._clock, lambda: self._devices.cpu_time_ns)

        def pulse() -> None:
            self._devices.note_pressure(gauge.read())
            self._space.look()
            for camera in self._cameras.values():
                camera.recorder.look()

        return Heartbeat(
            self.figures,
            self._board,
            self._topics,
            self._clock,
            status_interval_s=self._config.mqtt.status_interval_s,
            snapshots=lambda: [camera.snapshots for camera in self._cameras.values()],
            pulse=pulse,
            readers=readers,
        )


def _cannot_restart() -> None:
    raise CommandRefused("it was not started in a way that can begin anew")


def _begin(part: Part, stack: ExitStack) -> None:
    part.start()
    stack.callback(part.stop)
