"""Steps of the installer by themselves; as a whole `make install-trial` tries it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from camera_app.store import DATABASE_NAME
from camera_app.store.database import shipped_steps

SCRIPT = Path(__file__).resolve().parents[2] / "systemd" / "install.sh"
SHIPPED = len(shipped_steps())


def call(lines: str) -> subprocess.CompletedProcess[str]:
    """Run lines of shell with the functions of the installer."""
    functions = SCRIPT.read_text().partition('\nmain "$@"')[0]
    return subprocess.run(
        ["bash", "-c", f"{functions}\n{lines}"], capture_output=True, text=True, check=False
    )


class Machine:
    """A release, and configurations of two instances with a database each."""

    def __init__(self, folder: Path) -> None:
        self.release = folder / "release"
        self._etc = folder / "etc"
        self._folder = folder
        python = self.release / "venv/bin/python"
        python.parent.mkdir(parents=True)
        # Without -I: the camera that is tested is not installed into a Python of its own.
        python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        self._etc.mkdir()

    def add(self, name: str, schema: int) -> Path:
        """Add an instance; return its database."""
        data = self._folder / name
        data.mkdir()
        (self._etc / f"{name}.toml").write_text(
            f'data.folder = "{data}"\n[camera.front]\nsource = "synthetic:"\n'
        )
        database = data / DATABASE_NAME
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"PRAGMA user_version = {schema}")
        return database

    def inspect(self, deed: str, *, first: str = "") -> subprocess.CompletedProcess[str]:
        """Call it as the commands do: in a condition, in which bash goes on after a failure."""
        done = f"inspect_data '{self.release}' {deed} || exit 1"
        return call(f"CONFIG='{self._etc}'\n{first}\n{done}")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def kept(database: Path) -> Path:
    return database.with_name(f"{DATABASE_NAME}.before-upgrade")


@pytest.mark.parametrize("newer", ["a", "b"])
def test_one_database_of_a_newer_schema_is_enough_to_refuse(machine: Machine, newer: str) -> None:
    """What came of all but the last instance used to be forgotten."""
    for name in ("a", "b"):
        machine.add(name, SHIPPED + (name == newer))
    done = machine.inspect("schema")
    assert done.returncode != 0
    assert f"{newer}/{DATABASE_NAME} has schema {SHIPPED + 1}" in done.stderr


def test_what_an_upgrade_changes_is_copied_and_comes_back(machine: Machine) -> None:
    old, new = machine.add("a", SHIPPED - 1), machine.add("b", SHIPPED)
    assert machine.inspect("copy").returncode == 0
    assert kept(old).exists()
    assert not kept(new).exists()
    with closing(sqlite3.connect(old)) as connection:
        connection.execute(f"PRAGMA user_version = {SHIPPED}")
    assert machine.inspect("restore").returncode == 0
    with closing(sqlite3.connect(old)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SHIPPED - 1,)


def test_a_copy_of_an_upgrade_that_was_cut_off_is_not_put_back(machine: Machine) -> None:
    """Events have come since: it would take them away."""
    database = machine.add("a", SHIPPED)
    kept(database).write_bytes(b"of last year")
    assert machine.inspect("copy").returncode == 0
    assert not kept(database).exists()


def test_a_copy_that_fails_is_told_and_nothing_is_left_of_it(machine: Machine) -> None:
    database = machine.add("a", SHIPPED - 1)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE much AS SELECT randomblob(100000)")
        connection.commit()
    machine.add("b", SHIPPED)
    assert machine.inspect("copy", first="ulimit -f 8  # kB, of any file").returncode != 0
    assert [path.name for path in database.parent.glob("*before-upgrade*")] == []


# A machine with a service that runs; each step says that it is done.
STEPS = """
say() { echo "$*"; }
running_units() { echo camera-app.service; }
release_of() { echo /old; }
is_ready() { true; }
systemctl() { echo "systemctl $*"; }
use_release() { echo "use $1"; [ "$1" != "${BAD:-}" ]; }
inspect_data() { echo "$2"; [ "$2" != "${FAILS:-}" ]; }
comes_up() { echo "comes up"; [ -z "${DIES:-}" ]; }
point() { echo "point $*"; }
"""
BACK = ["going back to old", "systemctl stop camera-app.service", "restore", "use /old"]
RUNS = ["systemctl reset-failed camera-app.service", "systemctl start camera-app.service"]


@pytest.mark.parametrize(
    ("fault", "done"),
    [
        ("FAILS=copy", ["copy"]),
        ("BAD=/new", ["copy", "use /new"]),
        ("DIES=yes", ["copy", "use /new", "comes up"]),
    ],
)
def test_whatever_fails_in_an_upgrade_the_version_before_runs_again(
    fault: str, done: list[str]
) -> None:
    """bash forgets `set -e` in a condition: a copy that had failed was once taken for made."""
    said = call(f"{STEPS}\n{fault}\nchange_over /new")
    assert said.returncode != 0
    assert said.stdout.splitlines() == [
        *("systemctl stop camera-app.service", *done),
        *(*BACK, *RUNS, "old runs again"),
    ]


def test_an_upgrade_that_comes_up_keeps_the_version_before() -> None:
    said = call(f"{STEPS}\nchange_over /new")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines()[-2:] == ["point /opt/camera-app/previous /old", "forget"]
    assert "going back" not in said.stdout
