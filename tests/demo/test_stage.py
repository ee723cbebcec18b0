"""The demo from end to end."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import pytest

from camera_app.demo import (
    STANDARDS,
    BrokerAddress,
    DemoHooks,
    DemoRequest,
    DemoResult,
    run_demo,
)
from camera_app.demo.broker import demo_broker
from camera_app.demo.stage import ClipClock
from camera_app.errors import ModelError
from camera_app.models import find_models, find_pack, model_set
from camera_app.replay import ReplayFiles
from camera_app.store import EventFilter, EventQueries

pytest.importorskip("skimage", reason="the scene is made from what scikit-image carries")
pytest.importorskip("matplotlib", reason="the scene is made from what matplotlib carries")


def played(out: Path, broker: BrokerAddress) -> DemoResult:
    request = DemoRequest(out, find_models(["person_large", "face"]), broker)
    return run_demo(request, DemoHooks())


def test_each_visit_is_told_as_one_event_to_a_subscriber(tmp_path: Path) -> None:
    """Here over the embedded broker; the test of the command takes mosquitto."""
    with demo_broker(prefer_embedded=True) as broker:
        result = played(tmp_path, broker)

    assert result.missing == 0
    assert [seen.label for seen in result.verdict.classes] == ["person", "face"]
    for seen in result.verdict.classes:
        assert [len(visit.events) for visit in seen.visits] == [1, 1, 1, 1]
        assert seen.stray_events == ()
        assert seen.recall >= STANDARDS[seen.label].recall
    assert result.is_right
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
    assert Counter(r["type"] for r in heard)["ended"] == 8
    assert not any(record["delayed"] for record in heard)
    with EventQueries(ReplayFiles(out).database) as queries:
        assert len(list(queries.events(EventFilter()))) == 8


def assert_the_counts_end_at_zero(result: DemoResult) -> None:
    last = {message.topic: message.payload for message in result.messages}

    assert last["camera_app/demo/availability"] in (b"online", b"offline")  # the demo is leaving
    assert last["camera_app/demo/scene/person"] == b"0"
    assert last["camera_app/demo/scene/face"] == b"0"
    assert last["camera_app/demo/scene/gate/person"] == b"0"
    assert "camera_app/demo/scene/gate/face" not in last  # nobody stands on their chin


def test_models_for_which_the_scene_has_nothing_are_refused_before_anything_is_drawn(
    tmp_path: Path,
) -> None:
    of_cats = dataclasses.replace(find_pack("yolox_nano_person_256"), labels=("cat",))
    request = DemoRequest(tmp_path / "out", model_set([of_cats]))

    with pytest.raises(ModelError, match="it shows persons and faces"):
        run_demo(request)
    assert not request.out.exists()


def test_a_clip_clock_has_the_machines_pace_and_the_clips_date() -> None:
    clock = ClipClock()
    before_ns = clock.monotonic_ns()
    clock.show(5)

    assert clock.wall_ns() == 5
    assert clock.monotonic_ns() >= before_ns
