"""What a command does to the running cameras; on the hub's thread."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from camera_app.capture import LiveSource
from camera_app.clock import Clock, iso_utc
from camera_app.config import CameraSettings
from camera_app.control.kept import KeptFile
from camera_app.control.self_test import Circumstances, self_test, self_test_message
from camera_app.errors import CommandRefused, DeviceError, StoreError
from camera_app.health import DeviceFigures
from camera_app.media import SnapshotKeeper, encode_jpeg, write_still
from camera_app.pipeline import CameraWorker, Orders
from camera_app.publish import StateBoard, Topics
from camera_app.publish.commands import TRY_EDGETPU, Command
from camera_app.publish.settings import parsed, state_of, value_of, with_value

_log = logging.getLogger(__name__)

# A command that comes while the cameras are being changed waits so long; then it is refused.
HELD_LIMIT_S = 3.0

PRIVACY = "privacy"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Steered:
    """The parts of one camera that commands act on.

    Attributes:
        source: Opens and closes the camera.
        worker: Looks, or does not.
        keeper: Keeps stills, or does not.
        stills: Folder of its stills.
    """

    source: LiveSource
    worker: CameraWorker
    keeper: SnapshotKeeper
    stills: Path


def orders_of(settings: CameraSettings) -> Orders:
    """Return what a camera's settings mean to its worker."""
    paused = PRIVACY if settings.privacy else PAUSED if not settings.detection else ""
    return Orders(paused, settings.events, keeps_newest=not settings.privacy)


class Steering:
    """Carries out commands, on the hub's thread.

    Args:
        kept: Keeps what is set.
        board: Where state is told.
        topics: Names of the topics.
        clock: Time.
        figures: Reads every part's figures.
        folder: The data folder.
        sends_snapshots: Whether stills may leave the device; asked each time.
        restart: Begins the service anew, or refuses.
        try_edgetpu: Has a stick that was put away tried again, by its place, or says why not.
    """

    def __init__(
        self,
        kept: KeptFile,
        *,
        board: StateBoard,
        topics: Topics,
        clock: Clock,
        figures: Callable[[], DeviceFigures],
        folder: Path,
        sends_snapshots: Callable[[], bool],
        restart: Callable[[], None],
        try_edgetpu: Callable[[str], None],
    ) -> None:
        self._guard = (
            threading.RLock()
        )  # guards the next three: held for as long as a command takes
        self._settings: dict[str, CameraSettings] = {}
        self._cameras: dict[str, Steered] = {}
        self._kept = kept
        self._board = board
        self._topics = topics
        self._clock = clock
        self._figures = figures
        self._folder = folder
        self._sends_snapshots = sends_snapshots
        self._restart = restart
        self._try_edgetpu = try_edgetpu

    @contextmanager
    def held(self) -> Iterator[None]:
        """Carry out no command meanwhile: the cameras are being changed."""
        with self._guard:
            yield

    def take_over(self, name: str, camera: Steered, settings: CameraSettings) -> None:
        """Steer a camera from now on, which is set like this."""
        with self._guard:
            self._settings[name] = settings
            self._cameras[name] = camera
            self._apply(camera, settings)

    def let_go(self, name: str) -> None:
        """Steer a camera no more."""
        with self._guard:
            del self._settings[name], self._cameras[name]

    @property
    def settings(self) -> dict[str, CameraSettings]:
        """The cameras' sections as they hold now, what was set over MQTT included."""
        with self._guard:
            return dict(self._settings)

    def keep_in(self, kept: KeptFile) -> KeptFile:
        """Keep what is set there from now on; return where it was kept before."""
        with self._guard:
            before, self._kept = self._kept, kept
            return before

    def state_of(self, camera: str, setting: str) -> str:
        settings = self._settings.get(camera)
        return "" if settings is None else state_of(settings, setting)

    def carry_out(self, command: Command) -> None:
        """Do what is asked.

        Raises:
            CommandRefused: It is not done, and why.
            StoreError: It is done, and will not outlive a restart.
        """
        if not self._guard.acquire(timeout=HELD_LIMIT_S):
            raise CommandRefused("the cameras are being changed just now; try again in a moment")
        try:
            self._carry_out(command)
        finally:
            self._guard.release()

    def _carry_out(self, command: Command) -> None:
        if command.camera and command.camera not in self._cameras:
            raise CommandRefused("there is no such camera any more")
        if command.is_setting:
            self._set(command)
        elif command.name == "snapshot_now":
            self._take_still(command.camera)
        elif command.name == "self_test":
            self._test()
        elif command.name == TRY_EDGETPU:
            self._try_stick(command.text)
        else:
            self._restart()

    def _try_stick(self, place: str) -> None:
        try:
            self._try_edgetpu(place)
        except DeviceError as error:
            raise CommandRefused(str(error)) from error

    def _set(self, command: Command) -> None:
        before = self._settings[command.camera]
        value = parsed(command.name, command.text)
        after = with_value(before, command.name, value)
        self._settings[command.camera] = after
        if after != before:
            self._apply(self._cameras[command.camera], after)
            self._open_or_close(self._cameras[command.camera].source, before, after)
        self._keep(command, value_of(after, command.name))

    def _keep(self, command: Command, value: bool | float) -> None:
        try:
            self._kept.keep(command.camera, command.name, value)
        except StoreError as error:
            _log.warning("%s of camera %s: %s", command.name, command.camera, error)
            raise CommandRefused(
                f"is done, and will not outlive a restart: it {error.what}"
            ) from error

    def _apply(self, camera: Steered, settings: CameraSettings) -> None:
        # The keeper first: no still of what came before is written once privacy is wanted.
        camera.keeper.is_enabled = settings.snapshots.enabled and not settings.privacy
        camera.worker.order(orders_of(settings))

    def _open_or_close(
        self, source: LiveSource, before: CameraSettings, after: CameraSettings
    ) -> None:
        if after.privacy and not before.privacy:
            source.stop()
        elif before.privacy and not after.privacy:
            source.start()

    def _take_still(self, name: str) -> None:
        camera = self._cameras[name]
        frame = camera.worker.newest_frame
        if frame is None or not camera.source.stats().is_delivering:
            raise CommandRefused("the camera has no picture now")
        stamp = iso_utc(self._clock.wall_ns()).replace(":", "-")
        picture = encode_jpeg(frame.picture, self._settings[name].snapshots.quality)
        if self._sends_snapshots():
            self._board.put(self._topics.snapshot(name), picture)
        write_still(camera.stills / f"asked-{stamp}.jpg", picture)

    def _test(self) -> None:
        cameras = self._settings.items()
        around = Circumstances(
            now_ns=self._clock.monotonic_ns(),
            free_bytes=shutil.disk_usage(self._folder).free,
            closed=frozenset(name for name, one in cameras if one.privacy),
            paused=frozenset(name for name, one in cameras if not one.detection),
        )
        result = self_test(self._figures(), around, iso_utc(self._clock.wall_ns()))
        self._board.put(self._topics.self_test, self_test_message(result))
