"""The access list of the guide, word for word, in a real mosquitto."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.publish import Topics
from camera_app.publish.incoming import Incoming
from tests.publish.conftest import Camera, Subscriber, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto, users_only
from tests.publish.test_security import Authority, authority
from tests.waiting import wait_until

__all__ = ["authority"]

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "mqtt-security.md"
OURS, OTHER = Topics("camera_app", "cam1"), Topics("camera_app", "cam2")
NOT_AUTHORIZED = 0x87

Cameras = Callable[..., Camera]
Brokers = Callable[..., Mosquitto]


def password_of(user: str) -> str:
    return f"{user}-only-knows"


@pytest.fixture
def guarded(broker: Brokers, tmp_path: Path) -> Mosquitto:
    """A broker with the guide's access list, and users `hub`, `cam1`, `cam2`."""
    [rights] = re.findall(r"```acl\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    acl = tmp_path / "acl"
    acl.write_text(rights)
    acl.chmod(0o600)
    passwords = {user: password_of(user) for user in ("hub", "cam1", "cam2")}
    return broker(acl_file=str(acl), **users_only(tmp_path, **passwords))


@pytest.fixture
def camera_one(guarded: Mosquitto, camera: Cameras, tmp_path: Path) -> Camera:
    """The product, logged in as `cam1`; not yet started."""
    file = tmp_path / "password"
    file.write_text(f"{password_of('cam1')}\n")
    return camera(guarded.port, username="cam1", password_file=file)


@pytest.fixture
def hub(guarded: Mosquitto) -> Iterator[Subscriber]:
    reader = Subscriber(guarded.port, "camera_app/#", username="hub", password=password_of("hub"))
    yield reader
    reader.close()
    assert reader.problems() == []


class Client:
    """Somebody who knows a user's password, and tries."""

    def __init__(self, port: int, user: str) -> None:
        self.heard: list[str] = []
        self._answers: dict[int, int] = {}
        self._granted: dict[int, list[int]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self._client.username_pw_set(user, password_of(user))
        self._client.on_publish = self._answered
        self._client.on_message = lambda _c, _d, got: self.heard.append(got.topic)
        self._client.on_subscribe = lambda _c, _d, mid, codes, _p: self._granted.update(
            {mid: [code.value for code in codes]}
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _answered(self, _c: Any, _d: Any, mid: int, code: Any, _p: Any) -> None:
        self._answers[mid] = code.value

    def may_write(self, topic: str) -> bool:
        sent = self._client.publish(topic, b"x", qos=1)
        assert wait_until(lambda: sent.mid in self._answers)
        return self._answers[sent.mid] != NOT_AUTHORIZED

    def subscribe(self, topic: str) -> None:
        _, mid = self._client.subscribe(topic, 1)
        assert mid is not None
        assert wait_until(lambda: mid in self._granted)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def someone(guarded: Mosquitto) -> Iterator[Callable[[str], Client]]:
    made: list[Client] = []

    def make(user: str) -> Client:
        made.append(Client(guarded.port, user))
        return made[-1]

    yield make
    for client in made:
        client.close()


def test_a_camera_does_all_its_work_under_the_access_list(
    camera_one: Camera, hub: Subscriber, someone: Callable[[str], Client]
) -> None:
    asked: list[Incoming] = []
    for one in OURS.command_filters:
        camera_one.publisher.listen(one, asked.append)
    camera_one.publisher.start()
    camera_one.board.put(OURS.count("front", "person"), b"1")
    camera_one.store.commit([make_change(number) for number in range(1, 51)])
    assert camera_one.publisher.wait_drained(LIMIT_S)
    assert hub.wait_on(OURS.availability, b"online")
    assert hub.wait_on(OURS.count("front", "person"), b"1")
    assert hub.wait_for(lambda _: len(hub.on(OURS.event("front"))) == 50)

    client = someone("hub")
    assert client.may_write(OURS.camera_command("front", "detection"))
    assert client.may_write(OURS.device_command("self_test"))
    assert wait_until(lambda: len(asked) == 2)
    stats = camera_one.publisher.stats()
    assert (stats.refused, stats.last_error) == (0, "")


def test_a_camera_writes_nothing_but_its_own(someone: Callable[[str], Client]) -> None:
    thief = someone("cam1")
    own = [
        OURS.event("front"),
        OURS.availability,
        OURS.result,
        OURS.answer("hub"),
        "homeassistant/device/cam1/config",
    ]
    foreign = [
        OTHER.event("front"),
        OTHER.availability,
        OTHER.camera_command("front", "detection"),
        OTHER.device_command("restart"),
        OTHER.request,
        "camera_app/cam1x/availability",
        "camera_app",
        "homeassistant/device/cam2/config",
        "homeassistant/status",
        "zigbee/front_door/set",
    ]
    assert [topic for topic in own if not thief.may_write(topic)] == []
    assert [topic for topic in foreign if thief.may_write(topic)] == []


def test_a_camera_hears_nothing_that_others_tell(someone: Callable[[str], Client]) -> None:
    """It may ask for everything; mosquitto then keeps back what is not for it."""
    thief, victim, hub = someone("cam1"), someone("cam2"), someone("hub")
    for wanted in ("#", "camera_app/cam2/#", OTHER.event("front")):
        thief.subscribe(wanted)
    assert victim.may_write(OTHER.event("front"))
    assert victim.may_write(OTHER.snapshot("front"))
    assert hub.may_write(OTHER.camera_command("front", "privacy"))
    assert hub.may_write("homeassistant/switch/x/state")
    assert hub.may_write(OURS.camera_command("front", "privacy"))  # this one is for it, and last
    assert wait_until(lambda: bool(thief.heard))
    assert set(thief.heard) == {OURS.camera_command("front", "privacy")}


def test_the_hub_cannot_speak_for_a_camera(someone: Callable[[str], Client]) -> None:
    hub = someone("hub")
    told = [OURS.event("front"), OURS.availability, OURS.snapshot("front"), OURS.status]
    assert [topic for topic in told if hub.may_write(topic)] == []


def test_a_certificate_is_a_name_that_the_access_list_knows(
    broker: Brokers, camera: Cameras, authority: Authority, tmp_path: Path
) -> None:
    [rights] = re.findall(r"```acl\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    acl = tmp_path / "acl"
    acl.write_text(rights)
    running = broker(
        **authority.options("127.0.0.1"),
        require_certificate="true",
        use_identity_as_username="true",
        acl_file=str(acl),
    )
    certificate, key = authority.issue("cam1")
    cam = camera(
        running.port,
        ca_file=authority.certificate,
        client_certificate_file=certificate,
        client_key_file=key,
    )
    cam.store.commit([make_change(1)])
    cam.publisher.start()
    assert cam.publisher.wait_drained(LIMIT_S)
    cam.board.put(OTHER.count("front", "person"), b"1")
    assert wait_until(lambda: "does not allow this topic" in cam.publisher.stats().last_error)
