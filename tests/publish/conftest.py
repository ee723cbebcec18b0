"""What the tests of the publisher share: a broker, a subscriber, a store with changes in it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from camera_app.capture.backoff import BackOff
from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, RetentionSettings
from camera_app.publish import Publisher, StateBoard, client
from camera_app.store import EventStore
from camera_app.values import BestMoment, Box, ChangeType, Event, EventChange, Size
from tests import wire
from tests.publish.mosquitto import LIMIT_S, Mosquitto

CLOCK = SystemClock()
OLD_S = 3600.0


def make_change(number: int, *, camera: str = "front", age_s: float = OLD_S) -> EventChange:
    """Return the start of event `number`, so many seconds ago."""
    at_ns, box = number * 1_000_000, Box(10, 20, 40, 80)
    event = Event(
        event_id=f"019b0000-0000-7000-8000-{number:012d}",
        camera=camera,
        label="person",
        started_ns=at_ns,
        last_seen_ns=at_ns,
        box=box,
        score=0.75,
        top_score=0.9,
        best=BestMoment(at_ns, box, 0.9),
        frame_size=Size(640, 480),
    )
    wall_ns = CLOCK.wall_ns() - round(age_s * 1e9)
    return EventChange(ChangeType.STARTED, at_ns, wall_ns, event, "appeared")


@dataclass(frozen=True)
class Received:
    """One message as a subscriber got it."""

    topic: str
    payload: bytes
    is_retained: bool
    qos: int
    properties: Properties | None

    @property
    def json(self) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.payload)
        return record


class Subscriber:
    """A second client, independent of ours; keeps what it gets in order.

    Each message is held against the reference of the wire at the end, unless a test says
    `is_checked=False` because it made topics up.
    """

    def __init__(
        self, port: int, topic: str = "#", qos: int = 1, *, is_checked: bool = True, **login: Any
    ) -> None:
        self.is_checked = is_checked
        self._changed = threading.Condition()  # guards the list
        self.messages: list[Received] = []
        self._is_subscribed = threading.Event()
        self._topic = topic
        self._qos = qos
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "reader", protocol=paho.MQTTv5)
        if login:
            self._client.username_pw_set(**login)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._is_subscribed.set()
        self._client.on_message = self._keep
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._is_subscribed.wait(LIMIT_S)

    def _subscribe(self, *_: Any) -> None:
        # Retained as published: tells a retained message from one that is only delivered now.
        options = SubscribeOptions(self._qos, retainAsPublished=True)
        self._client.subscribe(self._topic, options=options)

    def _keep(self, _client: paho.Client, _userdata: Any, got: paho.MQTTMessage) -> None:
        message = Received(got.topic, got.payload, got.retain, got.qos, got.properties)
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def forget_subscription(self) -> None:
        self._is_subscribed.clear()

    def wait_subscribed(self) -> None:
        assert self._is_subscribed.wait(LIMIT_S)

    def wait_for(self, enough: Callable[[list[Received]], bool], limit_s: float = LIMIT_S) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: enough(self.messages), limit_s)

    def on(self, topic: str) -> list[Received]:
        with self._changed:
            return [message for message in self.messages if message.topic == topic]

    def wait_on(self, topic: str, payload: bytes) -> bool:
        return self.wait_for(
            lambda got: any(m.topic == topic and m.payload == payload for m in got)
        )

    def problems(self) -> list[str]:
        """Return what in the messages is not as the reference of the wire tells, once each."""
        found = [
            problem
            for message in self.messages
            for problem in wire.problems(
                message.topic,
                message.payload,
                is_retained=message.is_retained,
                qos=message.qos if self._qos else None,
            )
        ]
        return list(dict.fromkeys(found)) if self.is_checked else []

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Return a maker of started brokers."""
    started: list[Mosquitto] = []

    def start(**options: Any) -> Mosquitto:
        folder = tmp_path / f"broker{len(started)}"
        folder.mkdir()
        made = Mosquitto(folder, options)
        started.append(made)
        made.start()
        return made

    yield start
    for made in started:
        made.stop()


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Subscriber]]:
    """Return a maker of subscribers."""
    made: list[Subscriber] = []

    def start(port: int, topic: str = "#", **options: Any) -> Subscriber:
        subscriber = Subscriber(port, topic, **options)
        made.append(subscriber)
        return subscriber

    yield start
    for subscriber in made:
        subscriber.close()
    assert [problem for subscriber in made for problem in subscriber.problems()][:5] == []


@dataclass
class Camera:
    """A store and its publisher, as `app` would build them."""

    store: EventStore
    publisher: Publisher
    board: StateBoard


@pytest.fixture(autouse=True)
def nobody_comes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """The publisher looks when there is something to do, and at no other time."""
    monkeypatch.setattr(client, "IDLE_S", 3600.0)


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Callable[..., Camera]]:
    """Return a maker of a store that runs and a publisher that does not yet."""
    made: list[Camera] = []

    def build(port: int, **settings: Any) -> Camera:
        options = {
            name: settings.pop(name) for name in ("acknowledge_limit_s",) if name in settings
        }
        store = EventStore(tmp_path / "events.db", CLOCK, RetentionSettings())
        board = StateBoard()
        wanted = MqttSettings(host=settings.pop("host", "127.0.0.1"), port=port, **settings)
        impatient = BackOff(random=lambda: 1.0, first_s=0.02, cap_s=0.1)
        publisher = Publisher(wanted, "cam1", store, board, CLOCK, back_off=impatient, **options)
        store.start()
        camera = Camera(store, publisher, board)
        made.append(camera)
        return camera

    yield build
    for camera in made:
        camera.publisher.stop()
        camera.store.stop()
