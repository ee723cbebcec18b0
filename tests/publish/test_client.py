"""The publisher against a real mosquitto, which is killed, replaced and lied about."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from camera_app.clock import SystemClock, nanoseconds
from camera_app.demo.broker import free_port
from camera_app.publish.buffered import BufferedSocket
from camera_app.publish.client import Publisher
from camera_app.publish.payloads import availability_message
from camera_app.store import CommittedChange, EventStore
from tests.publish.conftest import Camera, Received, Subscriber, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto, users_only
from tests.waiting import wait_until

ROOT = "camera_app/cam1"
AVAILABILITY = f"{ROOT}/availability"

Brokers = Callable[..., Mosquitto]
Subscribers = Callable[..., Subscriber]
Cameras = Callable[..., Camera]


def seqs(messages: list[Received]) -> list[int]:
    return [message.json["seq"] for message in messages]


def commit(store: EventStore, count: int, *, first: int = 1, camera: str = "front") -> None:
    changes = [make_change(number, camera=camera) for number in range(first, first + count)]
    store.commit(changes).wait(LIMIT_S)


def test_a_backlog_arrives_complete_in_order_and_settles(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    reader = subscribe(broker().port)
    cam = camera(broker_port(reader))
    commit(cam.store, 700)
    cam.publisher.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert reader.wait_for(lambda _: len(reader.on(f"{ROOT}/front/event")) >= 700)
    told = reader.on(f"{ROOT}/front/event")
    assert seqs(told) == list(range(1, 701))
    assert all(message.qos == 1 and not message.is_retained for message in told)
    stats = cam.publisher.stats()
    assert (stats.state, stats.sent, stats.acknowledged, stats.in_flight) == (
        "connected",
        700,
        700,
        0,
    )


def test_a_ledger_message_says_what_was_stored_and_that_it_comes_late(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port)
    change = make_change(7)
    cam.store.commit([change]).wait(LIMIT_S)
    cam.publisher.start()

    assert reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/event")))
    (message,) = reader.on(f"{ROOT}/front/event")
    record = message.json
    assert (record["seq"], record["delayed"], record["device_id"]) == (1, True, "cam1")
    assert (record["event_id"], record["type"]) == (change.event.event_id, "started")
    assert message.properties is not None
    plain = message.properties.json()
    assert plain["ContentType"] == "application/json"
    assert plain["UserProperty"] == [("seq", "1"), ("event_id", change.event.event_id)]
    # The owner keeps events for 90 days, and this one is an hour old.
    assert 0 <= 90 * 86_400 - 3600 - plain["MessageExpiryInterval"] < LIMIT_S


def test_only_fresh_changes_appear_on_now(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port, now_max_age_s=5.0)
    cam.publisher.start()
    assert reader.wait_on(AVAILABILITY, b"online")

    cam.store.commit([make_change(1, age_s=60)])
    cam.store.commit([make_change(2, age_s=0)])

    assert reader.wait_for(lambda _: len(reader.on(f"{ROOT}/front/event")) == 2)
    assert [m.json["delayed"] for m in reader.on(f"{ROOT}/front/event")] == [True, False]
    assert reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/now")))
    (fresh,) = reader.on(f"{ROOT}/front/now")
    assert (fresh.json["seq"], fresh.is_retained) == (2, False)
    assert fresh.properties is not None
    assert 1 <= fresh.properties.MessageExpiryInterval <= 5  # or a broker would tell it as now


def test_what_is_fresh_is_heard_before_the_ledger_is_read(
    broker: Brokers, subscribe: Subscribers, camera: Cameras, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port)
    cam.publisher.start()
    assert reader.wait_on(AVAILABILITY, b"online")
    read, was_heard = cam.publisher._outbox.pending, list[bool]()

    def read_when_heard(after_row: int, limit: int) -> list[CommittedChange]:
        was_heard.append(reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/now"))))
        return read(after_row, limit)

    monkeypatch.setattr(cam.publisher._outbox, "pending", read_when_heard)
    cam.store.commit([make_change(1, age_s=0)])

    assert reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/event")))
    assert was_heard[0]


class PutClock(SystemClock):
    """A machine whose wall clock somebody puts forward or back."""

    def __init__(self) -> None:
        self.put_by_s = 0.0

    def wall_ns(self) -> int:
        return super().wall_ns() + nanoseconds(self.put_by_s)


def test_a_wall_clock_that_is_put_makes_nothing_stale_and_nothing_fresh(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    """Put forward while a change waits for the connection; put back while an old one does."""
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port, now_max_age_s=30.0)
    clock = cam.publisher._clock = PutClock()
    cam.store.commit([make_change(1, age_s=0)]).wait(LIMIT_S)
    cam.store.commit([make_change(2, age_s=60)]).wait(LIMIT_S)

    clock.put_by_s = 3600
    cam.publisher.start()
    assert reader.wait_for(lambda _: bool(reader.on(f"{ROOT}/front/now")))
    cam.publisher.stop()
    cam.store.commit([make_change(3, age_s=60)]).wait(LIMIT_S)
    clock.put_by_s = -60
    cam.publisher.start()

    assert reader.wait_for(lambda _: len(reader.on(f"{ROOT}/front/event")) == 3)
    cam.store.commit([make_change(4, age_s=0)]).wait(LIMIT_S)
    assert reader.wait_for(lambda _: len(reader.on(f"{ROOT}/front/now")) == 2)
    assert seqs(reader.on(f"{ROOT}/front/now")) == [1, 4]


def test_a_fresh_change_is_told_past_a_backlog(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader = subscribe(running.port, f"{ROOT}/front/now")
    cam = camera(running.port, window=1)
    commit(cam.store, 4000)
    cam.publisher.start()
    assert wait_until(lambda: cam.publisher.stats().acknowledged > 0)

    cam.store.commit([make_change(9000, age_s=0)])

    assert reader.wait_for(lambda got: len(got) == 1)
    assert cam.store.stats().backlog > 1000


def test_a_broker_that_is_killed_in_the_middle_misses_nothing(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    """Killed without warning at four moments. What it lost it gets again, with the same id.

    The reader takes QoS 0: then mosquitto writes to it before it acknowledges to us. With QoS 1
    it would acknowledge what it still queues for the reader in memory, and take that along.
    """
    running = broker()
    reader = subscribe(running.port, f"{ROOT}/+/event", qos=0)
    cam = camera(running.port, window=50)
    for name in ("front", "yard"):
        commit(cam.store, 1500, camera=name, first=1 if name == "front" else 5001)
    cam.publisher.start()

    for moment in (200, 900, 1500, 2400):
        assert wait_until(lambda at=moment: cam.publisher.stats().acknowledged > at)
        running.kill()
        assert wait_until(lambda: not cam.publisher.stats().is_connected)
        # The reader has to be back first: what the broker gets before, nobody would see.
        reader.forget_subscription()
        cam.publisher.stop()
        running.start()
        reader.wait_subscribed()
        cam.publisher.start()
    assert cam.publisher.wait_drained(30)

    for name in ("front", "yard"):
        topic = f"{ROOT}/{name}/event"
        assert reader.wait_for(lambda _, t=topic: len(set(seqs(reader.on(t)))) == 1500)
        assert_in_order_with_harmless_copies(reader.on(topic))
    assert cam.publisher.stats().reconnects == 4


def test_a_connection_that_breaks_is_made_again_by_itself(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port)
    cam.publisher.start()
    assert reader.wait_on(AVAILABILITY, b"online")
    commit(cam.store, 50)

    break_connection(cam.publisher)
    commit(cam.store, 50, first=51)

    assert cam.publisher.wait_drained(LIMIT_S)
    assert reader.wait_for(lambda _: len(set(seqs(reader.on(f"{ROOT}/front/event")))) == 100)
    assert_in_order_with_harmless_copies(reader.on(f"{ROOT}/front/event"))
    stats = cam.publisher.stats()
    assert (stats.connects, stats.reconnects, stats.is_connected) == (2, 1, True)


def test_a_service_that_dies_is_told_by_its_last_will(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port, AVAILABILITY), camera(running.port)
    cam.publisher.start()
    assert reader.wait_on(AVAILABILITY, b"online")

    break_connection(cam.publisher)

    assert reader.wait_for(lambda got: len(got) == 3)
    assert [message.payload for message in reader.messages] == [b"online", b"offline", b"online"]
    assert all(message.is_retained for message in reader.messages)


def test_a_clean_stop_says_offline_once_and_leaves_no_will(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port, AVAILABILITY), camera(running.port)
    cam.publisher.start()
    assert reader.wait_on(AVAILABILITY, b"online")

    cam.publisher.stop()

    assert reader.wait_on(AVAILABILITY, b"offline")
    late = subscribe_late(subscribe, reader, running.port)
    assert late.wait_on(AVAILABILITY, b"offline")
    assert [message.payload for message in reader.messages] == [b"online", b"offline"]
    assert cam.publisher.stats().state == "stopped"


def test_state_is_told_again_to_a_broker_that_forgot_it_availability_first(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port)
    cam.board.put(f"{ROOT}/front/person", b"1")
    cam.board.put(f"{ROOT}/front/availability", b"online")
    cam.board.put(f"{ROOT}/passing", b"not kept", retain=False)
    cam.publisher.start()
    assert reader.wait_on(f"{ROOT}/front/person", b"1")
    cam.board.put(f"{ROOT}/front/person", b"2")
    assert reader.wait_on(f"{ROOT}/front/person", b"2")

    running.kill()
    assert wait_until(lambda: not cam.publisher.stats().is_connected)
    cam.board.put(f"{ROOT}/front/person", b"3")
    running.start()

    late = subscribe_late(subscribe, reader, running.port)
    assert late.wait_on(f"{ROOT}/front/person", b"3")
    order = [(message.topic, message.payload) for message in late.messages]
    assert order == [
        (AVAILABILITY, b"online"),
        (f"{ROOT}/front/availability", b"online"),
        (f"{ROOT}/front/person", b"3"),
    ]


def test_a_missing_broker_is_said_and_its_coming_noticed(broker: Brokers, camera: Cameras) -> None:
    running = broker()
    running.stop()
    cam = camera(running.port)
    cam.publisher.start()
    commit(cam.store, 5)
    assert wait_until(lambda: cam.publisher.stats().state == "unreachable")
    assert "Check host and port" in cam.publisher.stats().last_error

    running.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert cam.publisher.stats().state == "connected"


def test_a_name_that_nobody_knows_is_said_and_the_service_lives(camera: Cameras) -> None:
    cam = camera(1883, host="broker.invalid")
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().state == "unreachable")
    assert "broker.invalid:1883" in cam.publisher.stats().last_error
    assert cam.publisher.is_running


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_wrong_password_is_said_and_mended_without_a_restart(
    broker: Brokers,
    camera: Cameras,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    protocol: str,
) -> None:
    running = broker(**users_only(tmp_path, camera="right-and-secret"))
    password = tmp_path / "password"
    password.write_text("wrong-and-secret\n")
    cam = camera(running.port, username="camera", password_file=password, protocol=protocol)
    commit(cam.store, 3)
    with caplog.at_level(logging.DEBUG):
        cam.publisher.start()
        assert wait_until(lambda: cam.publisher.stats().state == "refused")
        assert "password_file" in cam.publisher.stats().last_error

        password.write_text("right-and-secret\n")
        assert cam.publisher.wait_drained(LIMIT_S)

    assert cam.publisher.stats().state == "connected"
    told = caplog.text + repr(cam.publisher.stats()) + repr(vars(cam.publisher))
    assert "secret" not in told


def test_a_password_file_that_is_missing_is_named(
    broker: Brokers, camera: Cameras, tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    cam = camera(broker().port, username="camera", password_file=absent)
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().state == "refused")
    assert str(absent) in cam.publisher.stats().last_error


def test_a_topic_that_is_not_allowed_is_told_and_its_events_wait(
    broker: Brokers, subscribe: Subscribers, camera: Cameras, tmp_path: Path
) -> None:
    """MQTT 5: the broker says no to each message. Once the access list is mended, all arrive."""
    rights = tmp_path / "rights"
    rights.write_text(f"topic readwrite {AVAILABILITY}\ntopic read #\n")
    rights.chmod(0o644)
    running = broker(acl_file=str(rights))
    reader, cam = subscribe(running.port), camera(running.port)
    commit(cam.store, 30)
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().refused > 0)
    assert "does not allow this topic" in cam.publisher.stats().last_error
    assert cam.store.stats().backlog == 30
    rights.write_text("topic readwrite #\n")
    running.signal(signal.SIGHUP)

    assert cam.publisher.wait_drained(LIMIT_S)
    assert cam.publisher.stats().is_connected
    assert reader.wait_for(lambda _: len(set(seqs(reader.on(f"{ROOT}/front/event")))) == 30)
    assert taken_in_turn(reader.on(f"{ROOT}/front/event")) == 30


@pytest.mark.parametrize(("limit", "window", "most"), [("7", 100, 7), ("500", 9, 9)])
def test_the_smaller_of_both_windows_holds(
    broker: Brokers, camera: Cameras, limit: str, window: int, most: int
) -> None:
    """The broker takes bytes and answers nothing for a while: just the window goes out."""
    running = broker(max_inflight_messages=limit)
    cam = camera(running.port, window=window)
    cam.publisher.start()
    assert wait_until(lambda: cam.publisher.stats().is_connected and not cam.publisher._notices)

    running.signal(signal.SIGSTOP)
    try:
        commit(cam.store, 400)
        assert wait_until(lambda: cam.publisher.stats().in_flight == most)
        assert not wait_until(lambda: cam.publisher.stats().sent != most, 0.2)
    finally:
        running.signal(signal.SIGCONT)

    assert cam.publisher.wait_drained(LIMIT_S)
    assert cam.publisher.stats().acknowledged == 400


def test_a_broker_of_the_old_version_is_spoken_to_in_it_and_asked_again_next_time(
    camera: Cameras,
) -> None:
    with OldBroker() as old:
        cam = camera(old.port)
        commit(cam.store, 3)
        cam.publisher.start()

        assert cam.publisher.wait_drained(LIMIT_S)
        assert cam.publisher.stats().protocol == "3.1.1"
        assert old.versions == [5, 4]
        break_connection(cam.publisher)
        assert wait_until(lambda: old.versions == [5, 4, 5, 4])


def test_a_broker_that_hangs_up_on_the_new_version_is_spoken_to_in_the_old(
    camera: Cameras,
) -> None:
    with OldBroker(hangs_up=True) as old:
        cam = camera(old.port)
        commit(cam.store, 3)
        cam.publisher.start()

        assert cam.publisher.wait_drained(LIMIT_S)
        assert old.versions == [5, 4]


def test_a_wanted_version_is_not_changed(camera: Cameras) -> None:
    with OldBroker() as old:
        cam = camera(old.port, protocol="5")
        cam.publisher.start()

        assert wait_until(lambda: cam.publisher.stats().state == "refused")
        assert 'protocol = "auto"' in cam.publisher.stats().last_error
        assert set(old.versions) == {5}


def test_a_broker_that_acknowledges_nothing_is_left(camera: Cameras) -> None:
    """It answers every ping, so only the missing acknowledgement tells."""
    with OldBroker(acknowledges=False) as old:
        cam = camera(old.port, protocol="3.1.1", acknowledge_limit_s=0.2)
        commit(cam.store, 3)
        cam.publisher.start()

        assert wait_until(lambda: cam.publisher.stats().reconnects > 0)
        assert "acknowledges nothing" in cam.publisher.stats().last_error
        assert cam.store.stats().backlog == 3
        old.acknowledges = True
        assert cam.publisher.wait_drained(LIMIT_S)


def test_a_broker_that_had_nothing_to_answer_for_long_is_given_its_time(
    broker: Brokers, camera: Cameras
) -> None:
    """Its silence counts from the question on; what is told next only wakes the thread."""
    running = broker()
    cam = camera(running.port, acknowledge_limit_s=1.0)
    cam.publisher.start()
    assert wait_until(lambda: cam.board.is_confirmed(AVAILABILITY, availability_message(True)))
    quiet_until_s = time.monotonic() + 1.1
    assert wait_until(lambda: time.monotonic() > quiet_until_s)

    running.signal(signal.SIGSTOP)
    try:
        for topic in ("first", "second"):
            cam.board.put(f"{ROOT}/{topic}", b"news")
            assert wait_until(lambda: not cam.board._untold)
    finally:
        running.signal(signal.SIGCONT)
    assert wait_until(lambda: cam.board.is_confirmed(f"{ROOT}/second", b"news"))
    stats = cam.publisher.stats()
    assert (stats.connects, stats.reconnects, stats.last_error) == (1, 0, "")


def test_a_broker_that_falls_silent_is_noticed_within_the_keepalive(
    broker: Brokers, camera: Cameras
) -> None:
    """Stopped, not killed: the connection stands, and nobody is behind it."""
    running = broker()
    cam = camera(running.port, keepalive_s=5)
    cam.publisher.start()
    assert wait_until(lambda: cam.publisher.stats().is_connected)

    running.signal(signal.SIGSTOP)
    try:
        assert wait_until(lambda: cam.publisher.stats().reconnects == 1, 6.5)
    finally:
        running.signal(signal.SIGCONT)


def test_a_password_in_the_clear_is_warned_of(
    camera: Cameras, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cam = camera(free_port(), host="192.0.2.1", username="camera")
    cam.publisher.start()

    assert wait_until(lambda: "unencrypted" in caplog.text)
    assert "unencrypted" in cam.publisher.stats().warning


def test_what_is_committed_while_the_publisher_starts_and_stops_is_told_once_it_runs(
    broker: Brokers, subscribe: Subscribers, camera: Cameras
) -> None:
    running = broker()
    reader, cam = subscribe(running.port), camera(running.port)
    for first in range(1, 200, 20):
        cam.publisher.start()
        commit(cam.store, 20, first=first)
        cam.publisher.stop()
    cam.publisher.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert reader.wait_for(lambda _: len(set(seqs(reader.on(f"{ROOT}/front/event")))) == 200)
    assert_in_order_with_harmless_copies(reader.on(f"{ROOT}/front/event"))


# Helpers


def broker_port(reader: Subscriber) -> int:
    return int(reader._client.port)


def break_connection(publisher: Publisher) -> None:
    """Cut the connection under the publisher, without a goodbye."""
    assert publisher._link is not None
    opened = publisher._link._client.socket()
    assert isinstance(opened, BufferedSocket)  # or paho no longer asks us for a socket
    opened.cut()


def subscribe_late(subscribe: Subscribers, earlier: Subscriber, port: int) -> Subscriber:
    """Return a subscriber that gets what the broker retains; there is one at a time."""
    earlier.close()
    return subscribe(port)


def assert_in_order_with_harmless_copies(messages: list[Received]) -> None:
    """A reader who takes numbers in turn gets all, and a copy has the same event id."""
    ids: dict[int, str] = {}
    expected = 1
    for message in messages:
        seq, event_id = message.json["seq"], message.json["event_id"]
        assert ids.setdefault(seq, event_id) == event_id
        assert seq <= expected, f"{seq} came before {expected}"
        expected = max(expected, seq + 1)
    assert expected - 1 == len(ids)


def taken_in_turn(messages: list[Received]) -> int:
    """Return how far a reader comes who takes the next number and ignores all others."""
    taken = 0
    for seq in seqs(messages):
        taken += seq == taken + 1
    return taken


class OldBroker:
    """As little of an MQTT 3.1.1 broker as a publisher notices; refuses version 5.

    Attributes:
        versions: Version byte of each CONNECT: 4 is 3.1.1.
        acknowledges: It answers what is published.
    """

    def __init__(self, *, hangs_up: bool = False, acknowledges: bool = True) -> None:
        self.versions: list[int] = []
        self.acknowledges = acknowledges
        self._hangs_up = hangs_up
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.port: int = self._server.getsockname()[1]
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join(LIMIT_S)
        self._server.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                opened, _ = self._server.accept()
            except TimeoutError:
                continue
            opened.settimeout(0.1)
            with opened:
                for kind, body in self._packets(opened):
                    if not self._answer(opened, kind, body):
                        break

    def _answer(self, opened: socket.socket, kind: int, body: bytes) -> bool:
        """Answer one packet; return whether to go on."""
        if kind >> 4 == 1:
            self.versions.append(body[6])
            is_known = body[6] == 4
            if is_known or not self._hangs_up:
                opened.sendall(bytes([0x20, 2, 0, 0 if is_known else 1]))
            return is_known
        if kind >> 4 == 3 and kind & 6 and self.acknowledges:
            start = 2 + int.from_bytes(body[:2], "big")
            opened.sendall(bytes([0x40, 2]) + body[start : start + 2])
        if kind >> 4 == 8:
            opened.sendall(bytes([0x90, 3]) + body[:2] + bytes([0x80]))  # nothing may be heard
        if kind >> 4 == 12:
            opened.sendall(bytes([0xD0, 0]))
        return True

    def _packets(self, opened: socket.socket) -> Iterator[tuple[int, bytes]]:
        buffer = b""
        while not self._is_over.is_set():
            try:
                got = opened.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                return
            if not got:
                return
            buffer += got
            while (end := packet_end(buffer)) and len(buffer) >= end[1]:
                yield buffer[0], buffer[end[0] : end[1]]
                buffer = buffer[end[1] :]


def packet_end(buffer: bytes) -> tuple[int, int] | None:
    """Return where the body of the first packet begins and ends, once its length is known."""
    length = 0
    for index, byte in enumerate(buffer[1:5]):
        length |= (byte & 127) << 7 * index
        if byte < 128:
            return index + 2, index + 2 + length
    return None
