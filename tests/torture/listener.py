"""A subscriber that writes down what it hears, for the checker; knows nothing of the product."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests import wire
from tests.torture.checker import Heard

LIMIT_S = 20.0
ASKED_AT_MOST = 10
PROBLEMS_LIMIT = 20


class Listener:
    """Subscribes and keeps everything; comes back by itself when the broker does.

    With QoS 0 mosquitto writes to us before it acknowledges to who published: what it lost when
    it was killed, the publisher sends again. With QoS 1 it acknowledges what it still holds for
    us in memory, and takes that along.
    """

    def __init__(
        self,
        port: int,
        topic: str = "#",
        *,
        qos: int = 0,
        name: str = "hub",
        is_remembered: bool = False,
    ) -> None:
        """Remember what to hear.

        Args:
            port: The broker's.
            topic: Filter.
            qos: 0 or 1.
            name: Client id.
            is_remembered: The broker keeps what comes while we are away.
        """
        self._changed = threading.Condition()  # guards the five below
        self._heard: list[Heard] = []
        self._session = 0
        self._is_subscribed = False
        self.problems: list[str] = []  # what is not as the reference of the wire tells
        self._pages: list[dict[str, Any]] = []  # of the answer that is waited for
        self._is_remembered = is_remembered
        self._name = name
        self._port, self._topic, self._qos = port, topic, qos
        self._client: paho.Client | None = None

    def __enter__(self) -> Self:
        self.start()
        self.wait_subscribed()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to reach the broker; it need not be there yet."""
        self._client = client = self._new_client()  # one does not start twice
        kept = Properties(PacketTypes.CONNECT)
        if self._is_remembered:
            kept.SessionExpiryInterval = 3600
        client.connect_async(
            "127.0.0.1", self._port, clean_start=not self._is_remembered, properties=kept
        )
        client.loop_start()

    def _new_client(self) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2, self._name, protocol=paho.MQTTv5)
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._hear
        return client

    def stop(self) -> None:
        assert self._client is not None
        self._client.disconnect()
        self._client.loop_stop()
        with self._changed:
            self._is_subscribed = False

    def wait_subscribed(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self._is_subscribed, LIMIT_S)

    def wait_away(self) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._is_subscribed, LIMIT_S)

    def wait_for(self, enough: Callable[[list[Heard]], bool], limit_s: float = LIMIT_S) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: enough(self._heard), limit_s)

    def catch_up(self, device: str, camera: str) -> None:
        """Ask a camera for its whole stream, and note what it answers."""
        answer = f"camera_app/{device}/events/answer/{self._name}"
        after_seq, is_more = 0, True
        while is_more:
            pages = self._ask(device, answer, {"camera": camera, "after_seq": after_seq})
            after_seq = pages[-1]["through_seq"]
            is_more = after_seq < pages[-1]["newest_seq"]

    def _ask(self, device: str, answer: str, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the pages of one answer; asked again while nobody answers.

        A camera that is not connected yet hears nothing, and nobody says so.
        """
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = answer
        assert self._client is not None
        with self._changed:
            self._pages = []
            for _ in range(ASKED_AT_MOST):
                payload = json.dumps(request)
                self._client.publish(
                    f"camera_app/{device}/events/request", payload, 1, properties=properties
                )
                if self._changed.wait_for(self._is_answered, LIMIT_S / ASKED_AT_MOST):
                    return self._pages
        raise AssertionError(f"{device} does not answer")

    def _is_answered(self) -> bool:
        return bool(self._pages) and bool(self._pages[-1]["is_last"])

    def of(self, device: str) -> list[Heard]:
        """Return what was heard of one device's ledger."""
        with self._changed:
            return [h for h in self._heard if h.topic.split("/")[1:2] == [device]]

    def _connected(self, client: paho.Client, *_: Any) -> None:
        with self._changed:
            self._session += 1
        client.subscribe(self._topic, self._qos)

    def _disconnected(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = False
            self._changed.notify_all()

    def _subscribed(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = True
            self._changed.notify_all()

    def _hear(self, _client: paho.Client, _userdata: Any, got: paho.MQTTMessage) -> None:
        payload = _parsed(got.payload)
        strange = wire.problems(got.topic, got.payload, is_retained=None, qos=None)
        with self._changed:
            self.problems += strange[: PROBLEMS_LIMIT - len(self.problems)]
            if "/events/answer/" in got.topic:
                self._take_page(got.topic, payload)
            else:
                self._heard.append(Heard(self._session, got.topic, payload))
            self._changed.notify_all()

    def _take_page(self, topic: str, page: dict[str, Any]) -> None:
        """Note what stands in a page as if each had come by itself; that it was asked for shows."""
        self._pages.append(page)
        where = topic.rsplit("/", 1)[0]
        self._heard += [Heard(self._session, where, change) for change in page["changes"]]


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")
