"""The demo's own broker, and the subscriber that listens to it."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from camera_app.demo import broker as broker_module
from camera_app.demo.broker import (
    BrokerAddress,
    demo_broker,
    find_mosquitto,
    free_port,
    parse_address,
)
from camera_app.demo.subscriber import Subscriber
from camera_app.errors import BrokerUnreachable, UsageError

WAIT_S = 10.0

needs_mosquitto = pytest.mark.skipif(
    find_mosquitto() is None and os.environ.get("CI") != "true", reason="needs mosquitto"
)


def publish(address: BrokerAddress, *messages: tuple[str, bytes, bool]) -> None:
    """Publish and wait until the broker has acknowledged each."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        for topic, payload, retain in messages:
            client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(WAIT_S)
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize(
    ("embedded", "kind"), [pytest.param(False, "mosquitto", marks=needs_mosquitto), (True, "amqtt")]
)
def test_a_subscriber_hears_what_is_published_at_the_broker(embedded: bool, kind: str) -> None:
    with demo_broker(prefer_embedded=embedded) as address:
        publish(address, ("house/kept", b"before", True))
        with Subscriber(address, ["house/#"]) as subscriber:
            publish(address, ("house/a", b'{"n":1}', False), ("elsewhere", b"x", False))
            publish(address, ("house/b", b"\xff\xfe", False))
            came = subscriber.wait_for(lambda messages: len(messages) >= 3, WAIT_S)

    assert came
    assert address.kind == kind
    assert [(m.topic, m.payload) for m in subscriber.messages] == [
        ("house/kept", b"before"),
        ("house/a", b'{"n":1}'),
        ("house/b", b"\xff\xfe"),
    ]
    assert [m.is_retained for m in subscriber.messages] == [True, False, False]
    assert [m.json() for m in subscriber.messages] == [{}, {"n": 1}, {}]
    assert subscriber.messages[2].text() == "(2 bytes)"
    assert subscriber.count_by_topic() == {"house/a": 1, "house/b": 1, "house/kept": 1}


@pytest.mark.parametrize("embedded", [pytest.param(False, marks=needs_mosquitto), True])
def test_the_broker_ends_with_its_context(embedded: bool) -> None:
    with demo_broker(prefer_embedded=embedded) as address:
        socket.create_connection((address.host, address.port), timeout=WAIT_S).close()

    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), timeout=WAIT_S)


def test_the_embedded_broker_is_taken_where_mosquitto_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(broker_module, "find_mosquitto", lambda: None)

    with demo_broker() as address:
        assert address.kind == "amqtt"


def test_a_broker_that_does_not_start_is_named_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # `false` is no broker: it ends at once and says nothing.
    monkeypatch.setattr(broker_module, "find_mosquitto", lambda: shutil.which("false"))

    with pytest.raises(BrokerUnreachable, match="did not start: it said nothing") as caught:
        demo_broker().__enter__()

    assert "--broker HOST:PORT" in caught.value.remedy


def test_a_free_port_is_one_that_the_kernel_gives_to_no_client() -> None:
    first_given = int(broker_module._PORTS_GIVEN.read_text().split()[0])
    if first_given <= broker_module._FIRST_PORT:
        pytest.skip("this kernel gives all ports to clients")
    ports = {free_port() for _ in range(20)}
    assert max(ports) < first_given
    assert len(ports) > 1


def test_where_all_ports_are_given_or_taken_any_free_one_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "range"
    monkeypatch.setattr(broker_module, "_PORTS_GIVEN", file)
    assert free_port() > 0
    file.write_text("1024\t65535\n")
    assert free_port() > 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        monkeypatch.setattr(broker_module, "_FIRST_PORT", taken)
        file.write_text(f"{taken + 1}\t65535\n")
        assert free_port() not in (0, taken)


def test_a_subscriber_says_which_broker_does_not_answer() -> None:
    with socket.socket() as bound:  # bound, but nobody listens
        bound.bind(("127.0.0.1", 0))
        address = BrokerAddress("127.0.0.1", bound.getsockname()[1], "your broker")

        with pytest.raises(BrokerUnreachable, match="your broker at 127.0.0.1"):
            Subscriber(address, ["#"]).__enter__()


def test_a_long_payload_is_cut_for_the_screen() -> None:
    with (
        demo_broker(prefer_embedded=find_mosquitto() is None) as address,
        Subscriber(address, ["#"]) as subscriber,
    ):
        publish(address, ("long", b"x" * 500, False))
        assert subscriber.wait_for(bool, WAIT_S)

    text = subscriber.messages[0].text()
    assert len(text) == 92
    assert text.endswith("…")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("hub", "hub", 1883), ("hub.lan:8883", "hub.lan", 8883), ("10.0.0.2", "10.0.0.2", 1883)],
)
def test_a_broker_is_named_by_host_and_port(text: str, host: str, port: int) -> None:
    address = parse_address(text)

    assert (address.host, address.port) == (host, port)


@pytest.mark.parametrize("text", ["", ":1883", "hub:", "hub:mqtt", "hub:0", "hub:65536", "hub:²"])
def test_what_names_no_broker_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no broker"):
        parse_address(text)
