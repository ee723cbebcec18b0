"""What the database knows of films: values, the statements that write them, and who asks.

The files themselves are the business of `media/`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from camera_app.store.database import open_for_reading, translated

FILMS_FOLDER = "films"  # beside the database

PUT_FILM = """
INSERT INTO film VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET
    began_wall_ns = excluded.began_wall_ns, ended_wall_ns = excluded.ended_wall_ns,
    size_bytes = excluded.size_bytes, left_out = excluded.left_out, is_whole = excluded.is_whole
"""
PUT_EVENT_OF_FILM = "INSERT OR IGNORE INTO film_event VALUES (?, ?)"
PUT_EVENTS_BY_TIME = """
INSERT OR IGNORE INTO film_event SELECT event_id, ?1 FROM event
WHERE camera = ?2 AND started_wall_ns <= ?4 AND coalesce(ended_wall_ns, last_seen_wall_ns) >= ?3
"""


@dataclass(frozen=True, slots=True)
class StoredFilm:
    """One film that lies on the disk.

    Attributes:
        name: Path of the file below the folder of the films.
        camera: Which camera made it.
        began_wall_ns: Its first picture, nanoseconds since 1970.
        ended_wall_ns: Its last picture.
        size_bytes: What it takes.
        left_out: Pictures that the disk was too slow for.
        is_whole: It was not cut off.
        event_ids: Events that it shows.
        is_found: It was found after a crash: it also shows whatever else happened in its time.
    """

    name: str
    camera: str
    began_wall_ns: int
    ended_wall_ns: int
    size_bytes: int
    left_out: int = 0
    is_whole: bool = True
    event_ids: tuple[str, ...] = ()
    is_found: bool = False


@dataclass(frozen=True, slots=True)
class GoneFilm:
    """A film whose file is deleted."""

    name: str


FilmNote = StoredFilm | GoneFilm


def enter_films(connection: sqlite3.Connection, notes: Iterable[FilmNote]) -> None:
    """Write down what became of films, in order; within the writer's transaction."""
    for note in notes:
        if isinstance(note, GoneFilm):
            connection.execute("DELETE FROM film WHERE name = ?", (note.name,))
        else:
            _enter(connection, note)


def _enter(connection: sqlite3.Connection, film: StoredFilm) -> None:
    began, ended = film.began_wall_ns, film.ended_wall_ns
    facts = (film.size_bytes, film.left_out, film.is_whole)
    connection.execute(PUT_FILM, (film.name, film.camera, began, ended, *facts))
    connection.executemany(PUT_EVENT_OF_FILM, [(one, film.name) for one in film.event_ids])
    if film.is_found:
        connection.execute(PUT_EVENTS_BY_TIME, (film.name, film.camera, began, ended))


def known_films(path: Path) -> frozenset[str]:
    """Return the names of the films that the database has.

    Raises:
        StoreError: It cannot be read.
    """
    connection = open_for_reading(path)
    try:
        with translated(path):
            return frozenset(name for (name,) in connection.execute("SELECT name FROM film"))
    finally:
        connection.close()
