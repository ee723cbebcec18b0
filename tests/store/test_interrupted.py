"""What a killed run left open is ended by the next, once."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from camera_app.clock import ManualClock, nanoseconds
from camera_app.config import RetentionSettings
from camera_app.store import EventFilter, EventQueries, EventStore, interrupted_changes
from camera_app.values import (
    BestMoment,
    Box,
    ChangeType,
    CrossingCount,
    Direction,
    Event,
    EventChange,
    Size,
)

NOON_NS = 1_800_000_000 * 1_000_000_000
BOX = Box(10, 20, 30, 60)


def started(event_id: str, at_ns: int) -> EventChange:
    best = BestMoment(at_ns, BOX, 0.9)
    event = Event(
        event_id,
        "front",
        "person",
        at_ns,
        at_ns,
        BOX,
        0.8,
        0.85,
        best,
        Size(640, 480),
        ("a",),
        ("a",),
    )
    return EventChange(ChangeType.STARTED, at_ns, NOON_NS + at_ns, event, "appeared")


def test_an_open_event_is_ended_at_its_last_sight(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = EventStore(path, ManualClock(), RetentionSettings())
    store.start()
    store.commit([started("e1", 0), started("e2", nanoseconds(1.0))]).wait(10)
    # After a restart monotonic time begins anew; an hour of wall time has passed.
    hour_later_ns = NOON_NS + nanoseconds(3600)
    changes = interrupted_changes(path, nanoseconds(5), hour_later_ns)
    assert [change.event.event_id for change in changes] == ["e1", "e2"]
    assert {(change.change, change.reason) for change in changes} == {
        (ChangeType.ENDED, "interrupted")
    }
    store.commit(changes).wait(10)
    assert interrupted_changes(path, nanoseconds(6), hour_later_ns) == []
    store.stop()
    with EventQueries(path) as queries:
        newest, oldest = queries.events(EventFilter())
    assert oldest.ended_wall_ns == oldest.last_seen_wall_ns == NOON_NS
    record = oldest.record
    assert (record["started_at"], record["ended_at"]) == (
        "2027-01-15T08:00:00.000Z",
        "2027-01-15T08:00:00.000Z",
    )
    assert record["best"]["at"] == "2027-01-15T08:00:00.000Z"
    assert json.dumps(newest.record["box"]) == "[10.0, 20.0, 20.0, 40.0]"


def test_what_rules_had_found_of_it_is_not_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    change = started("e1", 0)
    found = replace(
        change.event,
        crossings=(CrossingCount("sill", Direction.IN, 2),),
        loitered_zones=("mat",),
    )
    store = EventStore(path, ManualClock(), RetentionSettings())
    store.start()
    store.commit([replace(change, event=found)]).wait(10)
    store.stop()
    (ended,) = interrupted_changes(path, nanoseconds(5), NOON_NS)
    assert ended.event.crossings == found.crossings
    assert ended.event.loitered_zones == ("mat",)


def test_an_event_of_a_version_without_lines_is_ended_too(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    store = EventStore(path, ManualClock(), RetentionSettings())
    store.start()
    store.commit([started("e1", 0)]).wait(10)
    store.stop()
    with closing(sqlite3.connect(path)) as connection, connection:
        fields = "'$.crossing', '$.crossings', '$.loitering', '$.loitered_zones'"
        connection.execute(f"UPDATE event_change SET record = json_remove(record, {fields})")
    (ended,) = interrupted_changes(path, nanoseconds(5), NOON_NS)
    assert (ended.event.event_id, ended.event.crossings) == ("e1", ())
    with EventQueries(path) as queries:
        assert len(list(queries.events(EventFilter()))) == 1
        assert list(queries.events(EventFilter(line="sill"))) == []
        assert list(queries.events(EventFilter(has_loitered=True))) == []
        assert list(queries.crossings(EventFilter())) == []
