"""What others tell us, through a real mosquitto and both versions of MQTT."""

from __future__ import annotations

import queue
from collections.abc import Callable

import paho.mqtt.client as paho
import paho.mqtt.publish as once
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from camera_app.publish import Incoming, Notice
from camera_app.publish.incoming import PACKET_LIMIT_BYTES, matches
from tests.publish.conftest import Camera, Subscriber
from tests.publish.mosquitto import LIMIT_S, Mosquitto
from tests.publish.test_client import OldBroker
from tests.waiting import wait_until

Brokers = Callable[..., Mosquitto]
Cameras = Callable[..., Camera]
Subscribers = Callable[..., Subscriber]


def tell(port: int, topic: str, payload: bytes, *, retain: bool = False) -> None:
    once.single(topic, payload, qos=1, retain=retain, port=port, hostname="127.0.0.1")


def listening(running: Mosquitto, cam: Camera, topic_filter: str) -> queue.Queue[Incoming]:
    """Start the camera's publisher with a listener, wait for both; return what that gets."""
    heard: queue.Queue[Incoming] = queue.Queue()
    cam.publisher.listen(topic_filter, heard.put)
    cam.publisher.start()
    assert wait_until(lambda: f"{topic_filter} (QoS 1)" in running.log())
    return heard


@pytest.mark.parametrize(
    ("topic_filter", "topic", "is_match"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/+/set", "a/b/set", True),
        ("a/+/set", "a/b/c/set", False),
        ("a/+/set", "a/set", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "b", False),
        ("#", "a/b", True),
    ],
)
def test_filters_match_as_the_standard_says(topic_filter: str, topic: str, is_match: bool) -> None:
    assert matches(topic_filter, topic) is is_match


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_listener_gets_what_falls_under_its_filter_and_no_more(
    broker: Brokers, camera: Cameras, protocol: str
) -> None:
    running = broker()
    port = running.port
    heard = listening(running, camera(port, protocol=protocol), "camera_app/cam1/+/+/set")
    tell(port, "camera_app/cam1/front/set", b"too short")
    tell(port, "camera_app/cam2/front/detection/set", b"another device")
    tell(port, "camera_app/cam1/front/detection/set", b"OFF")
    got = heard.get(timeout=LIMIT_S)
    assert (got.topic, got.payload, got.is_retained) == (
        "camera_app/cam1/front/detection/set",
        b"OFF",
        False,
    )
    assert heard.empty()


def test_what_the_broker_kept_is_not_sent_where_that_can_be_said(
    broker: Brokers, camera: Cameras
) -> None:
    running = broker()
    port = running.port
    tell(port, "camera_app/cam1/restart/set", b"PRESS", retain=True)
    heard = listening(running, camera(port, protocol="5"), "camera_app/cam1/+/set")
    tell(port, "camera_app/cam1/restart/set", b"now")
    assert heard.get(timeout=LIMIT_S).payload == b"now"


def test_what_the_broker_kept_is_known_as_such_elsewhere(broker: Brokers, camera: Cameras) -> None:
    running = broker()
    port = running.port
    tell(port, "camera_app/cam1/restart/set", b"PRESS", retain=True)
    heard = listening(running, camera(port, protocol="3.1.1"), "camera_app/cam1/+/set")
    assert heard.get(timeout=LIMIT_S).is_retained


def test_a_question_comes_with_where_to_answer(broker: Brokers, camera: Cameras) -> None:
    running = broker()
    port = running.port
    heard = listening(running, camera(port), "camera_app/cam1/ask")
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic, properties.CorrelationData = "me/answer", b"7"
    asker = paho.Client(CallbackAPIVersion.VERSION2, "asker", protocol=paho.MQTTv5)
    asker.connect("127.0.0.1", port)
    asker.publish("camera_app/cam1/ask", b"?", properties=properties)
    asker.disconnect()
    got = heard.get(timeout=LIMIT_S)
    assert (got.response_topic, got.correlation) == ("me/answer", b"7")


def test_a_packet_too_long_for_us_stays_with_the_broker(broker: Brokers, camera: Cameras) -> None:
    running = broker()
    port = running.port
    heard = listening(running, camera(port), "camera_app/cam1/ask")
    tell(port, "camera_app/cam1/ask", b"x" * PACKET_LIMIT_BYTES)
    tell(port, "camera_app/cam1/ask", b"short")
    assert heard.get(timeout=LIMIT_S).payload == b"short"


def test_listening_goes_on_after_the_broker_was_killed(broker: Brokers, camera: Cameras) -> None:
    running = broker()
    cam = camera(running.port)
    heard = listening(running, cam, "camera_app/cam1/ask")
    running.kill()
    running.start()
    assert wait_until(lambda: cam.publisher.stats().connects >= 2)
    assert wait_until(lambda: running.log().count("camera_app/cam1/ask (QoS 1)") >= 2)
    tell(running.port, "camera_app/cam1/ask", b"again")
    assert heard.get(timeout=LIMIT_S).payload == b"again"


def test_a_filter_that_the_broker_forbids_is_told(camera: Cameras) -> None:
    with OldBroker() as broker:
        cam = camera(broker.port, protocol="3.1.1")
        cam.publisher.listen("camera_app/cam1/ask", lambda _: None)
        cam.publisher.start()
        assert wait_until(lambda: "camera_app/cam1/ask" in cam.publisher.stats().last_error)
        cam.publisher.stop()


def test_what_is_said_once_is_told_in_order_and_not_kept(
    broker: Brokers, camera: Cameras, subscribe: Subscribers
) -> None:
    running = broker()
    port = running.port
    reader = subscribe(port, is_checked=False)
    cam = camera(port)
    cam.publisher.say(Notice("camera_app/cam1/result", b"of no connection", False))
    listening(running, cam, "camera_app/cam1/ask")
    for number in range(150):  # more than a window
        cam.publisher.say(Notice("camera_app/cam1/result", str(number).encode(), False))
    assert reader.wait_on("camera_app/cam1/result", b"149")
    told = [message.payload for message in reader.on("camera_app/cam1/result")]
    assert told == [str(number).encode() for number in range(150)]
