"""The last configuration that worked, and how the owner's file stands: two small files.

    the owner's file ──starts well──> last_good_configuration.json
           └──is refused──> configuration_status.json: what is wrong, and what runs instead

They lie in the folder of the service's state, which must be found when the owner's file cannot be
read any more: so it is systemd's, or given with the command, before it is what a file says.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from camera_app.config import DataSettings
from camera_app.durable import PRIVATE
from camera_app.errors import Problem, StoreError
from camera_app.readiness import given_folder
from camera_app.store.small_files import read_small, write_small

_log = logging.getLogger(__name__)

GOOD_NAME = "last_good_configuration.json"
STANDING_NAME = "configuration_status.json"
STATE_VARIABLE = "STATE_DIRECTORY"
GOOD_SCHEMA = 1
STANDING_SCHEMA = 1
LIMIT_BYTES = 4_000_000

Outcome = Literal["started", "applied", "unchanged", "refused", "rolled_back"]
Running = Literal["file", "last_good"]

_TABLE = re.compile(r"^\s*\[\s*data\s*\]\s*(#.*)?$")
_ANY_TABLE = re.compile(r"^\s*\[")
_DOTTED_FOLDER = re.compile(r"^\s*data\s*\.\s*folder\s*=.*$")
_FOLDER = re.compile(r"^\s*folder\s*=.*$")


@dataclass(frozen=True, slots=True)
class GoodConfig:
    """A configuration with which the service has started.

    Attributes:
        file: The owner's file that it was read from.
        text: What stood in it.
        at: When it was kept, UTC.
    """

    file: Path
    text: str
    at: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How the owner's file stands.

    Attributes:
        file: The owner's file.
        outcome: What became of it when it was last looked at: the service `started` with it, a
            reload `applied` it or found it `unchanged`, it was `refused`, or `rolled_back` when
            it could not be applied.
        running: What runs: what the `file` says, or said before it was refused; or the `last_good`
            that was kept of it.
        problems: What is wrong with the file; empty: nothing.
        changed: Keys that the last reload changed.
        notes: What an owner should know though nothing is wrong.
        at: When, UTC.
    """

    file: str
    outcome: Outcome
    running: Running
    at: str
    problems: tuple[Problem, ...] = ()
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_problem(self) -> bool:
        """Whether the owner has to do something."""
        return bool(self.problems)


class KnownGood:
    """The two files. Belongs to one thread.

    Args:
        folder: Of the service's state.
        file: The owner's file.
    """

    def __init__(self, folder: Path, file: Path) -> None:
        self._folder = folder
        self._file = file.absolute()

    @property
    def folder(self) -> Path:
        return self._folder

    def load(self) -> GoodConfig | None:
        """Return what was kept of this file; None where nothing was, or it is damaged."""
        try:
            text = read_small(self._folder / GOOD_NAME, LIMIT_BYTES)
            good = None if text is None else _read_good(text)
        except (StoreError, ValueError) as error:
            _log.warning("the last good configuration is lost: %s", error)
            return None
        return good if good is not None and good.file == self._file else None

    def keep(self, text: str, at: str) -> None:
        """Keep a configuration with which the service has started.

        Raises:
            StoreError: It cannot be written.
        """
        good = {"schema": GOOD_SCHEMA, "file": str(self._file), "at": at, "text": text}
        write_small(self._folder / GOOD_NAME, json.dumps(good, indent=1), PRIVATE)

    def note(self, standing: Standing) -> None:
        """Write down how the file stands, for `camera-app config status` and the doctor."""
        plain = {"schema": STANDING_SCHEMA, **asdict(standing)}
        try:
            write_small(self._folder / STANDING_NAME, json.dumps(plain, indent=1), PRIVATE)
        except StoreError as error:
            _log.warning("how the configuration stands cannot be written down: %s", error)


def read_standing(folder: Path) -> Standing | None:
    """Return how the configuration stands by the last word of a service; None: there was none.

    Args:
        folder: Of the service's state, as `state_folder` returns it.

    Raises:
        StoreError: The file cannot be read, or is none that was written here.
    """
    path = folder / STANDING_NAME
    text = read_small(path, LIMIT_BYTES)
    if text is None:
        return None
    try:
        return _read_standing(json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"is not as it was written: {error!r}", where=str(path)) from error


def state_folder(
    asked: Path | None, text: str, environment: Mapping[str, str] | None = None
) -> Path:
    """Return the folder of the service's state.

    In this order: what was asked for, what systemd gives a service, the data folder that the
    configuration names, as far as it can still be read, and the data folder's usual place.

    Args:
        asked: As given with the command; None: it was not.
        text: The configuration, which may be wrong in any way.
        environment: None: the process's.
    """
    if asked is not None:
        return asked
    given = given_folder(STATE_VARIABLE, os.environ if environment is None else environment)
    return given or _named_folder(text) or DataSettings().folder


def _named_folder(text: str) -> Path | None:
    """Return the data folder that a text names, were it wrong in all else."""
    try:
        document: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        document = _data_table(text)
    table = document.get("data")
    folder = table.get("folder") if isinstance(table, dict) else None
    return Path(folder) if isinstance(folder, str) and folder else None


def _data_table(text: str) -> dict[str, Any]:
    """Return the table `[data]` with its folder, of a text that is no TOML as a whole."""
    table = ""
    for line in text.splitlines():
        if _ANY_TABLE.match(line):
            table = "data" if _TABLE.match(line) else "another"
            continue
        try:
            if not table and _DOTTED_FOLDER.match(line):
                return tomllib.loads(line)
            if table == "data" and _FOLDER.match(line):
                return {"data": tomllib.loads(line)}
        except tomllib.TOMLDecodeError:
            return {}
    return {}


def _read_good(text: str) -> GoodConfig:
    plain: Any = json.loads(text)
    if not isinstance(plain, dict) or plain.get("schema") != GOOD_SCHEMA:
        raise ValueError("is none that was kept here")
    values = [plain.get(key) for key in ("file", "text", "at")]
    if not all(isinstance(value, str) for value in values):
        raise ValueError("lacks what was kept")
    return GoodConfig(Path(plain["file"]), plain["text"], plain["at"])


def _read_standing(plain: Any) -> Standing:
    if not isinstance(plain, dict) or plain.pop("schema") != STANDING_SCHEMA:
        raise ValueError("is of another version")
    plain["problems"] = tuple(Problem(**problem) for problem in plain["problems"])
    return Standing(**{**plain, "changed": tuple(plain["changed"]), "notes": tuple(plain["notes"])})
