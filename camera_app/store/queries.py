"""Questions that people ask of the ledger. Read only, and while the service runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from camera_app.errors import StoreError
from camera_app.store.commit import CommittedChange
from camera_app.store.database import open_for_reading, translated
from camera_app.store.films import StoredFilm

if TYPE_CHECKING:
    import sqlite_utils

_EVENTS = """
SELECT event.*, change.record AS record, (
    SELECT json_group_array(film) FROM film_event WHERE film_event.event_id = event.event_id
) AS films FROM event
JOIN event_change AS change ON change.row = event.last_row
WHERE (:camera IS NULL OR event.camera = :camera)
  AND (:label IS NULL OR event.label = :label)
  AND started_wall_ns >= :since_wall_ns AND started_wall_ns < :until_wall_ns
  AND (:zone IS NULL OR :zone IN (SELECT value FROM json_each(event.entered_zones)))
  AND (:line IS NULL OR :line IN
      (SELECT json_extract(value, '$.line') FROM json_each(change.record, '$.crossings')))
  AND (NOT :has_loitered OR EXISTS (SELECT 1 FROM json_each(change.record, '$.loitered_zones')))
ORDER BY started_wall_ns DESC, event.event_id DESC LIMIT :limit
"""
_CHANGES = "SELECT * FROM event_change WHERE event_id = :event_id ORDER BY row"
# Records are canonical: only one with a crossing holds these letters, and few are taken apart.
_CROSSINGS = """
SELECT * FROM (
    SELECT row, camera, json_extract(record, '$.crossing.line') AS line,
        json_extract(record, '$.crossing.direction') AS direction,
        json_extract(record, '$.label') AS label, at_wall_ns, event_id
    FROM event_change
    WHERE at_wall_ns >= :since_wall_ns AND at_wall_ns < :until_wall_ns
      AND instr(record, '"crossing":{'))
WHERE (:camera IS NULL OR camera = :camera) AND (:label IS NULL OR label = :label)
  AND (:line IS NULL OR line = :line)
ORDER BY row DESC LIMIT :limit
"""
_FILMS = """
SELECT film.* FROM film JOIN film_event ON film_event.film = film.name
WHERE film_event.event_id = :event_id ORDER BY began_wall_ns
"""
_NEVER_WALL_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant.

    Attributes:
        camera: Name of a camera; None: all.
        label: What the object is; None: anything.
        since_wall_ns: Those that started then or later, nanoseconds since 1970.
        until_wall_ns: Those that started before; None: no end.
        limit: At most so many, the newest; None: all.
        zone: Those that entered this zone; None: wherever they were.
        line: Those that crossed this line; None: whatever they crossed.
        has_loitered: Only those that loitered.
    """

    camera: str | None = None
    label: str | None = None
    since_wall_ns: int = 0
    until_wall_ns: int | None = None
    limit: int | None = None
    zone: str | None = None
    line: str | None = None
    has_loitered: bool = False


@dataclass(frozen=True, slots=True)
class CrossingRow:
    """One crossing of one line, as the ledger has it.

    Attributes:
        camera: Which camera saw it.
        line: Name of the line.
        direction: `in` or `out`.
        label: What crossed it.
        at_wall_ns: Capture of the frame that made it certain, nanoseconds since 1970.
        event_id: The event of the object.
    """

    camera: str
    line: str
    direction: str
    label: str
    at_wall_ns: int
    event_id: str


@dataclass(frozen=True, slots=True)
class EventSummary:
    """One event as the database knows it.

    Attributes:
        event_id: Its id.
        camera: Which camera saw it.
        label: What the object is.
        started_wall_ns: When it began, nanoseconds since 1970.
        last_seen_wall_ns: When it was last seen.
        ended_wall_ns: When it was over; None: it is not.
        score: Median of its recent scores.
        top_score: Highest such median.
        entered_zones: Zones it has entered, in order.
        is_stationary: It has not moved for the configured time.
        films: Names of the films that show it.
        record: Its newest change as on the `event` topic, without `seq`.
    """

    event_id: str
    camera: str
    label: str
    started_wall_ns: int
    last_seen_wall_ns: int
    ended_wall_ns: int | None
    score: float
    top_score: float
    entered_zones: tuple[str, ...]
    is_stationary: bool
    films: tuple[str, ...]
    record: dict[str, Any]  # JSON, as it was written


class EventQueries:
    """The ledger, opened for reading; a context manager that closes it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database: sqlite_utils.Database | None = None

    def __enter__(self) -> Self:
        # Imported here: the service asks nothing, and the library takes its time to load.
        import sqlite_utils

        connection = open_for_reading(self._path)
        self._database = sqlite_utils.Database(connection, execute_plugins=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def events(self, wanted: EventFilter) -> Iterator[EventSummary]:
        """Yield events, the newest first."""
        for row in self._query(_EVENTS, _parameters(wanted)):
            yield _summary(row)

    def crossings(self, wanted: EventFilter) -> Iterator[CrossingRow]:
        """Yield crossings of lines, the newest first; the times are theirs, not their events'."""
        for row in self._query(_CROSSINGS, _parameters(wanted)):
            del row["row"]
            yield CrossingRow(**row)

    def changes(self, event_id: str) -> list[CommittedChange]:
        """Return every change of an event that is still kept, in order."""
        return [CommittedChange(**row) for row in self._query(_CHANGES, {"event_id": event_id})]

    def films(self, event_id: str) -> list[StoredFilm]:
        """Return the films that show an event, the oldest first."""
        rows = self._query(_FILMS, {"event_id": event_id})
        return [
            StoredFilm(**{**row, "is_whole": bool(row["is_whole"]), "event_ids": (event_id,)})
            for row in rows
        ]

    def full_id(self, start: str) -> str:
        """Return the one event id that begins so.

        Raises:
            StoreError: None does, or several do.
        """
        sql = "SELECT event_id FROM event WHERE event_id >= :start AND event_id < :past LIMIT 2"
        parameters = {"start": start, "past": start + "\U0010ffff"}
        found = [row["event_id"] for row in self._query(sql, parameters)]
        if len(found) == 1:
            return str(found[0])
        if start in found:
            return start
        what = (
            f"several events begin with {start!r}" if found else f"no event begins with {start!r}"
        )
        raise StoreError(
            what, where=str(self._path), remedy="`camera-app events list` shows the ids"
        )

    def _query(self, sql: str, parameters: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if self._database is None:
            raise StoreError("the queries are not open", where=str(self._path))
        with translated(self._path):
            yield from self._database.query(sql, parameters)


def _parameters(wanted: EventFilter) -> dict[str, Any]:
    parameters = asdict(wanted)
    if wanted.until_wall_ns is None:
        parameters["until_wall_ns"] = _NEVER_WALL_NS
    if wanted.limit is None:
        parameters["limit"] = -1
    return parameters


def _summary(row: dict[str, Any]) -> EventSummary:
    return EventSummary(
        event_id=row["event_id"],
        camera=row["camera"],
        label=row["label"],
        started_wall_ns=row["started_wall_ns"],
        last_seen_wall_ns=row["last_seen_wall_ns"],
        ended_wall_ns=row["ended_wall_ns"],
        score=row["score"],
        top_score=row["top_score"],
        entered_zones=tuple(json.loads(row["entered_zones"])),
        is_stationary=bool(row["is_stationary"]),
        films=tuple(sorted(json.loads(row["films"]))),
        record=json.loads(row["record"]),
    )
