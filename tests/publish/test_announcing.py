"""From what a hub was told to what it is to be told: played to a hub that remembers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from camera_app.publish.announcing import Announced, announced_by, read_record, steps
from camera_app.publish.discovery import AnnouncedCamera, AnnouncedDevice, Style, announcements
from camera_app.publish.topics import Topics

ROOT = "camera_app/cam1"
FRONT = AnnouncedCamera("front", [("", "person"), ("mat", "person")], sends_snapshots=True)
BACK = AnnouncedCamera("back", [("", "person")])
BOTH = AnnouncedDevice("cam1", "Porch", "1", Topics("camera_app", "cam1"), [FRONT, BACK], 30.0)
ONE = replace(BOTH, cameras=[FRONT])
WITHOUT_ZONE = replace(BOTH, cameras=[replace(FRONT, places=[("", "person")]), BACK])


class Hub:
    """Keeps what discovery does to a hub: which entities it has, and which it ever lost."""

    def __init__(self) -> None:
        self.entities: dict[str, str] = {}  # key -> the topic that it hangs on
        self.lost: set[str] = set()
        self._handed_over: set[str] = set()
        self.retained: dict[str, bytes] = {}

    def hear(self, topic: str, payload: bytes) -> None:
        self.retained[topic] = payload
        if not payload:
            del self.retained[topic]
        if not topic.endswith("/config"):
            return
        if not payload:
            self._remove_where(topic)
            self._handed_over.discard(topic)
        elif json.loads(payload) == {"migrate_discovery": True}:
            self._handed_over.add(topic)
        else:
            self._take(topic, json.loads(payload))

    def _take(self, topic: str, payload: dict[str, object]) -> None:
        found = payload.get("components")
        listed = found if isinstance(found, dict) else {topic.split("/")[2]: payload}
        for key, part in listed.items():
            owner = self.entities.get(key, topic)
            assert owner == topic or owner in self._handed_over, f"{key} is announced twice"
            if set(part) == {"platform"}:
                self.lost.add(key)
                self.entities.pop(key, None)
            else:
                self.entities[key] = topic
        for key in [key for key, at in self.entities.items() if at == topic]:
            assert key in listed, f"{key} is left out without being removed first"

    def _remove_where(self, topic: str) -> None:
        for key in [key for key, at in self.entities.items() if at == topic]:
            del self.entities[key]
            if topic not in self._handed_over:
                self.lost.add(key)


def move(hub: Hub, before: Announced, device: AnnouncedDevice, style: Style) -> Announced:
    """Tell a hub what has changed; return the record of it."""
    now = announcements(device, style, "homeassistant")
    for step in steps(before, now, ROOT):
        for topic, payload in step:
            hub.hear(topic, payload)
    after = announced_by(now, ROOT)
    return read_record(after.as_json())


def keys(device: AnnouncedDevice) -> set[str]:
    return set(announced_by(announcements(device, "device", "p"), ROOT).keys)


def test_a_hub_that_knows_nothing_is_told_the_announcements_and_no_more() -> None:
    now = announcements(BOTH, "device", "homeassistant")
    assert steps(Announced(), now, ROOT) == [((now[0].topic, now[0].payload),)]


def test_the_same_is_told_again_at_every_start() -> None:
    now = announcements(BOTH, "device", "homeassistant")
    known = announced_by(now, ROOT)
    assert steps(known, now, ROOT) == steps(Announced(), now, ROOT)


@pytest.mark.parametrize("style", ["device", "entity"])
@pytest.mark.parametrize("less", [ONE, WITHOUT_ZONE])
def test_what_is_gone_is_taken_back_and_nothing_else(style: Style, less: AnnouncedDevice) -> None:
    hub = Hub()
    before = move(hub, Announced(), BOTH, style)
    assert set(hub.entities) == keys(BOTH)
    move(hub, before, less, style)
    assert set(hub.entities) == keys(less)
    assert hub.lost == keys(BOTH) - keys(less)


@pytest.mark.parametrize(("first", "second"), [("device", "entity"), ("entity", "device")])
def test_a_change_of_style_loses_no_entity(first: Style, second: Style) -> None:
    hub = Hub()
    before = move(hub, Announced(), BOTH, first)
    move(hub, before, BOTH, second)
    assert set(hub.entities) == keys(BOTH)
    assert not hub.lost
    old = {message.topic for message in announcements(BOTH, first, "homeassistant")}
    assert not old & set(hub.retained)


def test_a_change_of_style_with_a_camera_gone_loses_only_that() -> None:
    hub = Hub()
    before = move(hub, Announced(), BOTH, "entity")
    move(hub, before, ONE, "device")
    assert set(hub.entities) == keys(ONE)
    assert hub.lost == keys(BOTH) - keys(ONE)


@pytest.mark.parametrize("style", ["device", "entity"])
def test_when_it_is_switched_off_all_is_taken_back(style: Style) -> None:
    hub = Hub()
    before = move(hub, Announced(), BOTH, style)
    hub.retained[f"{ROOT}/front/person"] = b"1"
    after = move(hub, before, BOTH, "off")
    assert not hub.entities
    assert not hub.retained
    assert after == Announced()


def test_states_go_after_what_reads_them() -> None:
    """A template on an emptied topic logs an error in the hub."""
    known = announced_by(announcements(BOTH, "entity", "homeassistant"), ROOT)
    told = [one for step in steps(known, [], ROOT) for one in step]
    emptied = [topic for topic, payload in told if not payload]
    first_state = next(i for i, topic in enumerate(emptied) if topic.startswith(ROOT))
    assert all(topic.startswith(ROOT) for topic in emptied[first_state:])
    assert f"{ROOT}/back/person" in emptied


def test_only_topics_of_ours_are_emptied() -> None:
    """A record may be of a device id that is another device's now."""
    strangers = Announced({}, frozenset())
    device = replace(BOTH, topics=Topics("camera_app", "cam2"))
    known = announced_by(announcements(device, "device", "homeassistant"), ROOT)
    assert known.states == strangers.states


def test_nothing_is_said_where_nothing_is_kept() -> None:
    """An automation would take an empty message on `now` for an event; so did a hub once."""
    known = announced_by(announcements(BOTH, "device", "ha"), ROOT)
    known = Announced(known.topics, known.states | {f"{ROOT}/back/now", f"{ROOT}/back/live"})
    told = [
        topic
        for step in steps(known, announcements(ONE, "device", "ha"), ROOT)
        for topic, _ in step
    ]
    assert f"{ROOT}/back/person" in told
    assert not {f"{ROOT}/back/now", f"{ROOT}/back/live"} & set(told)


def test_after_a_kill_in_the_middle_the_way_is_found_again() -> None:
    """The record then holds both, the old and the new; wherever it ended, the end is the same."""
    now = announcements(ONE, "device", "homeassistant")
    known = announced_by(announcements(BOTH, "entity", "homeassistant"), ROOT)
    whole = [one for step in steps(known, now, ROOT) for one in step]
    for cut in range(0, len(whole) + 1, 5):
        hub = Hub()
        move(hub, Announced(), BOTH, "entity")
        for topic, payload in whole[:cut]:
            hub.hear(topic, payload)
        move(hub, known.joined(announced_by(now, ROOT)), ONE, "device")
        assert set(hub.entities) == keys(ONE), cut
        assert {t for t in hub.retained if t.endswith("/config")} == {now[0].topic}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema":1}', '{"schema":1,"topics":[],"states":[]}', "\x00", "nul"]
)
def test_a_record_that_is_none_is_known_as_such(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_record(text)
