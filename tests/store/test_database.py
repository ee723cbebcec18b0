from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from camera_app.errors import StoreCorrupt, StoreError, StoreFull
from camera_app.store.database import (
    Step,
    open_database,
    open_for_reading,
    read_steps,
    shipped_steps,
    store_error,
    version_of,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def connection(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_database(path)) as opened:
        yield opened


def test_a_commit_waits_for_the_disk(connection: sqlite3.Connection) -> None:
    """synchronous 2 is FULL: the log is flushed before a commit returns."""
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_a_new_database_has_the_newest_schema(connection: sqlite3.Connection) -> None:
    assert version_of(connection) == len(shipped_steps()) >= 1


def test_every_column_of_the_schema_says_what_it_means() -> None:
    for step in shipped_steps():
        columns = [line for line in step.sql.splitlines() if " NOT NULL" in line or " TEXT" in line]
        assert columns
        told = [
            line for line in columns if "--" in line or "REFERENCES" in line or "PRIMARY" in line
        ]
        assert told == columns


def test_each_step_up_keeps_what_an_older_version_wrote(path: Path) -> None:
    """A file of every older version, with a row in it, is brought to the newest."""
    steps = (*shipped_steps(), Step(len(shipped_steps()) + 1, "ALTER TABLE stream ADD boot TEXT;"))
    for older in range(1, len(steps)):
        file = path.with_name(f"version{older}.db")
        with closing(open_database(file, steps[:older])) as database:
            database.execute("INSERT INTO stream (camera, last_seq, last_row) VALUES ('a', 7, 9)")
        with closing(open_database(file, steps)) as database:
            assert version_of(database) == len(steps)
            assert database.execute("SELECT * FROM stream").fetchall() == [("a", 7, 9, None)]


def test_a_step_that_fails_half_way_leaves_the_old_version_whole(path: Path) -> None:
    broken = Step(2, "CREATE TABLE added (a INTEGER); INSERT INTO nowhere VALUES (1);")

    with pytest.raises(StoreError, match="nowhere"):
        open_database(path, (*shipped_steps()[:1], broken))

    with closing(sqlite3.connect(path)) as database:
        assert version_of(database) == 1
        assert not database.execute("SELECT * FROM sqlite_schema WHERE name = 'added'").fetchall()


def test_steps_must_be_numbered_without_a_hole(tmp_path: Path) -> None:
    (tmp_path / "0001_one.sql").write_text("SELECT 1;")
    (tmp_path / "0003_three.sql").write_text("SELECT 3;")

    with pytest.raises(StoreError, match="not numbered"):
        read_steps(tmp_path)


@pytest.mark.parametrize("opener", [open_database, open_for_reading])
def test_a_database_of_a_newer_version_is_refused(path: Path, opener: object) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")

    assert callable(opener)
    with pytest.raises(StoreError, match=r"newer camera-app .* schema is 99"):
        opener(path)


@pytest.mark.parametrize("opener", [open_database, open_for_reading])
def test_a_file_that_is_no_database_is_kept_as_it_is(path: Path, opener: object) -> None:
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    before = path.read_bytes()

    assert callable(opener)
    with pytest.raises(StoreCorrupt, match="file is kept"):
        opener(path)
    assert path.read_bytes() == before


def test_a_missing_database_is_not_made_by_reading(path: Path) -> None:
    with pytest.raises(StoreError, match="there is no event database"):
        open_for_reading(path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR | 3 << 8, StoreFull),
        (sqlite3.SQLITE_CORRUPT, StoreCorrupt),
        (sqlite3.SQLITE_NOTADB, StoreCorrupt),
        (sqlite3.SQLITE_READONLY, StoreError),
        (sqlite3.SQLITE_CANTOPEN, StoreError),
        (sqlite3.SQLITE_BUSY, StoreError),
        (sqlite3.SQLITE_ERROR, StoreError),
    ],
)
def test_sqlite_codes_become_what_the_caller_does_next(
    path: Path, code: int, expected: type[StoreError]
) -> None:
    error = sqlite3.OperationalError("says SQLite")
    error.sqlite_errorcode = code

    translated = store_error(error, path)

    assert type(translated) is expected
    assert translated.where == str(path)
