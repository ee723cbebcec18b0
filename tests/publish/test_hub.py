"""The hub's thread, one round at a time: no thread runs, the clock is ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.clock import ManualClock
from camera_app.config import HomeAssistantSettings
from camera_app.errors import CommandRefused
from camera_app.publish import Hub, Incoming, Notice, StateBoard, Topics
from camera_app.publish.commands import Command
from camera_app.publish.discovery import AnnouncedCamera, AnnouncedDevice, announcements
from camera_app.publish.hub import INBOX_LIMIT, RECORD_NAME

TOPICS = Topics("camera_app", "cam1")
FRONT = AnnouncedCamera("front", [("", "person")])
BACK = AnnouncedCamera("back", [("", "person")])
BOTH = AnnouncedDevice("cam1", "Porch", "1", TOPICS, [FRONT, BACK], 30.0)
DEVICE_TOPIC = "homeassistant/device/cam1/config"
BIRTH = "homeassistant/status"


class Voice:
    """Stands for the publisher: keeps who listens, and what is said."""

    def __init__(self) -> None:
        self.listeners: dict[str, Callable[[Incoming], None]] = {}
        self.said: list[Notice] = []

    def listen(self, topic_filter: str, listener: Callable[[Incoming], None]) -> None:
        self.listeners[topic_filter] = listener

    def say(self, notice: Notice) -> None:
        self.said.append(notice)


class Obedient:
    """Does what is asked, unless it is told to refuse."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.refusal = ""

    def carry_out(self, command: Command) -> None:
        if self.refusal:
            raise CommandRefused(self.refusal)
        self.done.append(command)

    def state_of(self, camera: str, setting: str) -> str:
        return f"{camera} {setting}"


class Rig:
    def __init__(
        self, folder: Path, device: AnnouncedDevice = BOTH, share: float = 0.5, **settings: object
    ) -> None:
        self.settings = HomeAssistantSettings.model_validate(settings)
        self.voice, self.board, self.clock = Voice(), StateBoard(), ManualClock()
        self.conduct = Obedient()
        self.hub = Hub(
            self.settings,
            announcements(device, self.settings.discovery, self.settings.prefix),
            topics=TOPICS,
            cameras={camera.name: None for camera in device.cameras},
            conduct=self.conduct,
            voice=self.voice,
            board=self.board,
            folder=folder,
            clock=self.clock,
            random=lambda: share,
        )
        self.hub.opened()

    def turn(self) -> None:
        """Let the thread go round once, without waiting."""
        self.hub.wake()
        self.hub.run_once()

    def take(self, *, acknowledge: bool = True) -> list[tuple[str, bytes]]:
        """Take what is to be told, as the broker would."""
        found = []
        while (notice := self.board.take()) is not None:
            found.append((notice.topic, notice.payload))
            if acknowledge:
                self.board.confirm(notice)
        return found

    def discovery(self) -> list[tuple[str, bytes]]:
        return [(topic, payload) for topic, payload in self.take() if topic.endswith("/config")]

    def settle(self) -> list[tuple[str, bytes]]:
        """Go round until nothing more is told; return the discovery messages."""
        found: list[tuple[str, bytes]] = []
        for _ in range(20):
            self.turn()
            found += self.discovery()
        return found

    def hear(self, topic: str, payload: bytes, **more: bool) -> None:
        for topic_filter in ("camera_app/cam1/+/set", "camera_app/cam1/+/+/set"):
            if topic_filter.count("/") == f"{TOPICS.root}/{topic}/set".count("/"):
                message = Incoming(f"{TOPICS.root}/{topic}/set", payload, **more)
                self.voice.listeners[topic_filter](message)

    def results(self) -> list[dict[str, object]]:
        return [json.loads(notice.payload) for notice in self.voice.said]


def test_the_device_is_announced_once_and_remembered(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    ((topic, _),) = rig.settle()
    assert topic == DEVICE_TOPIC
    record = json.loads((tmp_path / RECORD_NAME).read_text())
    assert list(record["topics"]) == [DEVICE_TOPIC]


def test_the_next_step_waits_for_the_broker_to_have_this_one(tmp_path: Path) -> None:
    Rig(tmp_path, discovery="entity").settle()
    rig = Rig(tmp_path, discovery="device")
    rig.turn()
    first = rig.take(acknowledge=False)
    handed_over = [payload for topic, payload in first if topic.endswith("/config")]
    assert set(handed_over) == {b'{"migrate_discovery":true}'}
    rig.turn()
    rig.turn()
    assert rig.take() == []


def test_a_change_of_style_is_told_in_order_and_then_forgotten(tmp_path: Path) -> None:
    Rig(tmp_path, discovery="entity").settle()
    told = Rig(tmp_path, discovery="device").settle()
    kinds = [
        "hand over" if b"migrate" in payload else "forget" if not payload else "announce"
        for _, payload in told
    ]
    count = kinds.count("hand over")
    assert count > 20
    assert kinds == ["hand over"] * count + ["announce"] + ["forget"] * count
    ((topic, _),) = Rig(tmp_path, discovery="device").settle()
    assert topic == DEVICE_TOPIC


def test_a_camera_that_is_gone_is_taken_back(tmp_path: Path) -> None:
    Rig(tmp_path).settle()
    tombstones, whole = (
        json.loads(payload)["components"]
        for _, payload in Rig(tmp_path, replace(BOTH, cameras=[FRONT])).settle()
    )
    gone = set(tombstones) - set(whole)
    assert gone
    assert all(key.startswith("cam1_back_") for key in gone)
    assert all(set(tombstones[key]) == {"platform"} for key in gone)


def test_after_a_kill_before_the_broker_had_all_the_rest_is_told(tmp_path: Path) -> None:
    Rig(tmp_path, discovery="entity").settle()
    killed = Rig(tmp_path, discovery="device")
    killed.turn()
    killed.take()
    told = Rig(tmp_path, discovery="device").settle()
    emptied = {topic for topic, payload in told if not payload}
    assert emptied == {m.topic for m in announcements(BOTH, "entity", "homeassistant")}


def test_what_is_over_is_not_told_again_at_the_next_connection(tmp_path: Path) -> None:
    Rig(tmp_path, discovery="entity").settle()
    rig = Rig(tmp_path, discovery="off")
    rig.settle()
    rig.board.tell_all()
    assert not [topic for topic, payload in rig.take() if not payload]


def test_a_damaged_record_costs_no_start(tmp_path: Path) -> None:
    (tmp_path / RECORD_NAME).write_bytes(b"\xff{")
    ((topic, _),) = Rig(tmp_path).settle()
    assert topic == DEVICE_TOPIC


def test_a_record_that_cannot_be_written_costs_no_start(tmp_path: Path) -> None:
    (tmp_path / f"{RECORD_NAME}.part").mkdir()
    ((topic, _),) = Rig(tmp_path).settle()
    assert topic == DEVICE_TOPIC


def test_a_hub_that_has_started_is_told_everything_after_its_delay(tmp_path: Path) -> None:
    rig = Rig(tmp_path, share=0.5, birth_delay_s=10.0)
    rig.settle()
    rig.voice.listeners[BIRTH](Incoming(BIRTH, b"online"))
    rig.turn()
    rig.clock.advance(4.9)
    rig.turn()
    assert rig.take() == []
    rig.clock.advance(0.2)
    rig.turn()
    told = [topic for topic, _ in rig.take()]
    assert told[0] == DEVICE_TOPIC
    assert f"{TOPICS.root}/front/detection" in told[1:]


def test_a_hub_that_starts_again_and_again_is_told_once_a_while(tmp_path: Path) -> None:
    rig = Rig(tmp_path, birth_delay_s=0.0)
    rig.settle()
    for _ in range(10):
        rig.voice.listeners[BIRTH](Incoming(BIRTH, b"online"))
        rig.turn()
        rig.clock.advance(0.09)
    rig.turn()
    assert rig.take() == []
    rig.clock.advance(0.2)
    rig.turn()
    assert len([topic for topic, _ in rig.take() if topic == DEVICE_TOPIC]) == 1
    rig.clock.advance(5.0)
    rig.turn()
    assert rig.take() == []


@pytest.mark.parametrize("message", [Incoming(BIRTH, b"offline"), Incoming(BIRTH, b"online", True)])
def test_only_a_birth_of_now_counts(tmp_path: Path, message: Incoming) -> None:
    rig = Rig(tmp_path, birth_delay_s=0.0)
    rig.settle()
    rig.voice.listeners[BIRTH](message)
    rig.turn()
    rig.clock.advance(60.0)
    rig.turn()
    assert rig.take() == []


def test_a_command_is_carried_out_answered_and_its_state_told(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.settle()
    rig.hear("front/detection", b"OFF")
    rig.turn()
    assert rig.conduct.done == [Command("front", "detection", "OFF")]
    (result,) = rig.results()
    assert (result["accepted"], result["state"]) == (True, "front detection")
    (answer,) = rig.voice.said
    assert (answer.topic, answer.is_retained) == (f"{TOPICS.root}/result", False)


def test_a_command_that_is_refused_is_answered_with_the_reason(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.conduct.refusal = "not today"
    rig.hear("front/detection", b"OFF")
    rig.turn()
    (result,) = rig.results()
    assert (result["accepted"], result["error"]) == (False, "not today")


def test_more_commands_than_can_wait_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(tmp_path)
    for _ in range(INBOX_LIMIT + 3):
        rig.hear("front/detection", b"OFF")
    rig.turn()
    assert len([line for line in caplog.messages if "passed over" in line]) == 3
    assert len(rig.results()) < INBOX_LIMIT  # and of those that waited most were too many


def test_where_discovery_is_off_no_birth_is_waited_for(tmp_path: Path) -> None:
    assert BIRTH not in Rig(tmp_path, discovery="off").voice.listeners
