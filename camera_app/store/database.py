"""Opening the database: pragmas, numbered schema, and SQLite's errors in the house's words.

What is in the tables is `ledger.py`'s; who may write is `writer.py`'s.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from camera_app.errors import StoreCorrupt, StoreError, StoreFull

BUSY_TIMEOUT_S = 5.0

# What a write-ahead log may keep on disk after it was folded back: an export that reads for long
# lets it grow, and without this limit it would keep that size.
WAL_LIMIT_BYTES = 16 * 1024 * 1024

_STEP_NAME = re.compile(r"^(\d{4})_\w+\.sql$")
_LITTLE_SPACE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered step of the schema.

    Attributes:
        number: The `user_version` that a database has after it.
        sql: The statements; they run in one transaction.
    """

    number: int
    sql: str


def shipped_steps() -> tuple[Step, ...]:
    """Return the steps that this version of the code knows, in order from 1."""
    return read_steps(resources.files("camera_app.store") / "schema")


def read_steps(folder: Traversable) -> tuple[Step, ...]:
    """Return the steps in a folder.

    Raises:
        StoreError: A number is missing or there twice.
    """
    steps = sorted(_steps_in(folder), key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise StoreError("the schema files are not numbered from 0001 on", where=str(folder))
    return tuple(steps)


def _steps_in(folder: Traversable) -> Iterator[Step]:
    for file in folder.iterdir():
        name = _STEP_NAME.match(file.name)
        if name:
            yield Step(int(name[1]), file.read_text(encoding="utf-8"))


def open_database(path: Path, steps: tuple[Step, ...] | None = None) -> sqlite3.Connection:
    """Open the database for writing, made if it is absent and brought up to the newest schema.

    The connection is in autocommit mode and may be handed to one other thread.

    Raises:
        StoreError: It cannot be opened or written, or a newer version of the code made it.
        StoreCorrupt: It is no database, or a damaged one; the file is left as it is.
    """
    steps = shipped_steps() if steps is None else steps
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            _refuse_newer(connection, path, len(steps))
            _set_pragmas(connection)
            _upgrade(connection, steps)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Open the database for queries only; works while the service writes.

    Raises:
        StoreError: There is none, it cannot be read, or a newer version of the code made it.
        StoreCorrupt: It is no database.
    """
    if not path.is_file():
        remedy = "Point to the folder of a camera that has run, or to the file itself"
        raise StoreError("there is no event database", where=str(path), remedy=remedy)
    with translated(path):
        try:
            connection = _connect_for_reading(path, "mode=ro")
        except sqlite3.OperationalError:
            # A write-ahead log needs a file beside the database. Where none can be made, and none
            # is there, nobody writes: the file can be read as it lies.
            if Path(f"{path}-wal").exists():
                raise
            connection = _connect_for_reading(path, "mode=ro&immutable=1")
    return connection


def _connect_for_reading(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
    )
    try:
        _refuse_newer(connection, path, len(shipped_steps()))
    except BaseException:
        connection.close()
        raise
    return connection


def version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last schema step that was applied; 0 for an empty database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(connection: sqlite3.Connection, path: Path, known: int) -> None:
    version = version_of(connection)
    if version > known:
        raise StoreError(
            f"a newer camera-app wrote this database: its schema is {version}, known here is "
            f"up to {known}",
            where=str(path),
            remedy="Install the newer version again, or move the file away to begin a new one",
        )


def _set_pragmas(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")


def _upgrade(connection: sqlite3.Connection, steps: tuple[Step, ...]) -> None:
    for step in steps[version_of(connection) :]:
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{step.sql}\nPRAGMA user_version = {step.number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.rollback()
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside into the errors of the house."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, path) from error


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Return the house's error for one of SQLite's, by its primary result code."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    where = str(path)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        remedy = (
            "The file is kept; move it away to begin anew. `sqlite3 FILE .recover` may save rows"
        )
        return StoreCorrupt(f"the event database is damaged: {error}", where=where, remedy=remedy)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_nearly_full(path)):
        return StoreFull("no space is left for events", where=where, remedy="Make room on the disk")
    if code == sqlite3.SQLITE_IOERR:
        remedy = "Look at the disk and its cable or card: it does not take or give data"
        return StoreFull(f"the disk fails: {error}", where=where, remedy=remedy)
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(f"cannot be opened for this: {error}", where=where, remedy=_rights(path))
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        remedy = "End the other program that holds the database"
        return StoreError("another program holds the database", where=where, remedy=remedy)
    return StoreError(f"the event database failed: {error}", where=where)


def unusable_folder(error: OSError, path: Path) -> StoreError:
    """Return the error for a data folder that cannot be made or written."""
    reason = error.strerror or str(error)
    return StoreError(
        f"events cannot be kept here: {reason}", where=str(path), remedy=_rights(path)
    )


def _rights(path: Path) -> str:
    return f"The user that runs camera-app must be able to write to {path.parent}"


def _is_nearly_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _LITTLE_SPACE_BYTES
    except OSError:
        return False
