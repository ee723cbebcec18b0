"""Builds the camera from its configuration, starts it, stops it, and leads it to another one.

Sources are started first: their children take longest to bring a picture, and nobody needs to wait
for that. The other parts follow from the disk upward (store, publisher, networks, cameras), so that
an event finds its way the moment the first frame is looked at. They are stopped in reverse.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from camera_app.assembly import (
    Camera,
    Devices,
    House,
    Transition,
    device_plan,
    film_folders,
    has_snapshots,
    models_of,
    reserve_bytes,
    shares_of,
    stills_folders,
    wanted_cameras,
)
from camera_app.children import own_cpu_ns
from camera_app.clock import Clock, SystemClock, iso_utc
from camera_app.config import Config
from camera_app.control import Change, KeptFile, Steering, changes, needing_restart
from camera_app.errors import CommandRefused, NeedsRestart
from camera_app.health import (
    ActivityRecord,
    Caretaker,
    DeviceFigures,
    Heartbeat,
    Notifier,
    PressureGauge,
    ReadinessFile,
    runtime_folder,
)
from camera_app.media import FilmKeeper, SpaceGuard, StillDates
from camera_app.memory import MemoryKeeper
from camera_app.publish import (
    ConfigurationStatus,
    FrigateMirror,
    MirroringBoard,
    StateBoard,
    Topics,
    configuration_message,
)
from camera_app.store import (
    DATABASE_NAME,
    EventStore,
    GoneFilm,
    interrupted_changes,
    known_films,
)
from camera_app.threads import Part

_log = logging.getLogger(__name__)


class App:
    """The whole camera: a part made of parts.

    Args:
        config: What to build.
        clock: Time.
        restart: Begins the whole service anew, or raises CommandRefused; None: cannot be done.
        reload: Has the configuration file read anew soon, or raises CommandRefused; None: cannot
            be done.
        notifier: Whoever started the service and wants to know how it does; None: nobody.
    """

    def __init__(
        self,
        config: Config,
        clock: Clock | None = None,
        restart: Callable[[], None] | None = None,
        reload: Callable[[], None] | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        clock = clock or SystemClock()
        folder = config.data.folder
        topics = Topics(config.mqtt.base_topic, config.device_id)
        mirror = None
        if config.mqtt.compat == "frigate":
            mirror = FrigateMirror(topics, config.mqtt.compat_prefix, has_snapshots(config))
        board = StateBoard() if mirror is None else MirroringBoard(mirror)
        devices, kept = Devices(clock), KeptFile(folder, config.camera)
        store = EventStore(folder / DATABASE_NAME, clock, config.retention)
        film_keeper = FilmKeeper(
            clock,
            store.note_films,
            lambda: known_films(store.path),
            is_dated=lambda: store.is_dated,
        )
        film_keeper.look_after(film_folders(config))
        still_dates = StillDates(clock, lambda: store.is_dated)
        self._kept = kept
        self._stack = ExitStack()  # owned by the caller of start, change and stop
        self._is_configuration_told = False
        self._notifier = notifier or Notifier()
        self._house = House(
            clock=clock,
            began_ns=0,
            topics=topics,
            store=store,
            board=board,
            mirror=mirror,
            space=SpaceGuard(
                folder,
                reserve_bytes(config),
                stills_folders(config),
                [one.folder for one in film_folders(config)],
                self._note_gone_films,
            ),
            film_keeper=film_keeper,
            still_dates=still_dates,
            devices=devices,
            steering=Steering(
                kept,
                board=board,
                topics=topics,
                clock=clock,
                figures=self.figures,
                folder=folder,
                takes_stills=lambda: self._house.space.takes_snapshots,
                note_still=still_dates.note,
                profiles=lambda: self._house.config.profile,
                restart=restart or _cannot_restart,
                reload=reload or _cannot_reload,
                try_edgetpu=devices.wake_stick,
            ),
            config=config,
            cameras={},
        )

    def start(self) -> None:
        """Start every part; what was started is stopped again when one fails.

        Raises:
            CameraAppError: A part cannot start: the data folder, the database, a model.
        """
        self._house.began_ns = self._house.clock.monotonic_ns()
        with ExitStack() as stack:
            self._build(stack)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Stop every part, the last started first."""
        self._stack.close()

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._house.config

    def change(
        self, config: Config, told: Callable[[str], None] = lambda _: None
    ) -> tuple[tuple[Change, ...], tuple[str, ...]]:
        """Go by another configuration from now on, as a whole, or by none of it.

        What does not differ runs on. On the thread that starts and stops.

        Args:
            config: What is to be in force.
            told: Called with the name of each step before it is taken; what it raises is taken for
                a failure of the step.

        Returns:
            What has changed, and what an owner should know though nothing is wrong.

        Raises:
            NeedsRestart: Something differs that cannot change while the service runs.
            CameraAppError: It cannot be; all is as it was before.
        """
        found = changes(self._house.config, config)
        keys = needing_restart(found)
        if keys:
            raise NeedsRestart(keys)
        if not found:
            return (), ()
        return found, Transition(self._house, config, told).carry_out()

    def tell_configuration(self, status: ConfigurationStatus) -> None:
        """Tell the hub how the configuration file stands; any thread."""
        self._is_configuration_told = True
        self._house.board.put(self._house.topics.configuration, configuration_message(status))

    def figures(self) -> DeviceFigures:
        """Return how every part does now; for after `start`, from any thread."""
        return self._house.figures()

    def _build(self, stack: ExitStack) -> None:
        house, config = self._house, self._house.config
        if not self._is_configuration_told:
            self.tell_configuration(_without_file(house.clock))
        house.cameras = self._made_cameras()
        models = [camera.models for camera in house.cameras.values()]
        plan = device_plan(config.inference, models, config.models.trusted_keys)
        stack.callback(self._close_cameras)
        for camera in house.cameras.values():
            camera.open()
            camera.tell_unseen()  # what the broker kept of a run that was killed is over
        house.delivery = house.delivery_for(config, house.cameras)
        _begin(house.store, stack)
        self._end_interrupted()
        _begin(house.film_keeper, stack)
        stack.callback(self._close_delivery)
        house.delivery.open()
        stack.callback(house.devices.stop)
        house.devices.start(
            plan, shares_of({name: camera.settings for name, camera in house.cameras.items()})
        )
        stack.callback(self._rest_cameras)
        for name, camera in house.cameras.items():
            camera.watch()
            house.steering.take_over(name, camera.steered, camera.settings)
        house.heartbeat = self._made_heartbeat(self._readers_of_figures(stack))
        _begin(house.heartbeat, stack)
        stack.callback(self._stop_metrics)
        house.metrics = house.metrics_for(config)
        house.metrics.start()
        stack.callback(self._dismiss_hub)
        house.delivery.attend()
        _begin(Caretaker(house.figures, self._notifier, house.clock), stack)

    def _made_cameras(self) -> dict[str, Camera]:
        house = self._house
        around = house.surroundings(house.config)
        return {
            name: Camera(name, settings, models_of(house.config, settings), around)
            for name, settings in wanted_cameras(house.config, self._kept).items()
        }

    def _end_interrupted(self) -> None:
        """End what the last run left open: it was killed, or the power went."""
        clock, store = self._house.clock, self._house.store
        left = interrupted_changes(store.path, clock.monotonic_ns(), clock.wall_ns())
        if left:
            _log.warning("ending %d events that the last run left open", len(left))
            store.commit(left)

    def _readers_of_figures(self, stack: ExitStack) -> list[Callable[[DeviceFigures], None]]:
        house = self._house
        activity = ActivityRecord(house.config.data.folder, house.clock)
        stack.callback(activity.write)
        folder = runtime_folder()
        if folder is None:
            return [activity.tell]
        readiness = ReadinessFile(folder, house.clock)
        stack.callback(readiness.remove)
        return [activity.tell, readiness.tell]

    def _made_heartbeat(self, readers: Sequence[Callable[[DeviceFigures], None]]) -> Heartbeat:
        house = self._house
        gauge = PressureGauge(house.clock, lambda: own_cpu_ns() - house.devices.niced_cpu_ns)
        memory = MemoryKeeper(house.clock)

        def pulse() -> None:
            house.devices.note_pressure(gauge.read())
            house.still_dates.correct()  # before the oldest go
            house.space.look()
            memory.look()
            for camera in house.cameras.values():
                camera.recorder.look()

        return Heartbeat(
            house.figures,
            house.board,
            house.topics,
            house.clock,
            status_interval_s=house.config.mqtt.status_interval_s,
            snapshots=lambda: [camera.snapshots for camera in house.cameras.values()],
            pulse=pulse,
            readers=readers,
        )

    def _note_gone_films(self, films: Sequence[Path]) -> None:
        self._house.store.note_films(
            [GoneFilm(f"{film.parent.name}/{film.name}") for film in films]
        )

    # Ending what there is by then: all of it may have been replaced since the start

    def _close_cameras(self) -> None:
        for camera in self._house.cameras.values():
            camera.close()

    def _rest_cameras(self) -> None:
        for camera in self._house.cameras.values():
            camera.rest()

    def _stop_metrics(self) -> None:
        self._house.metrics.stop()

    def _close_delivery(self) -> None:
        if self._house.delivery is not None:
            self._house.delivery.close()

    def _dismiss_hub(self) -> None:
        if self._house.delivery is not None:
            self._house.delivery.dismiss()


def _without_file(clock: Clock) -> ConfigurationStatus:
    """Return how a configuration stands that somebody made, and nobody read."""
    return ConfigurationStatus(False, "started", "file", (), (), (), iso_utc(clock.wall_ns()))


def _cannot_restart() -> None:
    raise CommandRefused("it was not started in a way that can begin anew")


def _cannot_reload() -> None:
    raise CommandRefused("it was not started from a configuration file")


def _begin(part: Part, stack: ExitStack) -> None:
    part.start()
    stack.callback(part.stop)
