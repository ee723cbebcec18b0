"""Every part of the service, and what of it can be replaced while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from camera_app import __version__
from camera_app.assembly.camera import Camera, Surroundings
from camera_app.assembly.delivery import Delivery, DeliverySettings, Household
from camera_app.assembly.devices import Devices, model_choices
from camera_app.clock import Clock
from camera_app.config import CameraSettings, Config
from camera_app.control import KeptFile, Steering
from camera_app.health import DeviceFigures, Heartbeat
from camera_app.media import FilmFolder, FilmKeeper, SpaceGuard, StillDates
from camera_app.models import ModelSet, find_models
from camera_app.pipeline import ModelChoice
from camera_app.publish import FrigateMirror, StateBoard, Topics
from camera_app.roster import ROSTER
from camera_app.store import FILMS_FOLDER, EventStore
from camera_app.threads import Part

STILLS_FOLDER = "snapshots"


class Metrics(Part, Protocol):
    """Tells metrics to whoever asks."""

    trouble: str  # why it does not, though it should; empty: it does


class NoMetrics:
    """Stands in where they are not wanted."""

    trouble = ""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class House:
    """The parts. The last five are replaced, never changed, because other threads read them.

    Attributes:
        clock: Time.
        began_ns: When the service was started, monotonic.
        topics: Names of the topics.
        store: Keeps events.
        board: State that is to be told.
        mirror: Tells as Frigate would; None: nobody wants that.
        space: Watches the disk.
        film_keeper: Looks after films that are closed.
        still_dates: Has stills dated anew.
        devices: Who looks.
        steering: Does what is asked over MQTT.
        config: What is in force.
        cameras: Those that are enabled, by name.
        delivery: The way to the hub; None before the start.
        heartbeat: Keeps the retained state true; None before the start.
        metrics: Tells them where that is wanted.
    """

    clock: Clock
    began_ns: int
    topics: Topics
    store: EventStore
    board: StateBoard
    mirror: FrigateMirror | None
    space: SpaceGuard
    film_keeper: FilmKeeper
    still_dates: StillDates
    devices: Devices
    steering: Steering
    config: Config
    cameras: Mapping[str, Camera]
    delivery: Delivery | None = None
    heartbeat: Heartbeat | None = None
    metrics: Metrics = field(default_factory=NoMetrics)

    def metrics_for(self, config: Config) -> Metrics:
        """Return what tells metrics as a configuration asks for it, not begun yet."""
        if not config.metrics.listen:
            return NoMetrics()
        # Imported only where it is wanted: what it needs costs a megabyte.
        from camera_app.health.metrics import MetricsServer

        return MetricsServer(config.metrics, self.figures, self.clock)

    def figures(self) -> DeviceFigures:
        """Return how every part does now; for after the start, from any thread."""
        delivery = self.delivery
        return DeviceFigures(
            version=__version__,
            uptime_ns=self.clock.monotonic_ns() - self.began_ns,
            cameras={name: camera.figures for name, camera in self.cameras.items()},
            executor=self.devices.stats,
            store=self.store.stats(),
            publisher=None if delivery is None else delivery.stats(),
            space=self.space.space,
            signs=ROSTER.signs(),
            metrics_trouble=self.metrics.trouble,
        )

    def surroundings(self, config: Config) -> Surroundings:
        """Return what every camera uses by a configuration."""

        def choices(models: ModelSet) -> tuple[ModelChoice, ...]:
            return model_choices(config.inference, models, config.models.trusted_keys)

        return Surroundings(
            clock=self.clock,
            devices=self.devices,
            commit=self.store.commit,
            board=self.board,
            topics=self.topics,
            stills=config.data.folder / STILLS_FOLDER,
            films=config.data.folder / FILMS_FOLDER,
            film_keeper=self.film_keeper,
            takes_snapshots=lambda: self.space.takes_snapshots,
            takes_films=lambda: self.space.takes_films,
            note_still=self.still_dates.note,
            sends_snapshots=lambda: self.config.mqtt.snapshots,
            choices=choices,
        )

    def delivery_for(self, config: Config, cameras: Mapping[str, Camera]) -> Delivery:
        """Return the way to the hub that a configuration asks for, not begun yet."""
        around = Household(
            store=self.store,
            board=self.board,
            mirror=self.mirror,
            topics=self.topics,
            steering=self.steering,
            folder=config.data.folder,
            clock=self.clock,
        )
        return Delivery(delivery_settings(config), around, cameras)


def delivery_settings(config: Config) -> DeliverySettings:
    """Return the part of a configuration that says how this device is heard."""
    return DeliverySettings(
        config.device_id, config.mqtt, config.home_assistant, config.commands.enabled
    )


def wanted_cameras(config: Config, kept: KeptFile) -> dict[str, CameraSettings]:
    """Return the enabled cameras, as they were last set where that may be done over MQTT."""
    cameras = kept.load() if config.commands.enabled else config.camera
    return {name: camera for name, camera in cameras.items() if camera.enabled}


def models_of(config: Config, camera: CameraSettings) -> ModelSet:
    """Return what looks at a camera's frames.

    Raises:
        ModelError: One of its models is wrong or missing.
    """
    return find_models(camera.model or config.inference.model, config.models.trusted_keys)


def has_snapshots(config: Config) -> dict[str, bool]:
    """Return which cameras keep stills, as the file says."""
    return {name: camera.snapshots.enabled for name, camera in config.camera.items()}


def stills_folders(config: Config) -> list[Path]:
    """Return the folders in which stills of the cameras lie."""
    return [config.data.folder / STILLS_FOLDER / name for name in config.camera]


def film_folders(config: Config) -> list[FilmFolder]:
    """Return the folders in which films of the cameras lie, and their limits."""
    folder = config.data.folder / FILMS_FOLDER
    return [FilmFolder(name, folder / name, one.recording) for name, one in config.camera.items()]


def reserve_bytes(config: Config) -> int:
    """Return what is to be kept free of pictures."""
    return round(config.data.reserve_megabytes * 1e6)
