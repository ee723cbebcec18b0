"""Somebody at the other end: hears everything that the camera says and remembers it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.demo.broker import BrokerAddress
from camera_app.errors import BrokerUnreachable

KEPT_MESSAGES = 10_000
CONNECT_LIMIT_S = 10.0
_SHOWN_CHARACTERS = 92


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it arrived.

    Attributes:
        topic: Where it was published.
        payload: What it says.
        is_retained: It was kept by the broker from before we subscribed.
    """

    topic: str
    payload: bytes
    is_retained: bool

    def text(self) -> str:
        """Return the payload for one line on a screen, the rest cut off."""
        try:
            text = self.payload.decode()
        except UnicodeDecodeError:
            return f"({len(self.payload)} bytes)"
        if len(text) <= _SHOWN_CHARACTERS:
            return text
        return f"{text[: _SHOWN_CHARACTERS - 1]}…"

    def json(self) -> dict[str, object]:
        """Return the payload as an object of JSON; empty if it is none."""
        try:
            value = json.loads(self.payload)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Subscriber:
    """Subscribes at a broker and keeps the first messages that come; a context manager.

    Args:
        address: The broker.
        topics: Filters to subscribe to.

    Attributes:
        dropped: Messages beyond those that are kept.
    """

    def __init__(self, address: BrokerAddress, topics: Sequence[str]) -> None:
        self._address = address
        self._topics = tuple(topics)
        self._changed = threading.Condition()  # guards every field below
        self._messages: list[Message] = []
        self._is_subscribed = False
        self.dropped = 0
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._arrived
        self._client = client

    def __enter__(self) -> Self:
        """Connect and subscribe.

        Raises:
            BrokerUnreachable: The broker does not answer, or not in time.
        """
        try:
            self._client.connect(self._address.host, self._address.port)
        except OSError as error:
            raise self._unreachable(str(error)) from error
        self._client.loop_start()
        with self._changed:
            if self._changed.wait_for(lambda: self._is_subscribed, CONNECT_LIMIT_S):
                return self
        self._client.loop_stop()
        raise self._unreachable("it does not let us subscribe")

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything that has come so far, in order."""
        with self._changed:
            return tuple(self._messages)

    def wait_for(self, is_enough: Callable[[Sequence[Message]], bool], timeout_s: float) -> bool:
        """Wait until what has come is enough; False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: is_enough(self._messages), timeout_s)

    def count_by_topic(self) -> dict[str, int]:
        """Return how many messages came on each topic, in order of topics."""
        return dict(sorted(Counter(message.topic for message in self.messages).items()))

    def _unreachable(self, problem: str) -> BrokerUnreachable:
        return BrokerUnreachable(
            f"the subscriber cannot listen: {problem}", where=str(self._address)
        )

    # The three below run on the client's own thread.

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])

    def _subscribed(self, *_: object) -> None:
        with self._changed:
            self._is_subscribed = True
            self._changed.notify_all()

    def _arrived(self, _client: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        with self._changed:
            if len(self._messages) < KEPT_MESSAGES:
                arrived = Message(message.topic, bytes(message.payload), message.retain)
                self._messages.append(arrived)
            else:
                self.dropped += 1
            self._changed.notify_all()
