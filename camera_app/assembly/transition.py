"""The way from one configuration to another while cameras look on: all of it, or none.

What may fail is done first, beside what runs: networks are loaded, sources are opened, the broker
is asked. Only then do cameras change over. Each step says how it is undone the moment it has begun,
and if one fails all are, the last first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType

from camera_app.assembly.camera import Camera
from camera_app.assembly.delivery import Delivery
from camera_app.assembly.devices import Succession, device_plan, shares_of
from camera_app.assembly.house import (
    House,
    delivery_settings,
    film_folders,
    has_snapshots,
    models_of,
    reserve_bytes,
    stills_folders,
    wanted_cameras,
)
from camera_app.capture.source import Reason
from camera_app.config import CameraSettings, Config
from camera_app.control import KeptFile, is_order
from camera_app.errors import BrokerUnreachable, CameraAppError, SourceUnsupported
from camera_app.threads import Deadline

_log = logging.getLogger(__name__)

# A camera on the network answers within this or is away just now, which is no fault of the file.
SOURCE_LIMIT_S = 10.0
BROKER_LIMIT_S = 10.0
POLL_S = 0.05
# A source that says this has understood us and says no: it will not be otherwise tomorrow.
_FINAL = (Reason.UNSUPPORTED, Reason.REFUSED)

STEPS = ("networks", "sources", "broker", "cameras", "rest")


@dataclass(frozen=True, slots=True)
class _Difference:
    """What becomes of each camera, by name.

    Attributes:
        kept: Go on as they are.
        ordered: Look on, by other settings.
        remade: Are made anew, their source perhaps kept.
        added: Were not there.
        removed: Are there no more.
    """

    kept: Mapping[str, Camera]
    ordered: Mapping[str, CameraSettings]
    remade: Mapping[str, Camera]
    added: Mapping[str, Camera]
    removed: frozenset[str]

    @property
    def new(self) -> dict[str, Camera]:
        return {**self.remade, **self.added}


class Transition:
    """One change of configuration; on the thread that starts and stops the service.

    Args:
        house: What runs.
        config: What is to be in force; it differs in nothing that needs a restart.
        told: Called with the name of each step before it is taken.
    """

    def __init__(
        self, house: House, config: Config, told: Callable[[str], None] = lambda _: None
    ) -> None:
        self._house = house
        self._config = config
        self._told = told
        self._before = house.config
        self._settings = house.steering.settings  # of the cameras as they run
        self._kept = KeptFile(config.data.folder, config.camera)
        self._wanted: Mapping[str, CameraSettings] = {}
        self._cameras_before = dict(house.cameras)
        self._new_delivery: Delivery | None = None
        self._notes: list[str] = []

    def carry_out(self) -> tuple[str, ...]:
        """Change over; return what an owner should know, such as a camera that is away.

        Raises:
            CameraAppError: It cannot be; all is as it was before.
        """
        try:
            succession, difference = self._change_over()
            self._afterwards("ending what looked before", succession.conclude)
            self._afterwards("taking cameras back that went", lambda: self._retire(difference))
        finally:
            # Whatever it is by now; when commands are taken again, or the hub would wait for us.
            self._afterwards("announcing the cameras", self._announce)
        return tuple(self._notes)

    def _change_over(self) -> tuple[Succession, _Difference]:
        with self._house.steering.held(), ExitStack() as stack:
            self._settings = self._house.steering.settings  # nothing is set from here on
            difference = self._difference()
            self._told("networks")
            succession = self._load_networks(difference, stack)
            self._told("sources")
            self._open_sources(difference, stack)
            self._told("broker")
            self._connect(difference, stack)
            self._told("cameras")
            self._change_cameras(difference, succession, stack)
            self._told("rest")
            self._adopt_the_rest(difference, stack)
        return succession, difference

    def _afterwards(self, what: str, step: Callable[[], None]) -> None:
        """Do what cannot be taken back, and nothing is taken back for."""
        try:
            step()
        except Exception as error:
            # The safety net of what is done: a configuration in force is not told as refused.
            _log.exception("%s failed", what)
            why = str(error) if isinstance(error, CameraAppError) else type(error).__name__
            self._notes.append(f"{what} failed ({why}); a restart of the service mends it")

    # What is to be done

    def _difference(self) -> _Difference:
        self._wanted = wanted_cameras(self._config, self._kept)
        around = self._house.surroundings(self._config)
        kept: dict[str, Camera] = {}
        ordered: dict[str, CameraSettings] = {}
        remade: dict[str, Camera] = {}
        added: dict[str, Camera] = {}
        for name, settings in self._wanted.items():
            models, camera = models_of(self._config, settings), self._cameras_before.get(name)
            if camera is None:
                added[name] = Camera(name, settings, models, around)
                continue
            successor = camera.succeeded_by(settings, models, around)
            if not camera.looks_like(successor) or not is_order(self._settings[name], settings):
                remade[name] = successor
            elif settings != self._settings[name]:
                ordered[name] = settings
            else:
                kept[name] = camera
        removed = frozenset(self._cameras_before.keys() - self._wanted.keys())
        return _Difference(kept, ordered, remade, added, removed)

    # The steps

    def _load_networks(self, difference: _Difference, stack: ExitStack) -> Succession:
        config = self._config
        models = [
            (difference.new.get(name) or self._cameras_before[name]).models for name in self._wanted
        ]
        plan = device_plan(config.inference, models, config.models.trusted_keys)
        succession = self._house.devices.prepare(plan, shares_of(self._wanted))
        stack.push(_if_failed(succession.abandon))
        return succession

    def _open_sources(self, difference: _Difference, stack: ExitStack) -> None:
        opening: list[Camera] = []
        for name, camera in difference.new.items():
            before = self._cameras_before.get(name)
            if before is not None and before.source is camera.source:
                self._open_or_close(camera, stack)
                continue
            if before is not None:
                before.close()  # two cannot have one device
                stack.push(_if_failed(self._reopener(before)))
            stack.push(_if_failed(camera.close))
            camera.open()
            if not camera.settings.privacy:
                opening.append(camera)
        deadline = Deadline(SOURCE_LIMIT_S)
        for camera in opening:
            self._await_first_picture(camera, deadline)

    def _open_or_close(self, camera: Camera, stack: ExitStack) -> None:
        """Bring a source that stays to where its owner wants it."""
        was_closed = self._settings[camera.name].privacy
        if camera.settings.privacy and not was_closed:
            stack.push(_if_failed(camera.source.start))
            camera.close()
        elif was_closed and not camera.settings.privacy:
            stack.push(_if_failed(camera.close))
            camera.open()

    def _reopener(self, camera: Camera) -> Callable[[], None]:
        def reopen() -> None:
            if not self._settings[camera.name].privacy and not camera.source.is_running:
                camera.source.start()

        return reopen

    def _await_first_picture(self, camera: Camera, deadline: Deadline) -> None:
        """Wait until a source delivers, or is known not to; one that is away is waited for later.

        Raises:
            SourceUnsupported: It was refused, or is nothing that can be read.
        """
        while not deadline.is_over:
            stats = camera.source.stats()
            if stats.frames:
                return
            if any(reason in stats.lost for reason in _FINAL):
                raise SourceUnsupported(stats.state, where=f"camera.{camera.name}.source")
            _pause()
        state = camera.source.stats().state
        self._notes.append(f"camera.{camera.name} brings no pictures yet: {state}")

    def _connect(self, difference: _Difference, stack: ExitStack) -> None:
        before = self._house.delivery
        assert before is not None, "a transition is between two states of a running service"
        if delivery_settings(self._config) == before.settings:
            return
        stats = before.stats()
        was_connected = stats is not None and stats.is_connected
        stack.push(_if_failed(self._go_back_to_old_delivery))
        before.dismiss()
        before.close()
        after = self._house.delivery_for(self._config, self._cameras_after(difference))
        self._new_delivery = self._house.delivery = after
        stack.push(_if_failed(after.close))
        after.open()
        if was_connected and self._config.mqtt.enabled:
            self._await_connection(after)

    def _go_back_to_old_delivery(self) -> None:
        delivery = self._house.delivery_for(self._before, self._house.cameras)
        delivery.open()
        delivery.attend()
        self._house.delivery = delivery

    def _await_connection(self, delivery: Delivery) -> None:
        """Wait for the broker: one that was reached must not be lost by a wrong word in a file.

        Raises:
            BrokerUnreachable: It does not take us.
        """
        deadline = Deadline(BROKER_LIMIT_S)
        stats = delivery.stats()
        while stats is not None and not stats.is_connected:
            if stats.state == "refused" or deadline.is_over:
                why = stats.last_error or "the broker does not answer"
                raise BrokerUnreachable(why, where="mqtt")
            _pause()
            stats = delivery.stats()

    def _change_cameras(
        self, difference: _Difference, succession: Succession, stack: ExitStack
    ) -> None:
        house = self._house
        for name in (*difference.removed, *difference.remade):
            stack.push(_if_failed(self._reviver(name)))
            self._cameras_before[name].rest()
        for name in difference.removed:
            house.steering.let_go(name)
            stack.push(_if_failed(self._reopener(self._cameras_before[name])))
            self._cameras_before[name].close()
        stack.push(_if_failed(succession.go_back))
        succession.take_over()
        for name, settings in difference.ordered.items():
            stack.push(_if_failed(self._resetter(name)))
            house.steering.set_to(name, settings)
            house.cameras[name].settings = settings
        for name, camera in difference.new.items():
            stack.push(_if_failed(self._remover(name, camera)))
            camera.watch()
            house.steering.take_over(name, camera.steered, camera.settings)
        house.cameras = self._cameras_after(difference)

    def _cameras_after(self, difference: _Difference) -> dict[str, Camera]:
        new = difference.new
        return {name: new.get(name) or self._cameras_before[name] for name in self._wanted}

    def _announce(self) -> None:
        assert self._house.delivery is not None
        self._house.delivery.announce(self._house.cameras)

    def _reviver(self, name: str) -> Callable[[], None]:
        """Return what puts a camera back that rests, with the source that it had."""

        def revive() -> None:
            house, settings = self._house, self._settings[name]
            gone = self._cameras_before[name]
            around = house.surroundings(self._before)
            camera = Camera(name, settings, gone.models, around, gone.feed)
            camera.watch()
            house.steering.take_over(name, camera.steered, settings)
            self._cameras_before[name] = camera
            house.cameras = dict(self._cameras_before)

        return revive

    def _resetter(self, name: str) -> Callable[[], None]:
        def reset() -> None:
            self._house.steering.set_to(name, self._settings[name])
            self._cameras_before[name].settings = self._settings[name]

        return reset

    def _remover(self, name: str, camera: Camera) -> Callable[[], None]:
        def remove() -> None:
            camera.rest()
            self._house.steering.let_go(name)
            self._house.cameras = dict(self._cameras_before)

        return remove

    def _adopt_the_rest(self, difference: _Difference, stack: ExitStack) -> None:
        house, config = self._house, self._config
        kept = house.steering.keep_in(self._kept)
        stack.push(_if_failed(lambda: house.steering.keep_in(kept)))
        stack.push(_if_failed(lambda: self._adopt(self._before)))
        self._adopt(config)
        if config.metrics != self._before.metrics:
            stack.push(_if_failed(lambda: self._tell_metrics_of(self._before)))
            self._tell_metrics_of(config)
        if self._new_delivery is not None:
            stack.push(_if_failed(self._new_delivery.dismiss))
            self._new_delivery.attend()
        for camera in difference.added.values():
            if camera.settings.privacy or not camera.source.stats().is_delivering:
                camera.tell_unseen()

    def _tell_metrics_of(self, config: Config) -> None:
        house = self._house
        house.metrics.stop()
        house.metrics = house.metrics_for(config)
        house.metrics.start()

    def _adopt(self, config: Config) -> None:
        """Have the parts that need no more than a word go by a configuration."""
        house = self._house
        house.store.retain(config.retention)
        films = film_folders(config)
        house.film_keeper.look_after(films)
        house.space.change(
            reserve_bytes(config), stills_folders(config), [one.folder for one in films]
        )
        if house.heartbeat is not None:
            house.heartbeat.tell_status_every(config.mqtt.status_interval_s)
        if house.mirror is not None:
            house.mirror.know(has_snapshots(config))
        logging.getLogger().setLevel(config.log.level.upper())
        house.config = config

    def _retire(self, difference: _Difference) -> None:
        """Have the broker forget cameras that are gone."""
        for name in difference.removed:
            self._house.board.retire(f"{self._house.topics.root}/{name}")


_Exit = Callable[
    [type[BaseException] | None, BaseException | None, TracebackType | None], bool | None
]


def _if_failed(undo: Callable[[], object]) -> _Exit:
    """Return the end of a context that undoes something if the context failed.

    An undoing that fails itself is logged, and does not keep the others from being done.
    """

    def leave(
        kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> bool:
        if kind is not None:
            try:
                undo()
            except Exception:
                # The safety net of the way back: each step of it counts for itself.
                _log.exception("a step back to the configuration of before failed")
        return False

    return leave


def _pause() -> None:
    threading.Event().wait(POLL_S)
