"""What Home Assistant is told, held against the rules by which it takes or refuses it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.publish.discovery import (
    AnnouncedCamera,
    AnnouncedDevice,
    announcements,
    components,
    title,
)
from camera_app.publish.topics import Topics
from tests.publish.hub_rules import check_device_message, check_entity_messages

FRONT = AnnouncedCamera(
    "front",
    [("", "person"), ("", "face"), ("mat", "person")],
    sends_snapshots=True,
    sends_live=True,
    variants=("person_large", "person_small"),
    finds_faces=True,
    tells_motion=True,
    lines=[("door", "both"), ("gate", "in")],
    loitering_zones=["mat"],
)
DEVICE = AnnouncedDevice(
    "cam1",
    "Porch",
    "1.2.3",
    Topics("camera_app", "cam1"),
    [FRONT],
    status_interval_s=30.0,
    profiles=("home", "away"),
)
NAMES = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True)
LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def device_payload(device: AnnouncedDevice = DEVICE) -> dict[str, Any]:
    (message,) = announcements(device, "device", "homeassistant")
    payload: dict[str, Any] = json.loads(message.payload)
    return payload


def parts(device: AnnouncedDevice = DEVICE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = device_payload(device)["components"]
    return found


def test_a_hub_takes_the_whole_device_in_one_message() -> None:
    (message,) = announcements(DEVICE, "device", "homeassistant")
    assert message.topic == "homeassistant/device/cam1/config"
    check_device_message(message.topic, message.payload)


def test_a_hub_takes_each_entity_by_itself() -> None:
    messages = announcements(DEVICE, "entity", "homeassistant")
    check_entity_messages({message.topic: message.payload for message in messages})


def test_both_styles_announce_the_same_under_the_same_ids() -> None:
    """Or a change of style would cost the hub its history."""
    single = {json.loads(m.payload).get("unique_id") for m in announcements(DEVICE, "entity", "ha")}
    assert single == {part.get("unique_id") for part in parts().values()}


def test_nothing_is_announced_when_it_is_off() -> None:
    assert announcements(DEVICE, "off", "homeassistant") == []


def test_the_same_device_is_announced_in_the_same_bytes() -> None:
    assert announcements(DEVICE, "device", "p") == announcements(replace(DEVICE), "device", "p")


def test_what_a_camera_sees_is_gone_with_the_camera_and_what_controls_it_is_not() -> None:
    """A switched-off camera is offline; the switch that brings it back must not be."""
    found = parts()
    assert device_payload()["availability"] == [{"topic": "camera_app/cam1/availability"}]
    assert found["cam1_front_person_occupancy"]["availability"] == [
        {"topic": "camera_app/cam1/availability"},
        {"topic": "camera_app/cam1/front/availability"},
    ]
    for key in ("privacy", "detection", "snapshots", "threshold", "sees", "fps"):
        assert "availability" not in found[f"cam1_front_{key}"]


def test_films_can_be_switched_where_they_can_be_made() -> None:
    assert "cam1_front_recording" not in parts()
    (front, *rest) = DEVICE.cameras
    filming = replace(DEVICE, cameras=[replace(front, can_record=True), *rest])
    (switch,) = [one for one in components(filming) if one.key == "cam1_front_recording"]
    assert switch.platform == "switch"
    assert switch.options["name"] == "Front recording"
    assert switch.options["command_topic"] == "camera_app/cam1/front/recording/set"


def test_health_becomes_unavailable_when_nobody_tells_it_any_more() -> None:
    read_off_the_status = [
        part for part in parts().values() if part.get("state_topic") == "camera_app/cam1/status"
    ]
    assert len(read_off_the_status) == 10
    assert {part["expire_after"] for part in read_off_the_status} == {90}


def test_places_have_occupancy_and_count_on_their_own_topics() -> None:
    found = parts()
    assert found["cam1_front_mat_person_occupancy"]["name"] == "Front mat person"
    assert found["cam1_front_mat_person_occupancy"]["device_class"] == "occupancy"
    topic = "camera_app/cam1/front/mat/person"
    assert found["cam1_front_mat_person_occupancy"]["state_topic"] == topic
    assert found["cam1_front_mat_person_count"]["state_topic"] == topic
    assert found["cam1_front_face_count"]["state_topic"] == "camera_app/cam1/front/face"


def test_events_and_triggers_listen_to_what_is_fresh() -> None:
    found = parts()
    assert found["cam1_front_person_event"]["state_topic"] == "camera_app/cam1/front/now"
    assert found["cam1_front_person_event"]["event_types"] == ["started", "updated", "ended"]
    assert found["cam1_front_person_started"]["topic"] == "camera_app/cam1/front/now"
    assert found["cam1_front_person_started"]["type"] == "person started"


def test_lines_loitering_and_motion_have_entities_and_triggers() -> None:
    found = parts()
    crossed, loitering = found["cam1_front_line_crossed_event"], found["cam1_front_loitering_event"]
    assert (crossed["name"], crossed["event_types"]) == ("Front line crossed", ["in", "out"])
    assert (loitering["name"], loitering["event_types"]) == (
        "Front loitering",
        ["started", "continued"],
    )
    for part in (crossed, loitering):
        assert part["state_topic"] == "camera_app/cam1/front/now"
    motion = found["cam1_front_motion"]
    assert (motion["device_class"], motion["state_topic"]) == (
        "motion",
        "camera_app/cam1/front/motion",
    )
    triggers = {part["type"] for part in found.values() if part["platform"] == "device_automation"}
    assert {"crossed door in", "crossed door out", "crossed gate in", "loitering mat"} < triggers
    assert "crossed gate out" not in triggers  # nobody counts that way


def test_a_camera_whose_lines_count_one_way_only_says_so() -> None:
    one_way = replace(DEVICE, cameras=[replace(FRONT, lines=[("gate", "out")])])
    assert parts(one_way)["cam1_front_line_crossed_event"]["event_types"] == ["out"]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({"tells_motion": False}, {"cam1_front_motion"}),
        (
            {"lines": [("door", "both")]},
            {"cam1_front_line_gate_in"},
        ),
        (
            {"lines": []},
            {
                "cam1_front_line_crossed_event",
                "cam1_front_line_door_in",
                "cam1_front_line_door_out",
                "cam1_front_line_gate_in",
            },
        ),
        ({"loitering_zones": []}, {"cam1_front_loitering_event", "cam1_front_loitering_mat"}),
    ],
)
def test_there_is_no_entity_for_a_rule_that_is_not_there(
    change: dict[str, object], lost: set[str]
) -> None:
    less = replace(DEVICE, cameras=[replace(FRONT, **change)])  # type: ignore[arg-type]
    assert set(parts()) - set(parts(less)) == lost


@pytest.mark.parametrize(
    ("change", "platforms_lost"),
    [
        ({"sends_snapshots": False}, {"image"}),
        ({"sends_live": False}, {"camera"}),
    ],
)
def test_there_is_no_entity_for_a_picture_that_is_not_sent(
    change: dict[str, bool], platforms_lost: set[str]
) -> None:
    less = replace(DEVICE, cameras=[replace(FRONT, **change)])
    before = {part.platform for part in components(DEVICE)}
    assert before - {part.platform for part in components(less)} == platforms_lost


def test_there_is_no_control_where_commands_are_not_taken() -> None:
    deaf = replace(DEVICE, takes_commands=False)
    assert not {"switch", "number", "button"} & {part.platform for part in components(deaf)}
    assert all("command_topic" not in part.options for part in components(deaf))


def test_there_is_a_choice_only_where_there_is_something_to_choose() -> None:
    found = parts()
    assert found["cam1_profile"]["options"] == ["home", "away", "configured"]
    assert found["cam1_front_variant"]["options"] == ["person_large", "person_small"]
    assert found["cam1_front_faces"]["platform"] == "switch"

    plain = replace(FRONT, variants=(), finds_faces=False)
    less = parts(replace(DEVICE, cameras=[plain], profiles=()))
    gone = {"cam1_profile", "cam1_front_variant", "cam1_front_faces"}
    assert found.keys() - less.keys() == gone


def test_names_that_run_into_each_other_stay_apart() -> None:
    cameras = [
        AnnouncedCamera("a", [("b_c", "person")]),
        AnnouncedCamera("a_b", [("c", "person")]),
    ]
    ids = [part.key for part in components(replace(DEVICE, cameras=cameras))]
    assert len(set(ids)) == len(ids)
    assert "cam1_a_b_c_person_count" in ids


@given(
    cameras=st.dictionaries(
        NAMES,
        st.tuples(
            st.sets(LABELS, min_size=1, max_size=3), st.sets(NAMES, max_size=3), st.booleans()
        ),
        min_size=1,
        max_size=3,
    )
)
def test_whatever_cameras_zones_and_labels_are_called_a_hub_takes_it(
    cameras: dict[str, tuple[set[str], set[str], bool]],
) -> None:
    announced = [
        AnnouncedCamera(
            name,
            [(zone, label) for zone in ("", *sorted(zones)) for label in sorted(labels)],
            is_sent,
            is_sent,
            tells_motion=is_sent,
            lines=[(zone, "both") for zone in sorted(zones)],  # a line may be called as a zone
            loitering_zones=sorted(zones),
        )
        for name, (labels, zones, is_sent) in cameras.items()
    ]
    device = replace(DEVICE, cameras=announced)
    (whole,) = announcements(device, "device", "homeassistant")
    check_device_message(whole.topic, whole.payload)
    single = announcements(device, "entity", "homeassistant")
    assert len({message.topic for message in single}) == len(single)
    check_entity_messages({message.topic: message.payload for message in single})


def test_names_are_written_as_people_do() -> None:
    assert title("front_door-2") == "Front door 2"
