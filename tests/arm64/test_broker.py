"""The broker that the emulated camera delivers to wants a password, as an owner's does."""

from __future__ import annotations

import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.publish.mosquitto import find_mosquitto
from tools.arm64.broker import PASSWORD, USER, broker_with_password

LIMIT_S = 15.0


@pytest.mark.parametrize(
    ("password", "is_let_in"), [(PASSWORD, True), ("another", False)], ids=["ours", "another"]
)
def test_only_who_knows_the_password_is_let_in(
    tmp_path: Path, password: str, is_let_in: bool
) -> None:
    find_mosquitto()
    answers, answered = [], threading.Event()

    def note(_client: object, _data: object, _flags: object, reason: object, _: object) -> None:
        answers.append(str(reason))
        answered.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, "somebody", reconnect_on_failure=False)
    client.username_pw_set(USER, password)
    client.on_connect = note
    broker = broker_with_password(tmp_path / "broker")
    broker.start()
    try:
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        assert answered.wait(LIMIT_S)
        client.disconnect()
        client.loop_stop()
    finally:
        broker.stop()
    assert (answers[0] == "Success") is is_let_in
