"""The last configuration that worked, and how the owner's file stands."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from camera_app.errors import Problem, StoreError
from camera_app.store.known_good import (
    GOOD_NAME,
    STANDING_NAME,
    KnownGood,
    Standing,
    read_standing,
    state_folder,
)

AT = "2025-01-01T00:00:00.000Z"
FILE = Path("/etc/camera-app/camera.toml")


def test_what_is_kept_comes_back_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    kept = KnownGood(tmp_path, FILE)
    assert kept.load() is None
    kept.keep('text = "ä"\n', AT)
    good = kept.load()
    assert good is not None
    assert (good.file, good.text, good.at) == (FILE, 'text = "ä"\n', AT)
    assert stat.S_IMODE((tmp_path / GOOD_NAME).stat().st_mode) == 0o600


def test_rights_of_a_file_that_was_left_behind_are_not_taken_over(tmp_path: Path) -> None:
    part = tmp_path / f"{GOOD_NAME}.part"
    part.write_text("of a run that was killed")
    part.chmod(0o644)
    KnownGood(tmp_path, FILE).keep("x = 1", AT)
    assert stat.S_IMODE((tmp_path / GOOD_NAME).stat().st_mode) == 0o600


def test_what_was_kept_of_another_file_is_not_run(tmp_path: Path) -> None:
    KnownGood(tmp_path, FILE).keep("x = 1", AT)
    assert KnownGood(tmp_path, Path("/etc/camera-app/other.toml")).load() is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 9, "text": "x"}'])
def test_what_is_damaged_is_as_if_there_were_none(tmp_path: Path, text: str) -> None:
    (tmp_path / GOOD_NAME).write_text(text)
    assert KnownGood(tmp_path, FILE).load() is None


def test_how_the_file_stands_comes_back_whole(tmp_path: Path) -> None:
    problem = Problem("camera.front.fps", "is no number", 3, "a hint", "'x'")
    standing = Standing(str(FILE), "refused", "last_good", AT, (problem,), (), ("a note",))
    assert read_standing(tmp_path) is None
    KnownGood(tmp_path, FILE).note(standing)
    assert read_standing(tmp_path) == standing
    assert standing.is_problem


@pytest.mark.parametrize("text", ['{"schema": 1, "file": 3}', "[]", "null", "3"])
def test_a_damaged_record_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / STANDING_NAME).write_text(text)
    with pytest.raises(StoreError, match="not as it was written"):
        read_standing(tmp_path)


RIGHT = '[data]\nfolder = "/srv/camera"\n[camera.front]\nsource = "synthetic:"\n'


@pytest.mark.parametrize(
    ("asked", "given", "text", "folder"),
    [
        ("/asked", "/given", RIGHT, "/asked"),
        (None, "/given:/second", RIGHT, "/given"),
        (None, "", RIGHT, "/srv/camera"),
        (None, "", RIGHT + "\n[nonsense", "/srv/camera"),
        (
            None,
            "",
            '# no table\n folder = "/wrong"\n [ data ] # here\n\tfolder = "/x" # y\n[',
            "/x",
        ),
        (None, "", ' data . folder = "/dotted"\n[camera.front\n', "/dotted"),
        (None, "", '[camera.front]\ndata.folder = "/wrong"\n[', "/var/lib/camera-app"),
        (None, "", "[data]\nfolder = 3\n[", "/var/lib/camera-app"),
        (None, "", '[data]\nfolder = "/half\n', "/var/lib/camera-app"),
        (None, "", "[camera.front]\n", "/var/lib/camera-app"),
        (None, "", "", "/var/lib/camera-app"),
    ],
)
def test_the_folder_is_found_however_wrong_the_file_is(
    asked: str | None, given: str, text: str, folder: str
) -> None:
    option = None if asked is None else Path(asked)
    assert state_folder(option, text, {"STATE_DIRECTORY": given}) == Path(folder)
