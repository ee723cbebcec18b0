"""Corrects stamps that were made before the machine knew the date. Pure.

The order of changes never changes, nor does what they are called: only when they are said to be.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from camera_app.clock import iso_utc, wall_ns_of
from camera_app.events import canonical_json

# How a record says that nobody vouches for its stamps; records are canonical, so it is the one way.
UNDATED = '"uncertainty_s":null'
_STAMPS = ("at", "started_at", "last_seen_at", "ended_at")
_STAMPS_INSIDE = (("best", "at"), ("crossing", "at"), ("loitering", "since"))
# Records have milliseconds; less is no correction.
_SMALLEST_NS = 5_000_000


def redated(
    record: str, at_wall_ns: int, *, boot_id: str, offset_ns: int, uncertainty_s: float
) -> tuple[str, int] | None:
    """Return a record with its stamps corrected, and by how much in nanoseconds.

    Args:
        record: As stored.
        at_wall_ns: Its `at`, exactly.
        boot_id: The run of the machine that is going on.
        offset_ns: What to add to a monotonic time of this run for the wall time.
        uncertainty_s: How far off that may be.

    Returns:
        None for a record of another run: its monotonic time says nothing here.
    """
    facts: dict[str, Any] = json.loads(record)  # our own record
    if facts.get("boot_id") != boot_id:
        return None
    right_ns = round(facts["monotonic_s"] * 1e9) + offset_ns
    delta_ns = right_ns - at_wall_ns
    if abs(delta_ns) < _SMALLEST_NS:
        delta_ns = 0
    for name in _STAMPS:
        facts[name] = _moved(facts[name], delta_ns)
    for part, name in _STAMPS_INSIDE:
        inside = facts.get(part)  # null where there is none, absent from earlier records
        if inside is not None:
            inside[name] = _moved(inside[name], delta_ns)
    facts["uncertainty_s"] = uncertainty_s
    return canonical_json(facts), delta_ns


def _moved(stamp: str | None, delta_ns: int) -> str | None:
    if stamp is None:
        return None
    return iso_utc(wall_ns_of(datetime.fromisoformat(stamp)) + delta_ns)
