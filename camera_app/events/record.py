"""An event change as JSON: what the event log, the database and every subscriber read.

Numbers are rounded so that the text does not carry noise that no model can measure: scores to
four digits, pixels to a tenth, seconds to a thousandth.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from camera_app.clock import iso_utc, seconds
from camera_app.values import BestMoment, Box, Crossing, EventChange

SCHEMA = 1

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]
Record = dict[str, Json]

# Made once: `json.dumps` would make one for each record.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def change_record(change: EventChange) -> Record:
    """Return one change as plain JSON values; the keys are those of the `event` topic."""
    event = change.event
    lasted_ns = (event.ended_ns or event.last_seen_ns) - event.started_ns

    def wall(moment_ns: int) -> str:
        return iso_utc(change.wall_ns - change.at_ns + moment_ns)

    record: Record = {
        "schema": SCHEMA,
        "event_id": event.event_id,
        "type": change.change.value,
        "reason": change.reason,
        "camera": event.camera,
        "label": event.label,
        "at": iso_utc(change.wall_ns),
        "started_at": wall(event.started_ns),
        "last_seen_at": wall(event.last_seen_ns),
        "ended_at": None if event.ended_ns is None else wall(event.ended_ns),
        "duration_s": round(seconds(lasted_ns), 3),
        "score": round(event.score, 4),
        "top_score": round(event.top_score, 4),
        "box": box_record(event.box),
        "frame_size": [event.frame_size.width, event.frame_size.height],
        "zones": list(event.zones),
        "entered_zones": list(event.entered_zones),
        "is_stationary": event.is_stationary,
        "best": _best_record(event.best, wall(event.best.at_ns)),
        "crossing": _crossing_record(change.crossing, wall),
        "crossings": [
            {"line": one.line, "direction": one.direction.value, "count": one.count}
            for one in event.crossings
        ],
        "loitering": _loitering_record(change, wall),
        "loitered_zones": list(event.loitered_zones),
    }
    if event.film is not None:
        record["film"] = event.film
    return record


def box_record(box: Box) -> list[Json]:
    """Return a box as [x, y, width, height] in tenths of a pixel."""
    return [round(float(n), 1) for n in (box.left, box.top, box.width, box.height)]


def canonical_json(record: Mapping[str, Json]) -> str:
    """Return the one text of a record: sorted keys, no spaces, no escapes but the needed ones."""
    return _ENCODER.encode(record)


def _crossing_record(crossing: Crossing | None, wall: Callable[[int], str]) -> Json:
    if crossing is None:
        return None
    return {
        "line": crossing.line,
        "direction": crossing.direction.value,
        "at": wall(crossing.at_ns),
    }


def _loitering_record(change: EventChange, wall: Callable[[int], str]) -> Json:
    stay = change.loitering
    if stay is None:
        return None
    return {
        "zone": stay.zone,
        "since": wall(stay.since_ns),
        "duration_s": round(seconds(change.at_ns - stay.since_ns), 3),
        "repeat": stay.repeat,
    }


def _best_record(best: BestMoment, at: str) -> Json:
    return {"at": at, "box": box_record(best.box), "score": round(best.score, 4)}
