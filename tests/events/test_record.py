"""The JSON of an event change."""

from __future__ import annotations

import json
from dataclasses import replace

from camera_app.events import canonical_json, change_record
from camera_app.values import (
    BestMoment,
    Box,
    ChangeType,
    Crossing,
    CrossingCount,
    Direction,
    Event,
    EventChange,
    Loitering,
    Size,
)

HOUR_NS = 3_600_000_000_000
SECOND_NS = 1_000_000_000

EVENT = Event(
    event_id="0190-x",
    camera="front",
    label="person",
    started_ns=1 * SECOND_NS,
    last_seen_ns=4 * SECOND_NS + 250_000_000,
    box=Box(10.04, 20.0, 30.26, 60.0),
    score=0.123456,
    top_score=0.9,
    best=BestMoment(2 * SECOND_NS, Box(1, 2, 3, 4), 0.95),
    frame_size=Size(640, 480),
    zones=("door",),
    entered_zones=("mat", "door"),
)
CHANGE = EventChange(ChangeType.UPDATED, 5 * SECOND_NS, HOUR_NS, EVENT, "zones")


def test_stamps_are_wall_time_and_keep_their_distance() -> None:
    record = change_record(CHANGE)
    assert record["at"] == "1970-01-01T01:00:00.000Z"
    assert record["started_at"] == "1970-01-01T00:59:56.000Z"  # four seconds before
    assert record["last_seen_at"] == "1970-01-01T00:59:59.250Z"
    assert record["ended_at"] is None
    assert record["duration_s"] == 3.25


def test_numbers_are_rounded_to_what_can_be_measured() -> None:
    record = change_record(CHANGE)
    assert record["box"] == [10.0, 20.0, 20.2, 40.0]
    assert record["score"] == 0.1235


def test_the_text_is_canonical() -> None:
    text = canonical_json(change_record(CHANGE))
    assert ": " not in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text == canonical_json(json.loads(text))


def test_what_a_rule_has_found_stands_in_the_change_that_tells_it() -> None:
    crossed = replace(EVENT, crossings=(CrossingCount("sill", Direction.OUT, 2),))
    crossing = Crossing("sill", Direction.OUT, 4 * SECOND_NS)
    record = change_record(replace(CHANGE, event=crossed, crossing=crossing))
    assert record["crossing"] == {
        "line": "sill",
        "direction": "out",
        "at": "1970-01-01T00:59:59.000Z",
    }
    assert record["crossings"] == [{"line": "sill", "direction": "out", "count": 2}]
    assert record["loitering"] is None

    stay = Loitering("mat", 2 * SECOND_NS, 1)
    record = change_record(replace(CHANGE, loitering=stay))
    assert record["loitering"] == {
        "zone": "mat",
        "since": "1970-01-01T00:59:57.000Z",
        "duration_s": 3.0,
        "repeat": 1,
    }
    assert (record["crossing"], record["crossings"], record["loitered_zones"]) == (None, [], [])
