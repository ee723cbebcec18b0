"""The running camera tells a hub of itself, over a real broker."""

from __future__ import annotations

import json

from tests.control.conftest import Owner, Started
from tests.publish.hub_rules import check_device_message, check_entity_messages

DEVICE_TOPIC = "homeassistant/device/cam1/config"
QUICK = "[home_assistant]\nbirth_delay_s = 0\n"


def test_the_whole_device_is_announced_as_a_hub_takes_it(started: Started, owner: Owner) -> None:
    started()
    assert owner.wait_for(lambda _: bool(owner.on(DEVICE_TOPIC)))
    (message,) = owner.on(DEVICE_TOPIC)
    assert message.is_retained
    check_device_message(DEVICE_TOPIC, message.payload)
    parts = message.json["components"]
    assert parts["cam1_front_person_occupancy"]["state_topic"] == "camera_app/cam1/front/person"
    assert "cam1_front_live" not in parts
    assert "cam1_front_person_best" not in parts


def test_every_topic_that_is_announced_has_something_on_it(started: Started, owner: Owner) -> None:
    """An entity without a state would stay unknown for ever; events and a self-test come later."""
    started()
    assert owner.wait_for(lambda _: bool(owner.on(DEVICE_TOPIC)))
    parts = owner.on(DEVICE_TOPIC)[0].json["components"].values()
    read = {
        value
        for part in parts
        for name, value in part.items()
        if name in ("state_topic", "json_attributes_topic")
    }
    later = {"camera_app/cam1/front/now", "camera_app/cam1/self_test"}
    assert owner.wait_for(lambda _: all(owner.on(topic) for topic in read - later))


def test_each_entity_is_announced_by_itself_where_that_is_wanted(
    started: Started, owner: Owner
) -> None:
    started('[home_assistant]\ndiscovery = "entity"')
    last = "homeassistant/button/cam1_front_snapshot_now/config"
    assert owner.wait_for(lambda _: bool(owner.on(last)))
    told = {m.topic: m.payload for m in owner.messages if m.topic.endswith("/config")}
    check_entity_messages(told)


def test_a_hub_that_has_started_is_told_all_again_availability_first(
    started: Started, owner: Owner
) -> None:
    started(QUICK)
    owner.wait_newest("front/availability", b"online")
    assert owner.wait_for(lambda _: bool(owner.on(DEVICE_TOPIC)))
    before = len(owner.messages)
    owner.tell("homeassistant/status", "online")
    assert owner.wait_for(lambda _: len(owner.on(DEVICE_TOPIC)) == 2)
    again = [m.topic for m in owner.messages[before:] if m.topic != "homeassistant/status"]
    placed = {topic: again.index(topic) for topic in again}
    first = placed["camera_app/cam1/availability"]
    assert first < placed["camera_app/cam1/front/availability"] < placed[DEVICE_TOPIC]


def test_what_is_gone_is_taken_back_from_the_broker(started: Started, owner: Owner) -> None:
    started(camera='zones = [{ name = "mat", polygon = [[0, 0], [1, 0], [1, 1]] }]')
    owner.wait_newest("front/mat/person", b"0")
    started()
    owner.wait_newest("front/mat/person", b"")
    assert "cam1_front_mat_person_count" not in owner.on(DEVICE_TOPIC)[-1].json["components"]


def test_switched_off_nothing_of_it_stays_at_the_broker(started: Started, owner: Owner) -> None:
    started()
    assert owner.wait_for(lambda _: bool(owner.on(DEVICE_TOPIC)))
    started('[home_assistant]\ndiscovery = "off"')
    assert owner.wait_for(lambda _: owner.on(DEVICE_TOPIC)[-1].payload == b"")
    assert json.loads(owner.on(DEVICE_TOPIC)[0].payload)
