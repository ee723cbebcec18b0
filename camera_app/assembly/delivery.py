"""The way to the hub: the publisher, what is announced, commands, and the live view."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from camera_app import __version__
from camera_app.assembly.camera import Camera
from camera_app.clock import Clock
from camera_app.config import HomeAssistantSettings, MqttSettings
from camera_app.control import LiveView, Steering
from camera_app.publish import (
    FreshEvents,
    FrigateMirror,
    Hub,
    MirroringBoard,
    Publisher,
    PublisherStats,
    StateBoard,
    Topics,
)
from camera_app.publish.discovery import (
    AnnouncedCamera,
    AnnouncedDevice,
    Announcement,
    announcements,
    title,
)
from camera_app.store import EventStore

_log = logging.getLogger(__name__)

FAREWELL_S = 2.0  # how long a stopping service waits for the broker's last acknowledgements


@dataclass(frozen=True, slots=True)
class DeliverySettings:
    """How this device is to be heard; a change of any of it makes the connection anew.

    Attributes:
        device_id: Of the device.
        mqtt: The way to the broker.
        home_assistant: How Home Assistant learns of us.
        takes_commands: Settings can be changed over MQTT.
    """

    device_id: str
    mqtt: MqttSettings
    home_assistant: HomeAssistantSettings
    takes_commands: bool


@dataclass(frozen=True, slots=True)
class Household:
    """What the way to the hub uses and does not own.

    Attributes:
        store: What is to be told.
        board: State that is to be told.
        mirror: Tells as Frigate would; None: nobody wants that.
        topics: Names of the topics.
        steering: Does what is asked.
        folder: The data folder.
        clock: Time.
    """

    store: EventStore
    board: StateBoard
    mirror: FrigateMirror | None
    topics: Topics
    steering: Steering
    folder: Path
    clock: Clock


class Delivery:
    """The way to the hub; without a broker in the configuration there is none, and nothing is done.

    It is begun in two steps: `open` begins to tell, `attend` announces the cameras and listens to
    commands. They are undone by `close` and `dismiss`.

    Args:
        settings: How this device is to be heard.
        around: What it uses and does not own.
        cameras: What is announced, and shown.
    """

    def __init__(
        self, settings: DeliverySettings, around: Household, cameras: Mapping[str, Camera]
    ) -> None:
        self.settings = settings
        self._around = around
        self._cameras = dict(cameras)
        self._publisher: Publisher | None = None
        self._hub: Hub | None = None
        self._opened = ExitStack()  # owned by the caller of the four, as are all here
        self._attending = ExitStack()
        if settings.mqtt.enabled:
            # Made before the store starts: it listens to commits. The hub before the publisher
            # starts: it listens to that.
            self._publisher = Publisher(
                settings.mqtt, settings.device_id, around.store, around.board, around.clock
            )
            self._opened.callback(self._publisher.detach)
            self._hub = self._made_hub(self._publisher)

    def open(self) -> None:
        """Begin to tell."""
        if self._publisher is None:
            return
        store = self._around.store
        if self._around.mirror is not None:
            fresh = FreshEvents(
                self._around.mirror,
                self._publisher.say,
                self._around.clock,
                self.settings.mqtt.now_max_age_s,
            )
            store.add_listener(fresh)
            self._opened.callback(store.remove_listener, fresh)
        self._publisher.start()
        self._opened.callback(self._publisher.stop)
        self._opened.callback(self._tell_the_rest, self._publisher)
        if isinstance(self._around.board, MirroringBoard):
            self._opened.callback(self._around.board.say_farewell)

    def attend(self) -> None:
        """Announce the cameras, listen to commands, show what is seen."""
        if self._publisher is None or self._hub is None:
            return
        if self.settings.mqtt.live_interval_s:
            view = self._live_view(self._publisher)
            view.start()
            self._attending.callback(view.stop)
        self._hub.start()
        self._attending.callback(self._hub.stop)

    def dismiss(self) -> None:
        """Listen to nobody and show nothing any more."""
        self._attending.close()

    def close(self) -> None:
        """Tell the last, and no more."""
        self._opened.close()

    def announce(self, cameras: Mapping[str, Camera]) -> None:
        """Announce and show these cameras from now on; what is gone is taken back."""
        self._cameras = dict(cameras)
        if self._hub is not None:
            self._hub.announce(self._announcements(), self._cameras.keys())

    def stats(self) -> PublisherStats | None:
        """Return how telling goes; None where nobody is told."""
        return None if self._publisher is None else self._publisher.stats()

    def _tell_the_rest(self, publisher: Publisher) -> None:
        """Let the last changes go out, for a moment; the next start tells what does not."""
        is_connected = publisher.stats().is_connected
        if is_connected and not self._around.store.wait_drained(FAREWELL_S):
            _log.info("some event changes will be told after the next start")

    def _made_hub(self, publisher: Publisher) -> Hub:
        return Hub(
            self.settings.home_assistant,
            self._announcements(),
            topics=self._around.topics,
            cameras=self._cameras.keys(),
            conduct=self._around.steering if self.settings.takes_commands else None,
            voice=publisher,
            board=self._around.board,
            folder=self._around.folder,
            clock=self._around.clock,
            random=random.random,
        )

    def _announcements(self) -> Sequence[Announcement]:
        mqtt, wanted = self.settings.mqtt, self.settings.home_assistant
        announced = AnnouncedDevice(
            device_id=self.settings.device_id,
            name=wanted.name or title(self.settings.device_id),
            version=__version__,
            topics=self._around.topics,
            cameras=[
                AnnouncedCamera(
                    name,
                    camera.places,
                    sends_snapshots=mqtt.snapshots,
                    sends_live=bool(mqtt.live_interval_s),
                    tells_motion=camera.settings.motion.enabled,
                    lines=[(line.name, line.direction) for line in camera.settings.lines],
                    loitering_zones=[one.name for one in camera.settings.zones if one.loitering_s],
                    variants=camera.variants,
                    finds_faces=camera.finds_faces,
                    can_record=camera.settings.can_record,
                )
                for name, camera in self._cameras.items()
            ],
            status_interval_s=mqtt.status_interval_s,
            takes_commands=self.settings.takes_commands,
            profiles=self._around.steering.profiles,
        )
        return announcements(announced, wanted.discovery, wanted.prefix)

    def _live_view(self, publisher: Publisher) -> LiveView:
        return LiveView(
            lambda: {name: camera.shown for name, camera in self._cameras.items()},
            publisher.say,
            lambda: publisher.stats().is_connected,
            self.settings.mqtt.live_interval_s,
        )
