"""The reference of the wire: that it is an AsyncAPI document, whole, and that it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from camera_app.control.self_test import SelfTest, self_test_message
from camera_app.events import canonical_json, change_record
from camera_app.publish import Topics, contract, ledger_message
from camera_app.publish.commands import Result, result_message
from camera_app.publish.contract import Channel, JsonObject, Word
from camera_app.store import CommittedChange
from camera_app.store.gaps import Gap, gap_record
from camera_app.values import Crossing, CrossingCount, Direction, EventChange, Loitering
from tests import wire
from tests.publish.conftest import make_change
from tools.docs import asyncapi
from tools.docs.asyncapi import Undocumented, document, parse_docstring, topics, undescribed

EVENT = "camera_app/cam1/front/event"


def event_message(change: EventChange | None = None, **edit: Any) -> bytes:
    change = change or make_change(1)
    record = canonical_json(change_record(change))
    row = CommittedChange(1, "front", 5, change.event.event_id, "started", 0, 0, record)
    told = json.loads(ledger_message(row, device_id="cam1", is_delayed=False))
    told.update(edit)
    return json.dumps({key: value for key, value in told.items() if value is not Ellipsis}).encode()


def problems(topic: str, payload: bytes) -> list[str]:
    return wire.problems(topic, payload, is_retained=None, qos=None)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    made = document()
    found: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                found.append(node["$ref"])
            for inner in node.values():
                walk(inner)
        elif isinstance(node, list):
            for inner in node:
                walk(inner)

    walk(made)
    for reference in found:
        node = made
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    assert len(found) > 20


def test_every_topic_has_one_operation_and_every_level_is_explained() -> None:
    made = document()
    told = [operation["channel"]["$ref"] for operation in made["operations"].values()]
    assert sorted(told) == sorted(f"#/channels/{name}" for name in made["channels"])
    assert made["channels"]["count"]["address"] == "{base_topic}/{device_id}/{camera}/{label}"
    for channel in made["channels"].values():
        assert channel["description"].endswith(".")
        assert set(channel["parameters"]) == set(asyncapi.levels_of(channel["address"]))


def test_the_messages_of_every_topic_are_described() -> None:
    assert undescribed() == [], wire.REMEDY


def test_a_topic_that_nobody_described_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def weather(self: Topics, camera: str) -> str:
        """How the weather is."""
        return f"{self.root}/{camera}/weather"

    before = undescribed()
    monkeypatch.setattr(Topics, "weather", weather, raising=False)
    assert set(undescribed()) - set(before) == {"weather"}
    assert document()["channels"]["weather"]["messages"] == {}


def test_a_description_without_its_topic_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {**contract.CHANNELS, "weather": Channel((Word(("rain", "sun")),))}
    monkeypatch.setattr(asyncapi, "CHANNELS", described)
    with pytest.raises(Undocumented, match="weather"):
        topics()


def test_a_field_that_nobody_explained_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Weather:
        """The weather.

        Attributes:
            rain: Millimetres an hour.
        """

        rain: float
        wind: float

    channel = Channel((JsonObject(Weather),), address="weather", summary="The weather.")
    monkeypatch.setattr(asyncapi, "CHANNELS", {**contract.CHANNELS, "weather": channel})
    with pytest.raises(Undocumented, match="'wind'"):
        document()


def test_a_docstring_tells_each_field_and_says_null() -> None:
    told = parse_docstring(
        "A thing.\n\nAttributes:\n    one: First,\n        of two.\n    two: None if absent."
    )
    assert told == ("A thing.", {"one": "First, of two.", "two": "null if absent."})


def test_a_message_as_we_send_it_fits() -> None:
    assert wire.problems(EVENT, event_message(), is_retained=False, qos=1) == []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({"mood": "good"}, "mood is not described"),
        ({"label": ...}, "no 'label'"),
        ({"seq": 0}, "seq is beyond minimum"),
        ({"seq": 1.5}, "seq is no integer"),
        ({"delayed": 1}, "delayed is no boolean"),
        ({"type": "begun"}, "type is none of"),
        ({"at": "yesterday"}, "at is beyond pattern"),
        ({"ended_at": 7}, "ended_at is none of the told forms"),
        ({"box": [1, 2, 3]}, "box is beyond minItems"),
        ({"box": [1, 2, 3, "4"]}, r"box\[3\] is no number"),
        ({"best": {"at": "x"}}, "best has no 'box'"),
        ({"schema": 99}, "schema is not 1"),
    ],
)
def test_a_message_that_differs_is_found_out(edit: dict[str, Any], said: str) -> None:
    found = "\n".join(problems(EVENT, event_message(**edit)))
    assert re.search(said, found), found


def test_what_rules_find_fits_and_so_does_what_earlier_versions_wrote() -> None:
    change = make_change(1)
    crossed = replace(change.event, crossings=(CrossingCount("sill", Direction.IN, 2),))
    found = [
        replace(change, event=crossed, crossing=Crossing("sill", Direction.IN, change.at_ns)),
        replace(change, loitering=Loitering("mat", change.at_ns, 1)),
        replace(change, event=replace(change.event, loitered_zones=("mat",))),
    ]
    for one in found:
        assert problems(EVENT, event_message(one)) == []
    fields = ("crossing", "crossings", "loitering", "loitered_zones")
    assert problems(EVENT, event_message(**dict.fromkeys(fields, ...))) == []
    assert problems(EVENT, event_message(crossing={"line": "sill", "direction": "up"}))


def test_wrong_topics_flags_and_words_are_found_out() -> None:
    availability = "camera_app/cam1/availability"
    assert problems(availability, b"online") == []
    assert "none of" in problems(availability, b"maybe")[0]
    assert "no such topic" in problems("camera_app/cam1", b"online")[0]
    assert "retained" in wire.problems(availability, b"online", is_retained=False, qos=1)[0]
    assert "QoS" in wire.problems(availability, b"online", is_retained=True, qos=0)[0]
    assert problems("camera_app/cam1/front/person", b"2") == []
    assert "no integer" in problems("camera_app/cam1/front/person", b"2.5")[0]
    assert "minimum" in problems("camera_app/cam1/front/person", b"-1")[0]
    assert "cannot be read" in problems("camera_app/cam1/front/person", b"\xff")[0]
    assert problems("camera_app/cam1/front/snapshot", b"\xff\xd8\xff\xe0") == []
    assert "is no image/jpeg" in problems("camera_app/cam1/front/snapshot", b"\x89PNG")[0]


def test_a_label_does_not_shadow_the_topics_of_a_camera() -> None:
    """`front/event` has the form of a label's count, and is none."""
    assert "cannot be read" in problems(EVENT, b"")[0] or "JSON" in problems(EVENT, b"")[0]
    assert "is no object" in problems(EVENT, b"3")[0]


def test_a_gap_in_place_of_changes_fits() -> None:
    gap = Gap("front", from_seq=3, to_seq=9, why="age", row=9, is_told=False)
    record = gap_record(gap, make_change(1).event.event_id, 1_800_000_000_000_000_000)
    row = CommittedChange(9, "front", 9, "", "gap", 0, 0, record)
    told = ledger_message(row, device_id="cam1", is_delayed=True)
    assert wire.problems(EVENT, told, is_retained=False, qos=1) == []
    assert problems(EVENT, told.replace(b'"age"', b'"whim"'))


def test_what_becomes_of_commands_fits() -> None:
    at = "2026-01-31T07:05:00.250Z"
    done = result_message(Result("front", "detection", True, "OFF", "", at))
    assert wire.problems("camera_app/cam1/result", done, is_retained=False, qos=1) == []
    found = self_test_message(SelfTest(False, ("camera front brings no pictures: lost",), at))
    assert wire.problems("camera_app/cam1/self_test", found, is_retained=True, qos=1) == []
    assert problems("camera_app/cam1/front/detection", b"ON") == []
    assert problems("camera_app/cam1/front/threshold", b"0.55") == []
    assert problems("camera_app/cam1/front/threshold", b"1.5")
