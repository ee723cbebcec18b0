"""The demo from end to end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from camera_app.demo import BrokerAddress, DemoHooks, DemoRequest, DemoResult, run_demo
from camera_app.demo.broker import demo_broker
from camera_app.demo.stage import ClipClock
from camera_app.models import find_pack
from camera_app.replay import ReplayFiles
from camera_app.store import EventFilter, EventQueries

pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")
pytest.importorskip("matplotlib", reason="the scene is made from what matplotlib carries")


def played(out: Path, broker: BrokerAddress) -> DemoResult:
    request = DemoRequest(out, find_pack("yolox_nano_person_256"), broker)
    return run_demo(request, DemoHooks())


@pytest.mark.shared
def test_each_visit_is_told_as_one_event_to_a_subscriber(tmp_path: Path) -> None:
    """Here over the embedded broker; the test of the command takes mosquitto."""
    with demo_broker(prefer_embedded=True) as broker:
        result = played(tmp_path, broker)

    assert result.missing == 0
    assert [len(visit.events) for visit in result.verdict.visits] == [1, 1, 1, 1]
    assert result.verdict.stray_events == ()
    assert result.verdict.recall >= 0.9
    assert_the_ledger_was_heard_whole(tmp_path, result)
    assert_the_counts_end_at_zero(result)


def assert_the_ledger_was_heard_whole(out: Path, result: DemoResult) -> None:
    """The log, the database and the subscriber say the same, in the same order."""
    logged = [
        json.loads(line) for line in ReplayFiles(out).event_log.read_text("utf-8").splitlines()
    ]
    heard = [m.json() for m in result.messages if m.topic == "camera_app/demo/scene/event"]

    assert [record["seq"] for record in heard] == list(range(1, len(logged) + 1))
    assert [(r["event_id"], r["type"], r["at"]) for r in heard] == [
        (r["event_id"], r["type"], r["at"]) for r in logged
    ]
    assert Counter(r["type"] for r in heard)["ended"] == 4
    assert not any(record["delayed"] for record in heard)
    with EventQueries(ReplayFiles(out).database) as queries:
        assert len(list(queries.events(EventFilter()))) == 4


def assert_the_counts_end_at_zero(result: DemoResult) -> None:
    last = {message.topic: message.payload for message in result.messages}

    assert last["camera_app/demo/availability"] in (b"online", b"offline")  # the demo is leaving
    assert last["camera_app/demo/scene/person"] == b"0"
    assert last["camera_app/demo/scene/gate/person"] == b"0"


def test_a_clip_clock_has_the_machines_pace_and_the_clips_date() -> None:
    clock = ClipClock()
    before_ns = clock.monotonic_ns()
    clock.show(5)

    assert clock.wall_ns() == 5
    assert clock.monotonic_ns() >= before_ns
