"""The event store: SQLite, the one writer, the outbox, and queries for people."""

from camera_app.store.commit import Commit, CommittedChange
from camera_app.store.event_store import DATABASE_NAME, EventStore
from camera_app.store.films import FILMS_FOLDER, FilmNote, GoneFilm, StoredFilm, known_films
from camera_app.store.gaps import GAP_TYPE, refused_gap
from camera_app.store.handover import StoreState, StoreStats
from camera_app.store.interrupted import interrupted_changes
from camera_app.store.outbox import Outbox
from camera_app.store.pages import LedgerPage, LedgerReader
from camera_app.store.queries import CrossingRow, EventFilter, EventQueries, EventSummary
from camera_app.store.retention import TRUSTED_FROM_NS
from camera_app.store.writer import SETTLE_DELAY_S, CommitListener

__all__ = [
    "DATABASE_NAME",
    "FILMS_FOLDER",
    "GAP_TYPE",
    "SETTLE_DELAY_S",
    "TRUSTED_FROM_NS",
    "Commit",
    "CommitListener",
    "CommittedChange",
    "CrossingRow",
    "EventFilter",
    "EventQueries",
    "EventStore",
    "EventSummary",
    "FilmNote",
    "GoneFilm",
    "LedgerPage",
    "LedgerReader",
    "Outbox",
    "StoreState",
    "StoreStats",
    "StoredFilm",
    "interrupted_changes",
    "known_films",
    "refused_gap",
]
