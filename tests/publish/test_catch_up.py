"""A subscriber that missed something asks for it, at a real mosquitto."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import paho.mqtt.publish as once
import pytest
from paho.mqtt.client import MQTTv311
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from camera_app.publish.catch_up import PAGE_BYTES, PAGE_ROWS, WAITING_LIMIT, CatchUp
from camera_app.publish.incoming import Incoming
from camera_app.publish.topics import Topics
from tests.publish.conftest import Camera, Received, Subscriber, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto

ROOT = "camera_app/cam1"
ANSWER = f"{ROOT}/events/answer/me"

Brokers = Callable[..., Mosquitto]
Cameras = Callable[..., Camera]
Subscribers = Callable[..., Subscriber]


def ask(reader: Subscriber, request: dict[str, Any]) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ResponseTopic, properties.CorrelationData = ANSWER, b"42"
    reader._client.publish(f"{ROOT}/events/request", json.dumps(request), 1, properties=properties)


def pages(reader: Subscriber, limit_s: float = LIMIT_S) -> list[Received]:
    """Return the pages of one answer, once its last has come."""
    assert reader.wait_for(
        lambda _: any(page.json["is_last"] for page in reader.on(ANSWER)), limit_s
    )
    return reader.on(ANSWER)


def drained(camera: Cameras, port: int, count: int, **settings: Any) -> Camera:
    cam = camera(port, **settings)
    cam.store.commit([make_change(n) for n in range(1, count + 1)]).wait(LIMIT_S)
    cam.publisher.start()
    assert cam.publisher.wait_drained(LIMIT_S)
    return cam


def test_what_was_missed_comes_in_pages_in_order_and_as_it_was_told(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port)
    drained(camera, running.port, 350)

    ask(reader, {"camera": "front", "after_seq": 20})

    got = pages(reader)
    ends = [page.json["through_seq"] for page in got]
    assert [page.json["after_seq"] for page in got] == [20, *ends[:-1]]
    assert [page.json["is_last"] for page in got] == [False] * (len(got) - 1) + [True]
    assert len(got) > 3
    assert max(len(page.payload) for page in got) <= PAGE_BYTES
    told = [change for page in got for change in page.json["changes"]]
    assert [change["seq"] for change in told] == list(range(21, 351))
    by_seq = {message.json["seq"]: message.json for message in reader.on(f"{ROOT}/front/event")}
    assert told == [{**by_seq[change["seq"]], "delayed": True} for change in told]
    for page in got:
        assert page.json["newest_seq"] == 350
        assert page.properties is not None
        assert page.properties.CorrelationData == b"42"
        assert not page.is_retained


def test_a_limit_ends_an_answer_and_says_that_there_is_more(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port, ANSWER)
    drained(camera, running.port, 30)

    ask(reader, {"camera": "front", "after_seq": 4, "limit": 7})

    (page,) = pages(reader)
    assert [change["seq"] for change in page.json["changes"]] == list(range(5, 12))
    assert (page.json["through_seq"], page.json["newest_seq"]) == (11, 30)


def test_who_asks_for_nothing_learns_where_the_stream_stands(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port, ANSWER)
    drained(camera, running.port, 3)

    ask(reader, {"camera": "front", "after_seq": 3, "limit": 0})

    (page,) = pages(reader)
    assert (page.json["newest_seq"], page.json["changes"]) == (3, [])


def test_an_older_mqtt_gets_the_same_answer(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port, ANSWER)
    drained(camera, running.port, 3, protocol="3.1.1")
    request = {"camera": "front", "response_topic": ANSWER, "correlation": "42"}

    once.single(
        f"{ROOT}/events/request",
        json.dumps(request),
        qos=1,
        hostname="127.0.0.1",
        port=running.port,
        protocol=MQTTv311,
    )

    (page,) = pages(reader)
    assert (page.json["correlation"], page.json["through_seq"]) == ("42", 3)


def test_a_request_that_makes_no_sense_is_answered_with_the_reason(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port, ANSWER)
    drained(camera, running.port, 1)

    ask(reader, {"camera": "front", "after_seq": "one"})

    (page,) = pages(reader)
    assert "after_seq" in page.json["error"]
    assert page.json["changes"] == []


def test_pages_keep_to_the_size_that_the_broker_takes(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker(max_packet_size="6000")
    reader = subscribe(running.port, ANSWER)
    drained(camera, running.port, 40)

    ask(reader, {"camera": "front"})

    got = pages(reader)
    assert [c["seq"] for page in got for c in page.json["changes"]] == list(range(1, 41))
    assert len(got) > 5
    assert max(len(page.payload) for page in got) <= 6000


def test_an_answer_delays_nothing_that_is_fresh(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    """Asked five times for all; what happens meanwhile is told before the answer ends."""
    running = broker()
    reader = subscribe(running.port)
    cam = drained(camera, running.port, 2000)
    for _ in range(5):
        ask(reader, {"camera": "front", "limit": 2000})
    cam.store.commit([make_change(9000, age_s=0)])

    assert reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/now")))
    assert reader.wait_for(lambda _: sum(p.json["is_last"] for p in reader.on(ANSWER)) == 5)
    order = [message.topic for message in reader.messages]
    assert ANSWER in order[order.index(f"{ROOT}/front/now") :]


# Without a broker


def test_who_asks_while_too_many_wait_is_told_to_come_again(camera: Cameras) -> None:
    cam = camera(1)
    cam.store.commit([make_change(1)]).wait(LIMIT_S)
    catch_up = CatchUp(cam.store.path, "cam1", Topics("camera_app", "cam1"))
    asked = Incoming(f"{ROOT}/events/request", b'{"camera":"front"}', False, ANSWER, b"1")
    for _ in range(WAITING_LIMIT + 1):
        catch_up.take(asked)

    first = catch_up.next_page(None)

    assert first is not None
    assert "ask again" in json.loads(first.notice.payload)["error"]
    catch_up.close()
    assert catch_up.next_page(None) is None


def test_a_request_that_the_broker_kept_is_asked_by_nobody(camera: Cameras) -> None:
    cam = camera(1)
    catch_up = CatchUp(cam.store.path, "cam1", Topics("camera_app", "cam1"))

    catch_up.take(Incoming(f"{ROOT}/events/request", b'{"camera":"front"}', True, ANSWER))

    assert not catch_up.has_work


def test_two_who_ask_are_answered_in_turn(camera: Cameras) -> None:
    cam = camera(1)
    cam.store.commit([make_change(n) for n in range(1, 2 * PAGE_ROWS + 1)]).wait(LIMIT_S)
    catch_up = CatchUp(cam.store.path, "cam1", Topics("camera_app", "cam1"))
    for who in ("a", "b"):
        catch_up.take(Incoming(f"{ROOT}/events/request", b'{"camera":"front"}', False, who))

    told = []
    while (page := catch_up.next_page(None)) is not None:
        told.append(page.notice.topic)

    assert told == ["a", "b"] * (len(told) // 2)
    assert len(told) >= 4
    catch_up.close()


def test_a_change_that_fits_into_no_page_is_told_as_a_gap(camera: Cameras) -> None:
    cam = camera(1)
    large = replace(make_change(1), reason="x" * 5000)
    cam.store.commit([large, make_change(2)]).wait(LIMIT_S)
    catch_up = CatchUp(cam.store.path, "cam1", Topics("camera_app", "cam1"))
    catch_up.take(Incoming(f"{ROOT}/events/request", b'{"camera":"front"}', False, ANSWER))

    page = catch_up.next_page(5000)

    assert page is not None
    first, second = json.loads(page.notice.payload)["changes"]
    assert (first["type"], first["why"], second["type"]) == ("gap", "refused", "started")
    catch_up.close()


@pytest.mark.parametrize("problem", [b"\x00", b"{", b"null"])
def test_nonsense_without_a_place_to_answer_is_passed_over(camera: Cameras, problem: bytes) -> None:
    catch_up = CatchUp(camera(1).store.path, "cam1", Topics("camera_app", "cam1"))

    catch_up.take(Incoming(f"{ROOT}/events/request", problem))

    assert not catch_up.has_work
