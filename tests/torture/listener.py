"""A subscriber that writes down what it hears, for the checker; knows nothing of the product."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.torture.checker import Heard

LIMIT_S = 20.0


class Listener:
    """Subscribes and keeps everything; comes back by itself when the broker does.

    With QoS 0 mosquitto writes to us before it acknowledges to who published: what it lost when
    it was killed, the publisher sends again. With QoS 1 it acknowledges what it still holds for
    us in memory, and takes that along.
    """

    def __init__(self, port: int, topic: str = "#", *, qos: int = 0, name: str = "hub") -> None:
        self._changed = threading.Condition()  # guards the three below
        self._heard: list[Heard] = []
        self._session = 0
        self._is_subscribed = False
        self._port, self._topic, self._qos = port, topic, qos
        self._client = paho.Client(CallbackAPIVersion.VERSION2, name, protocol=paho.MQTTv5)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._disconnected
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._hear

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.wait_subscribed()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def wait_subscribed(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_subscribed, LIMIT_S)

    def wait_away(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._is_subscribed, LIMIT_S)

    def wait_for(self, enough: Callable[[list[Heard]], bool], limit_s: float = LIMIT_S) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: enough(self._heard), limit_s)

    def of(self, device: str) -> list[Heard]:
        """Return what was heard of one device's ledger."""
        with self._changed:
            return [h for h in self._heard if h.topic.split("/")[1:2] == [device]]

    def _connected(self, *_: Any) -> None:
        with self._changed:
            self._session += 1
        self._client.subscribe(self._topic, self._qos)

    def _disconnected(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = False
            self._changed.notify_all()

    def _subscribed(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = True
            self._changed.notify_all()

    def _hear(self, _client: paho.Client, _userdata: Any, got: paho.MQTTMessage) -> None:
        heard = Heard(self._session, got.topic, _parsed(got.payload))
        with self._changed:
            self._heard.append(heard)
            self._changed.notify_all()


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
