"""One message that a real mosquitto never takes, in the middle of others that it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.publish import refusals
from camera_app.publish.refusals import ALONE_WITHOUT_REASON
from tests.publish.conftest import Camera, Subscriber, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto
from tests.store.conftest import rows
from tests.waiting import wait_until

TOPIC = "camera_app/cam1/front/event"
LARGE, COUNT = 12, 30

Brokers = Callable[..., Mosquitto]
Cameras = Callable[..., Camera]
Subscribers = Callable[..., Subscriber]


def commit_with_one_large(cam: Camera, *, padding: int = 2000) -> None:
    changes = [make_change(number) for number in range(1, COUNT + 1)]
    changes[LARGE - 1] = replace(changes[LARGE - 1], reason="x" * padding)
    cam.store.commit(changes).wait(LIMIT_S)


@pytest.mark.parametrize("window", [100, 1])
@pytest.mark.parametrize("option", ["message_size_limit", "max_packet_size"])
def test_a_change_that_is_too_large_for_the_broker_becomes_a_gap_and_the_rest_goes_on(
    broker: Brokers,
    subscribe: Subscribers,
    camera: Cameras,
    tmp_path: Path,
    option: str,
    window: int,
) -> None:
    """The first answers each such message with a refusal; the second says so when it greets."""
    running = broker(**{option: "1500"})
    reader, cam = subscribe(running.port), camera(running.port, window=window)
    commit_with_one_large(cam)
    cam.publisher.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert reader.wait_for(lambda _: len({m.json["seq"] for m in reader.on(TOPIC)}) == COUNT)
    records = {message.json["seq"]: message.json for message in reader.on(TOPIC)}
    gap = records[LARGE]
    assert (gap["type"], gap["from_seq"], gap["to_seq"], gap["why"]) == (
        "gap",
        LARGE,
        LARGE,
        "refused",
    )
    assert {record["type"] for seq, record in records.items() if seq != LARGE} == {"started"}
    assert cam.publisher.stats().given_up == 1
    assert rows(tmp_path / "events.db", "SELECT row, code FROM refused") == [(LARGE, 0x95)]
    kept = rows(tmp_path / "events.db", f"SELECT record FROM event_change WHERE row = {LARGE}")
    assert json.loads(kept[0][0])["type"] == "started"


@pytest.mark.parametrize("option", ["message_size_limit", "max_packet_size"])
def test_a_limit_that_nothing_passes_gives_nothing_up(
    broker: Brokers, camera: Cameras, tmp_path: Path, option: str
) -> None:
    """That is the owner's to mend; once it is, everything arrives."""
    running = broker(**{option: "200"})
    cam = camera(running.port)
    commit_with_one_large(cam)
    cam.publisher.start()
    assert wait_until(lambda: cam.publisher.stats().refused > 5)
    assert "Raise the broker's limit" in cam.publisher.stats().last_error
    assert cam.store.stats().backlog == COUNT

    running.stop()
    running.configure({})
    running.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert cam.publisher.stats().given_up == 0
    assert rows(tmp_path / "events.db", "SELECT * FROM refused") == []


def test_a_broker_that_hangs_up_at_one_message_gets_the_rest_in_the_end(
    broker: Brokers,
    subscribe: Subscribers,
    camera: Cameras,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """MQTT 3.1.1 has no word for too large: the connection ends. Ten minutes are none here."""
    monkeypatch.setattr(refusals, "WITHOUT_REASON_FOR_NS", 0)
    running = broker(max_packet_size="1500")
    reader, cam = subscribe(running.port), camera(running.port, protocol="3.1.1")
    commit_with_one_large(cam)
    cam.publisher.start()

    assert cam.publisher.wait_drained(2 * LIMIT_S)
    assert reader.wait_for(lambda _: len({m.json["seq"] for m in reader.on(TOPIC)}) == COUNT)
    (gap,) = [m.json for m in reader.on(TOPIC) if m.json["type"] == "gap"]
    assert (gap["seq"], gap["why"]) == (LARGE, "refused")
    assert rows(tmp_path / "events.db", "SELECT row, code FROM refused") == [(LARGE, 0)]
    assert cam.publisher.stats().reconnects >= ALONE_WITHOUT_REASON
