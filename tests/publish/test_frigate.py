"""Frigate's topics beside ours: the shapes that its users' automations read, and when they come."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, RetentionSettings, parse_config
from camera_app.errors import ConfigError
from camera_app.events import canonical_json, change_record
from camera_app.publish import (
    CameraStatus,
    DeviceStatus,
    FreshEvents,
    FrigateMirror,
    MirroringBoard,
    NetworkDevice,
    Publisher,
    Topics,
    status_message,
)
from camera_app.publish.frigate import OPEN_LIMIT, frigate_id
from camera_app.store import CommittedChange, EventStore
from camera_app.values import ChangeType
from tests.publish.conftest import Subscriber, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto

TOPICS = Topics("camera_app", "cam1")
NUMBER = (int, float)
JPEG = b"\xff\xd8\xff\xe0"

# What Frigate 0.14 to 0.18 sends on `frigate/events`, as its users show it in their threads: the
# keys, and the types that they have there.
SHAPE: Mapping[str, Any] = {
    "id": str,
    "camera": str,
    "frame_time": NUMBER,
    "snapshot": (dict, type(None)),
    "label": str,
    "sub_label": type(None),
    "top_score": NUMBER,
    "false_positive": bool,
    "start_time": NUMBER,
    "end_time": (*NUMBER, type(None)),
    "score": NUMBER,
    "box": list,
    "area": int,
    "ratio": NUMBER,
    "region": list,
    "active": bool,
    "stationary": bool,
    "motionless_count": int,
    "position_changes": int,
    "current_zones": list,
    "entered_zones": list,
    "has_clip": bool,
    "has_snapshot": bool,
    "attributes": dict,
    "current_attributes": list,
    "pending_loitering": bool,
    "max_severity": str,
    "current_estimated_speed": NUMBER,
    "average_estimated_speed": NUMBER,
    "velocity_angle": NUMBER,
    "path_data": list,
    "recognized_license_plate": type(None),
}
SNAPSHOT_SHAPE: Mapping[str, Any] = {
    "frame_time": NUMBER,
    "box": list,
    "area": int,
    "region": list,
    "score": NUMBER,
    "attributes": list,
}


def mirror() -> FrigateMirror:
    return FrigateMirror(TOPICS, "frigate", {"front": True})


def committed(number: int = 1, kind: str = "started", **edit: Any) -> CommittedChange:
    change = make_change(number)
    record = {**change_record(change), "type": kind, **edit}
    event_id = change.event.event_id
    return CommittedChange(
        number, "front", number, event_id, kind, change.wall_ns, 0, canonical_json(record)
    )


def told(one: FrigateMirror, change: CommittedChange) -> dict[str, Any]:
    notice = one.event(change)
    assert notice is not None
    assert (notice.topic, notice.is_retained, notice.qos) == ("frigate/events", False, 0)
    message: dict[str, Any] = json.loads(notice.payload)
    return message


def assert_shape(value: Mapping[str, Any], shape: Mapping[str, Any]) -> None:
    assert set(value) == set(shape)
    wrong = {key: value[key] for key, kind in shape.items() if not isinstance(value[key], kind)}
    assert wrong == {}


def test_an_event_has_the_shape_that_automations_read() -> None:
    message = told(mirror(), committed())
    assert set(message) == {"type", "before", "after"}
    assert_shape(message["before"], SHAPE)
    assert_shape(message["after"], SHAPE)
    assert_shape(message["after"]["snapshot"], SNAPSHOT_SHAPE)


def test_boxes_are_corners_and_times_are_unix_seconds() -> None:
    change = committed(ended_at="2026-01-31T07:05:00.250Z", kind="ended")
    after = told(mirror(), change)["after"]
    # The box of the test's event is 10, 20 to 40, 80.
    assert (after["box"], after["area"], after["ratio"]) == ([10, 20, 40, 80], 1800, 0.5)
    assert after["region"] == [0, 0, 640, 480]
    assert after["end_time"] == 1769843100.25
    assert after["frame_time"] == pytest.approx(change.at_wall_ns / 1e9, abs=0.001)
    assert after["id"] == frigate_id(change.event_id)


def test_an_id_is_the_same_in_the_life_of_an_event_and_begins_with_its_time() -> None:
    event_id = "019c1300-0000-7abc-8def-0123456789ab"
    assert frigate_id(event_id) == f"{0x019C13000000 / 1000:.6f}-6789ab"


def test_before_is_what_was_told_last_and_nothing_before_the_first() -> None:
    one = mirror()
    first = told(one, committed())
    second = told(one, committed(kind="updated", zones=["door"], entered_zones=["door"]))
    last = told(one, committed(kind="ended", ended_at="2026-01-31T07:05:00.250Z"))
    assert [message["type"] for message in (first, second, last)] == ["new", "update", "end"]
    assert (first["before"]["false_positive"], first["after"]["false_positive"]) == (True, False)
    assert first["before"]["snapshot"] is None
    assert second["before"] == first["after"]
    assert second["after"]["current_zones"] == ["door"]
    assert last["before"] == second["after"]
    again = told(one, committed(kind="updated"))
    assert again["before"]["false_positive"]  # it was forgotten at its end


def test_what_is_remembered_of_open_events_is_bounded() -> None:
    one = mirror()
    for number in range(OPEN_LIMIT + 50):
        change = committed(number)
        one.event(change)
    assert len(one._open) == OPEN_LIMIT


def test_a_gap_is_nothing_that_frigate_knows() -> None:
    assert mirror().event(replace_type(committed(), "gap")) is None


def test_severity_and_stills_are_told_as_they_are() -> None:
    after = told(mirror(), committed(label="dog", is_stationary=True))["after"]
    assert (after["max_severity"], after["has_snapshot"]) == ("detection", True)
    assert (after["stationary"], after["active"], after["motionless_count"]) == (True, False, 1)
    elsewhere = told(mirror(), committed(camera="yard"))["after"]
    assert (elsewhere["max_severity"], elsewhere["has_snapshot"]) == ("alert", False)


@pytest.mark.parametrize(
    ("ours", "payload", "theirs"),
    [
        ("availability", b"online", [("available", b"online", True)]),
        ("front/availability", b"offline", [("front/status/detect", b"offline", True)]),
        ("front/person/snapshot", JPEG, [("front/person/snapshot", JPEG, True)]),
        ("front/person", b"2", [("front/person", b"2", False), ("front/all", b"2", False)]),
        ("front/door/dog", b"1", [("door/dog", b"1", False), ("door/all", b"1", False)]),
        ("front/threshold", b"1", []),
        ("front/snapshot", JPEG, []),
        ("front/motion", b"ON", [("front/motion", b"ON", False)]),
        ("front/person/snapshot", b"", [("front/person/snapshot", b"", True)]),
        ("fallback", b"{}", []),
        ("front/person", b"", []),
    ],
)
def test_state_appears_beside_ours(
    ours: str, payload: bytes, theirs: list[tuple[str, bytes, bool]]
) -> None:
    notices = mirror().state(f"camera_app/cam1/{ours}", payload)
    found = [(n.topic.removeprefix("frigate/"), n.payload, n.is_retained) for n in notices]
    assert found == theirs


def test_counts_are_told_when_they_change_and_all_is_their_sum() -> None:
    one = mirror()
    said = [
        [
            (notice.topic, notice.payload)
            for notice in one.state(f"camera_app/cam1/front/{label}", count)
        ]
        for label, count in (("person", b"0"), ("person", b"1"), ("person", b"1"), ("dog", b"2"))
    ]
    assert said == [
        [("frigate/front/person", b"0"), ("frigate/front/all", b"0")],
        [("frigate/front/person", b"1"), ("frigate/front/all", b"1")],
        [],
        [("frigate/front/dog", b"2"), ("frigate/front/all", b"3")],
    ]


def test_what_is_not_ours_is_left_alone() -> None:
    assert mirror().state("homeassistant/device/cam1/config", b"{}") == []


def test_stats_are_those_of_our_status() -> None:
    camera = CameraStatus("running", 10.0, 4.0, 100, 40, {"still": 60})
    device = NetworkDevice("cpu", "healthy", service_ms={"a": 12.5, "b": 3.0})
    status = DeviceStatus("1.2", 3.0, {"front": camera}, devices={"cpu0": device})
    [notice] = mirror().state("camera_app/cam1/status", status_message(status))
    stats = json.loads(notice.payload)
    assert stats["cameras"]["front"]["camera_fps"] == 10.0
    assert stats["cameras"]["front"]["skipped_fps"] == 6.0
    assert stats["detectors"]["cpu0"]["inference_speed"] == 12.5
    assert stats["service"] == {"uptime": 3, "version": "1.2"}


def test_on_the_wire_fresh_events_and_state_come_and_old_events_do_not(
    broker: Callable[..., Mosquitto], subscribe: Callable[..., Subscriber], tmp_path: Path
) -> None:
    port = broker().port
    reader = subscribe(port, "frigate/#")
    clock = SystemClock()
    store = EventStore(tmp_path / "events.db", clock, RetentionSettings())
    one = mirror()
    board = MirroringBoard(one)
    publisher = Publisher(MqttSettings(host="127.0.0.1", port=port), "cam1", store, board, clock)
    store.add_listener(FreshEvents(one, publisher.say, clock, 5.0))
    store.start()
    publisher.start()
    try:
        assert reader.wait_on("frigate/available", b"online")
        board.put(TOPICS.count("front", "person"), b"1")
        board.put(TOPICS.label_snapshot("front", "person"), JPEG)
        old, fresh = make_change(1, age_s=60), make_change(2, age_s=0)
        store.commit([old, replace(old, change=ChangeType.ENDED), fresh]).wait(LIMIT_S)
        assert reader.wait_for(lambda _: bool(reader.on("frigate/events")))
        assert reader.wait_on("frigate/front/person", b"1")
        assert reader.wait_on("frigate/front/person/snapshot", JPEG)
        board.say_farewell()
    finally:
        publisher.stop()
        store.stop()
    assert reader.wait_on("frigate/available", b"offline")
    events = [message.json for message in reader.on("frigate/events")]
    assert [event["after"]["id"] for event in events] == [frigate_id(fresh.event.event_id)]


def test_names_that_frigate_could_not_tell_apart_are_refused() -> None:
    text = """
    [mqtt]
    compat = "frigate"
    [camera.door]
    source = "synthetic:"
    [camera.yard]
    source = "synthetic:"
    zones = [{ name = "door", polygon = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]] }]
    """
    with pytest.raises(ConfigError, match="'door' has several"):
        parse_config(text)
    parse_config(text.replace('compat = "frigate"', ""))


def replace_type(change: CommittedChange, kind: str) -> CommittedChange:
    return change._replace(type=kind)
