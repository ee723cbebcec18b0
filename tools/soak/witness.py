"""A subscriber that writes down what it hears, for the checker; knows nothing of the camera's code.

It comes back by itself when the broker does. What it may have missed meanwhile it asks for at the
end, as every subscriber may.
"""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tools.processes import LIMIT_S, TrialFailed

NAME = "witness"
ANSWER_LIMIT_S = 5.0
ASKED_AT_MOST = 10


class Witness:
    """Writes each change of the ledger, one line of JSON each. Used as a context manager.

    Args:
        port: The broker's.
        device: Whose ledgers.
        heard: The file.
    """

    def __init__(self, port: int, device: str, heard: Path) -> None:
        self._port, self._device = port, device
        self._file = heard.open("w", encoding="utf-8")
        self._changed = threading.Condition()  # guards all below
        self._session = 0
        self._is_subscribed = False
        self._has_gone = False
        self._pages: list[dict[str, Any]] = []
        self.changes = 0
        self.status: dict[str, Any] = {}
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, NAME, protocol=paho.MQTTv5)
        client.reconnect_delay_set(1, 1)
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._hear

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self.wait_subscribed()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._file.close()

    def wait_subscribed(self) -> None:
        """Wait until it hears."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_subscribed, LIMIT_S):
                raise TrialFailed("the witness does not reach the broker")

    def wait_farewell(self) -> None:
        """Wait until the device has said that it goes: it says nothing after that."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_gone, LIMIT_S):
                raise TrialFailed("the camera did not say goodbye")

    def wait_changes(self, count: int) -> None:
        """Wait until so many changes were heard."""
        with self._changed:
            if not self._changed.wait_for(lambda: self.changes >= count, LIMIT_S):
                raise TrialFailed(f"{count} changes of events were not heard")

    def catch_up(self, camera: str) -> None:
        """Ask a camera for its whole ledger, and note what it answers."""
        after_seq, is_more = 0, True
        while is_more:
            last = self._ask({"camera": camera, "after_seq": after_seq})[-1]
            after_seq = last["through_seq"]
            is_more = after_seq < last["newest_seq"]

    def _ask(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the pages of one answer; asked again while nobody answers."""
        root = f"camera_app/{self._device}/events"
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ResponseTopic = f"{root}/answer/{NAME}"
        with self._changed:
            self._pages = []
            for _ in range(ASKED_AT_MOST):
                payload = json.dumps(request)
                self._client.publish(f"{root}/request", payload, 1, properties=properties)
                if self._changed.wait_for(self._is_answered, ANSWER_LIMIT_S):
                    return self._pages
        raise TrialFailed(f"the camera does not answer {request}")

    def _is_answered(self) -> bool:
        return bool(self._pages) and bool(self._pages[-1]["is_last"])

    def _connected(self, client: paho.Client, *_: Any) -> None:
        with self._changed:
            self._session += 1
        # With QoS 0 a broker writes to us before it acknowledges to who published: what it loses
        # when it is killed, the camera sends again.
        client.subscribe(f"camera_app/{self._device}/#", 0)

    def _disconnected(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = False

    def _subscribed(self, *_: Any) -> None:
        with self._changed:
            self._is_subscribed = True
            self._changed.notify_all()

    def _hear(self, _client: paho.Client, _userdata: Any, got: paho.MQTTMessage) -> None:
        place = got.topic.removeprefix(f"camera_app/{self._device}/")
        with self._changed:
            if place.startswith("events/answer/"):
                self._take_page(got.topic, json.loads(got.payload))
            elif place.endswith("/event"):
                self.changes += 1
                self._write(got.topic, json.loads(got.payload))
            elif place == "availability":
                self._has_gone = got.payload == b"offline"
            elif place == "status":
                self.status = json.loads(got.payload)
            self._changed.notify_all()

    def _take_page(self, topic: str, page: dict[str, Any]) -> None:
        """Note what stands in a page as if each had come by itself; that it was asked for shows."""
        self._pages.append(page)
        for change in page["changes"]:
            self._write(topic.rsplit("/", 1)[0], change)

    def _write(self, topic: str, payload: dict[str, Any]) -> None:
        line = {"session": self._session, "topic": topic, "payload": payload}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
