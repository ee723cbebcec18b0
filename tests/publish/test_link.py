"""What the connection takes from paho's inside, and what it does without."""

from __future__ import annotations

import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.publish.link import TIMERS_EVERY_S, _BufferedClient

KEEPALIVE_S = 60


@pytest.fixture
def client() -> _BufferedClient:
    client = _BufferedClient(CallbackAPIVersion.VERSION2, "test", protocol=paho.MQTTv5)
    client.keepalive = KEEPALIVE_S
    return client


def test_the_oldest_of_pahos_timers_is_due_first(client: _BufferedClient) -> None:
    now_s = time.monotonic()
    client._last_msg_out, client._last_bytes_received = now_s - 10, now_s - 20
    assert client.timers_due_s == pytest.approx(KEEPALIVE_S - 20, abs=5)
    client._ping_t = now_s - 55  # asked, and not answered
    assert client.timers_due_s <= 5


@pytest.mark.parametrize("name", ["_last_msg_out", "_last_bytes_received", "_ping_t"])
def test_a_paho_with_other_names_inside_is_looked_at_once_a_second(
    client: _BufferedClient, name: str
) -> None:
    delattr(client, name)
    assert client.timers_due_s == TIMERS_EVERY_S
