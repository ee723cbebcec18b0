"""Topics, payloads, properties, versions and answers: tables of what goes in and comes out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from camera_app.config import RESERVED_CAMERA_NAMES
from camera_app.errors import BrokerRefused, BrokerUnreachable
from camera_app.events import canonical_json, change_record
from camera_app.publish.answers import connection_error, is_success, refusal
from camera_app.publish.payloads import (
    CameraStatus,
    DeviceStatus,
    FallbackStatus,
    availability_message,
    count_message,
    fallback_message,
    ledger_message,
    status_message,
)
from camera_app.publish.properties import EventProperties
from camera_app.publish.protocol import ProtocolChoice
from camera_app.publish.topics import Topics, level
from camera_app.store import CommittedChange
from tests.publish.conftest import make_change

TOPICS = Topics("home/cameras", "cam1")


def committed(seq: int = 5) -> CommittedChange:
    change = make_change(1)
    record = canonical_json(change_record(change))
    wall_ns = change.wall_ns
    return CommittedChange(9, "front", seq, change.event.event_id, "started", wall_ns, 0, record)


def test_topics_are_those_of_the_reference() -> None:
    assert TOPICS.availability == "home/cameras/cam1/availability"
    assert TOPICS.status == "home/cameras/cam1/status"
    assert TOPICS.camera_availability("front") == "home/cameras/cam1/front/availability"
    assert TOPICS.event("front") == "home/cameras/cam1/front/event"
    assert TOPICS.now("front") == "home/cameras/cam1/front/now"
    assert TOPICS.count("front", "traffic light") == "home/cameras/cam1/front/traffic_light"
    assert TOPICS.zone_count("front", "door", "dog") == "home/cameras/cam1/front/door/dog"
    assert TOPICS.snapshot("front") == "home/cameras/cam1/front/snapshot"


def test_no_camera_may_be_named_like_a_topic_of_the_device() -> None:
    own = {topic.rsplit("/", 1)[1] for topic in (TOPICS.availability, TOPICS.status)}
    assert own <= RESERVED_CAMERA_NAMES


@given(st.text(min_size=1))
def test_a_label_is_one_level_and_never_a_topic_of_the_camera(label: str) -> None:
    name = level(label)

    assert not set(name) & set("/+#\0 \n")
    assert TOPICS.count("front", label) not in {
        TOPICS.event("front"),
        TOPICS.now("front"),
        TOPICS.snapshot("front"),
        TOPICS.camera_availability("front"),
    }


@pytest.mark.parametrize("is_delayed", [True, False])
def test_a_ledger_message_is_the_record_and_four_facts_more(is_delayed: bool) -> None:
    change = committed()
    message = json.loads(ledger_message(change, device_id="cam1", is_delayed=is_delayed))

    added = {"seq": 5, "device_id": "cam1", "delayed": is_delayed}
    assert message == {**json.loads(change.record), **added}
    assert not set(json.loads(change.record)) & set(added)  # spliced in, so none may be there
    assert message["schema"] == 1


def test_availability_and_counts_are_bare_words() -> None:
    assert (availability_message(True), availability_message(False)) == (b"online", b"offline")
    assert count_message(12) == b"12"


def test_status_carries_its_schema_and_numbers_to_a_thousandth() -> None:
    front = CameraStatus("running", 9.98765, 1.0, 100, 40, {"still": 60}, 12.34567, None)
    message = json.loads(
        status_message(DeviceStatus("1.2", 3.00049, {"front": front}, "cpu", backlog=7))
    )

    assert (message["schema"], message["uptime_s"], message["backlog"]) == (1, 3.0, 7)
    assert message["cameras"]["front"]["fps"] == 9.988
    assert message["cameras"]["front"]["latency_p50_ms"] == 12.346
    assert message["cameras"]["front"]["latency_p95_ms"] is None
    assert message["cameras"]["front"]["shed"] == {"still": 60}


@given(
    st.integers(1, 2**40),
    st.text(st.characters(codec="ascii", exclude_categories=["Cc"])),
    st.integers(-5, 2**33),
)
def test_properties_packed_by_hand_are_those_that_paho_packs(
    seq: int, event_id: str, expiry_s: int
) -> None:
    properties = Properties(PacketTypes.PUBLISH)
    properties.PayloadFormatIndicator = 1
    properties.ContentType = "application/json"
    properties.MessageExpiryInterval = min(max(1, expiry_s), 2**32 - 1)
    properties.UserProperty = [("seq", str(seq)), ("event_id", event_id)]

    ours = Properties(PacketTypes.PUBLISH)
    ours.unpack(EventProperties(seq, event_id, expiry_s).pack())

    assert len(EventProperties(seq, event_id, expiry_s).pack()) == len(properties.pack())
    assert ours.json() == properties.json()


def test_auto_falls_back_once_and_begins_anew_with_5() -> None:
    choice = ProtocolChoice("auto")
    assert (choice.version, choice.is_fallback) == ("5", False)
    assert choice.fall_back()
    assert (choice.version, choice.is_fallback) == ("3.1.1", True)
    assert not choice.fall_back()
    choice.start_over()
    assert choice.version == "5"


@pytest.mark.parametrize("wanted", ["5", "3.1.1"])
def test_a_wanted_version_is_kept(wanted: str) -> None:
    choice = ProtocolChoice(wanted)  # type: ignore[arg-type]
    assert not choice.fall_back()
    assert choice.version == wanted


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (0x84, BrokerRefused),
        (0x86, BrokerRefused),
        (0x87, BrokerRefused),
        (0x88, BrokerUnreachable),
        (0x89, BrokerUnreachable),
        (0x8E, BrokerUnreachable),
        (0xEE, BrokerUnreachable),
    ],
)
def test_a_connection_code_says_whether_the_owner_is_needed(code: int, kind: type) -> None:
    error = connection_error(code, "broker:1883")
    assert type(error) is kind
    assert error.where == "broker:1883"
    assert error.remedy


@pytest.mark.parametrize("code", [0x80, 0x83, 0x87, 0x90, 0x95, 0x97, 0x99])
def test_a_refused_message_names_its_topic(code: int) -> None:
    assert refusal(code, "a/b").where == "a/b"
    assert not is_success(code)


def test_a_message_that_nobody_subscribed_to_was_taken() -> None:
    assert is_success(0)
    assert is_success(0x10)


def test_a_fallback_says_why_what_is_lost_and_what_to_do() -> None:
    lost = {"usb:1-1": "usb:1-1: no Edge TPU is in this place. Plug it in"}
    status = FallbackStatus(True, ("stick_lost",), "cpu", 1, lost, 1_700_000_000.1234, 3)

    assert json.loads(fallback_message(status)) == {
        "schema": 1,
        "active": True,
        "reasons": ["stick_lost"],
        "device": "cpu",
        "rung": 1,
        "lost": lost,
        "since": 1_700_000_000.123,
        "count": 3,
    }
