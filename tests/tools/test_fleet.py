"""The simulated fleet: packets, timetable, figures, and one small fleet at a real broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.publish.properties import EventProperties
from tests import wire
from tests.publish.conftest import broker, subscribe
from tests.publish.mosquitto import Mosquitto
from tools.fleet import packets
from tools.fleet.__main__ import sizes
from tools.fleet.cameras import Wishes
from tools.fleet.figures import Figures, Latency, extrapolated, latency, table
from tools.fleet.limits import OTHER_FILES, Room, field_kib
from tools.fleet.listener import key_of
from tools.fleet.messages import SimulatedCamera
from tools.fleet.timetable import VISIT, timetable
from tools.fleet.trial import try_fleet

__all__ = ["broker", "subscribe"]

FIGURES = Figures(
    cameras=100,
    connections=100,
    greeting_s=1.0,
    changes_per_s=13.0,
    messages_per_s=40.0,
    latency=Latency(400, 1.25, 9.5),
    broker_cpu_share=0.02,
    broker_mb=20.0,
    clients_mb=60.0,
    backlog_per_s=12_345.0,
    backlog_delivered_per_s=11_999.0,
    broker_peak_mb=30.0,
)


# Packets


@given(st.binary(max_size=20_000), st.integers(1, packets.MESSAGE_IDS), st.booleans())
def test_what_is_published_is_read_back_as_it_was(payload: bytes, number: int, flag: bool) -> None:
    properties = EventProperties(41, "an-event", 60).pack()
    packet = packets.publish(number, "a/b", payload, is_retained=flag, properties=properties)
    ((kind, body),) = packets.PacketReader().take(packet)
    assert kind & 0xF0 == packets.PUBLISH
    assert bool(kind & 1) is flag
    assert packets.delivered(kind, body) == ("a/b", number.to_bytes(2, "big"), payload)


def test_a_message_of_qos_0_carries_no_number() -> None:
    ((kind, body),) = packets.PacketReader().take(packets.publish(0, "a", b"text"))
    assert packets.delivered(kind, body) == ("a", b"", b"text")


@given(st.lists(st.binary(max_size=300), max_size=6), st.data())
def test_packets_come_out_whole_wherever_the_network_cuts(
    payloads: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(packets.publish(1, "t", payload) for payload in payloads)
    reader, found = packets.PacketReader(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += [packets.delivered(*packet)[2] for packet in reader.take(stream[:size])]
        stream = stream[size:]
    assert found == payloads


# Who sees whom when


def test_each_camera_has_the_visits_that_were_asked_for() -> None:
    found = timetable(50, events_per_minute=6.0, duration_s=60.0, seed=3)
    assert len(found) == 50 * 6 * len(VISIT)
    assert found == sorted(found)
    assert found == timetable(50, 6.0, 60.0, seed=3)
    assert found != timetable(50, 6.0, 60.0, seed=4)


def test_a_visit_is_told_in_its_order() -> None:
    (one,) = {due.visit for due in timetable(1, 1.0, 60.0, seed=1)}
    steps = [due.step for due in timetable(1, 1.0, 60.0, seed=1)]
    assert (one, steps) == (0, [0, 1, 2, 3])


# What a camera says


def test_a_simulated_camera_says_nothing_that_the_reference_does_not_know() -> None:
    camera = SimulatedCamera(7)
    told = camera.greeting(with_discovery=True)
    told += [
        one for step in range(4) for one in camera.change(0, step, 10**9, 1_800_000_000 * 10**9)
    ]
    told += [camera.late_change(number, 10**9, 1_800_000_000 * 10**9) for number in range(4)]
    wrong = [
        wire.problems(one.topic, one.payload, is_retained=one.is_retained, qos=one.qos)
        for one in told
    ]
    assert [problem for problems in wrong for problem in problems] == []
    assert camera.seq == 8
    assert sum(one.topic == camera.topics.now("front") for one in told) == 4  # none of the late


def test_the_changes_of_a_visit_belong_to_one_event_and_count_without_a_gap() -> None:
    camera = SimulatedCamera(0)
    records = [json.loads(camera.change(5, step, step, step)[0].payload) for step in range(4)]
    assert [one["type"] for one in records] == ["started", "updated", "updated", "ended"]
    assert [one["seq"] for one in records] == [1, 2, 3, 4]
    assert len({one["event_id"] for one in records}) == 1
    assert {one["device_id"] for one in records} == {"cam00000"}


def test_the_listener_knows_a_change_by_its_topic_and_number() -> None:
    camera = SimulatedCamera(123)
    camera.change(0, 0, 0, 0)
    ledger = camera.change(0, 1, 0, 0)[0]
    assert key_of(ledger.topic, ledger.payload) == (123, 2)


# Figures


def test_of_a_hundred_the_slowest_but_one_is_the_99th() -> None:
    due_ns = {(0, seq): 0 for seq in range(1, 101)}
    heard_ns = {(0, seq): seq * 1_000_000 for seq in range(1, 101)}
    assert latency(due_ns, heard_ns) == Latency(100, 50.0, 99.0)
    del due_ns[0, 100], heard_ns[0, 100]
    assert latency(due_ns, heard_ns) == Latency(99, 50.0, None)


@pytest.mark.parametrize("lost", [(0, 1), (0, 2)])
def test_a_change_that_was_not_heard_is_no_figure(lost: tuple[int, int]) -> None:
    heard_ns = {key: 5 for key in [(0, 1), (0, 2)] if key != lost}
    with pytest.raises(ValueError, match="1 changes were not heard"):
        latency({(0, 1): 0, (0, 2): 0}, heard_ns)


def test_what_is_extrapolated_lies_on_the_line_through_the_two_largest_and_is_marked() -> None:
    measured = [
        replace(FIGURES, cameras=10, connections=10, broker_mb=999.0),
        FIGURES,
        replace(FIGURES, cameras=200, connections=200, broker_mb=30.0, greeting_s=3.0),
        replace(FIGURES, cameras=1000, connections=500),
    ]
    (found,) = extrapolated(measured)
    assert (found.cameras, found.broker_mb, found.greeting_s) == (1000, 110.0, 19.0)
    rows = table(measured)[2:]
    assert [("extrapolated" in row, "~" in row) for row in rows] == [(False, False)] * 4 + [
        (True, True)
    ]
    assert "500, shared" in rows[3]


def test_one_fleet_with_a_connection_each_is_too_little_for_a_line() -> None:
    assert extrapolated([FIGURES, replace(FIGURES, cameras=1000, connections=500)]) == []


def test_a_row_says_no_more_digits_than_repeat_and_no_p99_of_a_few() -> None:
    row = table([replace(FIGURES, latency=Latency(40, 1.25, None))])[2]
    assert "| 12,000, 12,000 |" in row
    assert "1.2 ms, - (40)" in row


# Limits


@pytest.mark.parametrize(
    ("room", "expected", "reason"),
    [
        (Room(20_000, 28_000, 10**11), 10_000, ""),
        (Room(1024, 28_000, 10**11), 1024 - OTHER_FILES, "1024 open files"),
        (Room(20_000, 5000, 10**11), 5000 - OTHER_FILES, "5000 ports"),
        (Room(20_000, 28_000, 15 * 10**7), 800, "150 MB of free memory"),
        (Room(10, 10, 0), 1, "10 open files"),
    ],
)
def test_what_is_scarcest_bounds_the_connections(room: Room, expected: int, reason: str) -> None:
    assert room.connections(10_000) == (expected, reason)


def test_a_field_of_the_kernel_is_found_by_its_whole_name() -> None:
    lines = ["MemFree:  1 kB", "MemAvailable:   17 kB"]
    assert field_kib(lines, "MemAvailable") == 17
    with pytest.raises(KeyError):
        field_kib(lines, "Mem")


def test_sizes_come_in_order_and_no_fleet_is_empty() -> None:
    assert sizes("100,1,10") == [1, 10, 100]
    with pytest.raises(ValueError, match="0 is no fleet"):
        sizes("0,5")


# A real one


def test_a_small_fleet_tells_a_real_broker_everything_and_leaves_its_wills(
    broker: Callable[..., Mosquitto], subscribe: Callable[..., Any]
) -> None:
    """Three cameras on two connections; each message is held against the reference of the wire."""
    mosquitto = broker(set_tcp_nodelay="true")
    stranger = subscribe(mosquitto.port)
    wishes = Wishes(3, 2, events_per_minute=60.0, live_s=1.0, backlog=300)
    assert mosquitto._process is not None
    found = try_fleet(mosquitto.port, mosquitto._process.pid, wishes)
    assert found.latency.count == 3 * len(VISIT)
    assert found.broker_mb > 0
    assert min(found.changes_per_s, found.backlog_per_s, found.backlog_delivered_per_s) > 0
    for number in range(3):
        topic = f"camera_app/cam{number:05d}/front/event"
        stranger.wait_for(lambda _, topic=topic: len(stranger.on(topic)) >= 4 + 100)
        told = [one.json["seq"] for one in stranger.on(topic)]
        assert told == list(range(1, 4 + 100 + 1))
    for number in range(2):  # one will a connection
        assert stranger.wait_on(f"camera_app/cam{number:05d}/availability", b"offline")
