"""What a command does to the running cameras; on the hub's thread."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from camera_app.capture import LiveSource
from camera_app.clock import Clock, iso_utc
from camera_app.config import CONFIGURED, CUSTOM, CameraSettings, ProfileSettings
from camera_app.control.best_shots import BestShots
from camera_app.control.kept import KeptFile
from camera_app.control.self_test import Circumstances, self_test, self_test_message
from camera_app.errors import CommandRefused, DeviceError, StoreError
from camera_app.health import DeviceFigures
from camera_app.media import Recorder, SnapshotKeeper, encode_jpeg, write_still
from camera_app.pipeline import CameraWorker, Orders
from camera_app.publish import StateBoard, Topics
from camera_app.publish.commands import PROFILE, RELOAD, TRY_EDGETPU, Command
from camera_app.publish.settings import SETTINGS, parsed, state_of, value_of, with_value

_log = logging.getLogger(__name__)

# A command that comes while the cameras are being changed waits so long; then it is refused.
HELD_LIMIT_S = 3.0

FACE = "face"  # the class that `faces` is about
PRIVACY = "privacy"
PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Steered:
    """The parts of one camera that commands act on.

    Attributes:
        source: Opens and closes the camera.
        worker: Looks, or does not.
        keeper: Keeps stills, or does not.
        recorder: Has films made, or not.
        stills: Folder of its stills.
        best_shots: Its pictures at the broker.
        variants: The packs to choose from, its model first; none: there is no choice.
        finds_faces: There are faces to be switched off.
    """

    source: LiveSource
    worker: CameraWorker
    keeper: SnapshotKeeper
    recorder: Recorder
    stills: Path
    best_shots: BestShots
    variants: tuple[str, ...] = ()
    finds_faces: bool = False


def orders_of(settings: CameraSettings) -> Orders:
    """Return what a camera's settings mean to its worker."""
    paused = PRIVACY if settings.privacy else PAUSED if not settings.detection else ""
    return Orders(
        paused,
        settings.events,
        keeps_newest=not settings.privacy,
        variant=settings.variant,
        muted=frozenset() if settings.faces else frozenset({FACE}),
    )


def _has(steered: Steered, setting: str) -> bool:
    """Say whether a camera has something behind a setting."""
    if setting == "variant":
        return bool(steered.variants)
    return setting != "faces" or steered.finds_faces


class Steering:
    """Carries out commands, on the hub's thread.

    Args:
        kept: Keeps what is set.
        board: Where state is told.
        topics: Names of the topics.
        clock: Time.
        figures: Reads every part's figures.
        folder: The data folder.
        takes_stills: Whether the disk has space for stills; asked each time.
        note_still: Called with each still that was written.
        profiles: The settings that go together, by name; asked each time.
        restart: Begins the service anew, or refuses.
        reload: Has the configuration file read anew soon, or refuses.
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
        takes_stills: Callable[[], bool],
        note_still: Callable[[Path], None],
        profiles: Callable[[], Mapping[str, ProfileSettings]],
        restart: Callable[[], None],
        reload: Callable[[], None],
        try_edgetpu: Callable[[str], None],
    ) -> None:
        # Held for as long as a command takes. The two below are replaced under it, never changed,
        # so that how a camera stands can be told at any time.
        self._guard = threading.RLock()
        self._settings: Mapping[str, CameraSettings] = {}
        self._cameras: Mapping[str, Steered] = {}
        self._told_profile = ""  # as it was when that could last be found out
        self._kept = kept
        self._board = board
        self._topics = topics
        self._clock = clock
        self._figures = figures
        self._folder = folder
        self._takes_stills = takes_stills
        self._note_still = note_still
        self._profiles = profiles
        self._restart = restart
        self._reload = reload
        self._try_edgetpu = try_edgetpu

    @contextmanager
    def held(self) -> Iterator[None]:
        """Carry out no command meanwhile: the cameras are being changed."""
        with self._guard:
            yield

    def take_over(self, name: str, camera: Steered, settings: CameraSettings) -> None:
        """Steer a camera from now on, which is set like this."""
        with self._guard:
            self._settings = {**self._settings, name: settings}
            self._cameras = {**self._cameras, name: camera}
            self._apply(camera, settings)

    def set_to(self, name: str, settings: CameraSettings) -> None:
        """Have a camera go by other settings while it looks on; as a command would."""
        with self._guard:
            before = self._settings[name]
            self._settings = {**self._settings, name: settings}
            self._apply(self._cameras[name], settings)
            self._open_or_close(self._cameras[name].source, before, settings)

    def let_go(self, name: str) -> None:
        """Steer a camera no more."""
        with self._guard:
            self._settings = {key: one for key, one in self._settings.items() if key != name}
            self._cameras = {key: one for key, one in self._cameras.items() if key != name}

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

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of the profiles; none: there is nothing to choose."""
        return tuple(self._profiles())

    def state_of(self, camera: str, setting: str) -> str:
        """Return how a setting stands; empty where there is no such setting."""
        if not camera:
            return self._profile_to_tell() if setting == PROFILE else ""
        settings, steered = self._settings.get(camera), self._cameras.get(camera)
        if settings is None or steered is None or not _has(steered, setting):
            return ""
        return state_of(settings, setting, steered.variants)

    def _profile_to_tell(self) -> str:
        """Return which profile holds; while the cameras are being changed, which one did."""
        if self._guard.acquire(blocking=False):
            try:
                self._told_profile = self._profile()
            finally:
                self._guard.release()
        return self._told_profile

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
        if command.name == PROFILE:
            self._choose(command.text)
        elif command.is_setting:
            self._set(command)
        elif command.name == "snapshot_now":
            self._take_still(command.camera)
        elif command.name == "self_test":
            self._test()
        elif command.name == TRY_EDGETPU:
            self._try_stick(command.text)
        elif command.name == RELOAD:
            self._reload()
        else:
            self._restart()

    def _try_stick(self, place: str) -> None:
        try:
            self._try_edgetpu(place)
        except DeviceError as error:
            raise CommandRefused(str(error)) from error

    def _set(self, command: Command) -> None:
        camera, name = command.camera, command.name
        if not _has(self._cameras[camera], name):
            raise CommandRefused("this camera has nothing to choose from there")
        value = parsed(name, command.text, self._cameras[camera].variants)
        self._change({camera: with_value(self._settings[camera], name, value)}, [name])

    def _choose(self, profile: str) -> None:
        """Set all that a profile sets, or nothing of it if one value is not allowed."""
        changed = self._settings_of(profile)
        names = SETTINGS if profile == CONFIGURED else self._profiles()[profile].values
        self._change(changed, [name for name in SETTINGS if name in names])

    def _settings_of(self, profile: str) -> dict[str, CameraSettings]:
        """Return the cameras that a profile is for, as it sets them.

        Raises:
            CommandRefused: There is no such profile.
        """
        if profile == CONFIGURED:
            return {camera: self._as_configured(camera) for camera in self._settings}
        chosen = self._profiles().get(profile)
        if chosen is None:
            known = ", ".join((*self._profiles(), CONFIGURED))
            raise CommandRefused(f"there is no such profile; known here: {known}")
        changed = {}
        for camera in chosen.cameras or self._settings:
            if camera in self._settings:
                changed[camera] = self._settings[camera]
                for name, value in chosen.values.items():
                    changed[camera] = with_value(changed[camera], name, value)
        return changed

    def _as_configured(self, camera: str) -> CameraSettings:
        settings, in_file = self._settings[camera], self._kept.in_file(camera)
        for name in SETTINGS:
            settings = with_value(settings, name, value_of(in_file, name))
        return settings

    def _profile(self) -> str:
        """Return which profile holds: the first, where several do."""
        for name in (*self._profiles(), CONFIGURED):
            wanted = self._settings_of(name)
            if wanted and all(self._settings[camera] == one for camera, one in wanted.items()):
                return name
        return CUSTOM

    def _change(self, changed: Mapping[str, CameraSettings], names: Iterable[str]) -> None:
        """Have the cameras be like that, and keep these settings of theirs over a restart."""
        for camera, after in changed.items():
            before = self._settings[camera]
            self._settings = {**self._settings, camera: after}
            if after != before:
                self._apply(self._cameras[camera], after)
                self._open_or_close(self._cameras[camera].source, before, after)
        try:
            self._kept.keep(
                {
                    camera: {name: value_of(after, name) for name in names}
                    for camera, after in changed.items()
                }
            )
        except StoreError as error:
            _log.warning("settings of %s: %s", ", ".join(changed), error)
            raise CommandRefused(
                f"is done, and will not outlive a restart: it {error.what}"
            ) from error

    def _apply(self, camera: Steered, settings: CameraSettings) -> None:
        # These first: no picture of what came before is written once privacy is wanted.
        camera.keeper.is_enabled = settings.snapshots.enabled and not settings.privacy
        camera.recorder.switch(settings.recording.enabled and not settings.privacy)
        if settings.privacy:
            camera.best_shots.withdraw()
        else:
            camera.best_shots.allow()
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
        camera.best_shots.show(picture)
        if not self._takes_stills():
            told = "shown, and not kept" if camera.best_shots.is_sent else "not kept"
            raise CommandRefused(f"the picture is {told}: the disk has no space for stills")
        path = camera.stills / f"asked-{stamp}.jpg"
        write_still(path, picture)
        self._note_still(path)

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
