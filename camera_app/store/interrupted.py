"""Ends for events that a killed run left open: nobody else would ever tell that they are over."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from camera_app.clock import wall_ns_of
from camera_app.store.database import open_for_reading, translated
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

_OPEN = """
SELECT event.*, change.record AS record FROM event
JOIN event_change AS change ON change.row = event.last_row
WHERE ended_wall_ns IS NULL ORDER BY started_wall_ns, event.event_id
"""
REASON = "interrupted"


def interrupted_changes(path: Path, now_ns: int, wall_ns: int) -> list[EventChange]:
    """Return an `ended` change for each event that is open in the database, oldest first.

    To be asked before any camera runs: then whatever is open is left from an earlier run.

    Args:
        path: The database, brought up to date.
        now_ns: Monotonic time.
        wall_ns: The same moment as wall time.

    Raises:
        StoreError: It cannot be read.
    """
    connection = open_for_reading(path)
    try:
        with translated(path):
            cursor = connection.execute(_OPEN)
            names = [column[0] for column in cursor.description]
            rows = [dict(zip(names, row, strict=True)) for row in cursor]
    finally:
        connection.close()
    return [_ended(row, now_ns, wall_ns) for row in rows]


def _ended(row: dict[str, Any], now_ns: int, wall_ns: int) -> EventChange:
    record = json.loads(row["record"])
    best = record["best"]

    def moment_ns(stamp_ns: int) -> int:
        return now_ns - (wall_ns - stamp_ns)

    last_seen_ns = moment_ns(row["last_seen_wall_ns"])
    event = Event(
        event_id=row["event_id"],
        camera=row["camera"],
        label=row["label"],
        started_ns=moment_ns(row["started_wall_ns"]),
        last_seen_ns=last_seen_ns,
        box=_box(record["box"]),
        score=row["score"],
        top_score=row["top_score"],
        best=BestMoment(moment_ns(_wall_ns(best["at"])), _box(best["box"]), best["score"]),
        frame_size=Size(*record["frame_size"]),
        entered_zones=tuple(json.loads(row["entered_zones"])),
        is_stationary=bool(row["is_stationary"]),
        ended_ns=last_seen_ns,
        # Absent from records of versions before lines.
        crossings=tuple(map(_crossing_count, record.get("crossings", ()))),
        loitered_zones=tuple(record.get("loitered_zones", ())),
        film=record.get("film"),
    )
    return EventChange(ChangeType.ENDED, now_ns, wall_ns, event, REASON)


def _crossing_count(facts: dict[str, Any]) -> CrossingCount:
    return CrossingCount(facts["line"], Direction(facts["direction"]), facts["count"])


def _box(numbers: list[float]) -> Box:
    left, top, width, height = numbers
    return Box(left, top, left + width, top + height)


def _wall_ns(stamp: str) -> int:
    return wall_ns_of(datetime.fromisoformat(stamp))
