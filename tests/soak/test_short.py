"""Half a minute of what `make soak` does for twenty."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.publish.mosquitto import find_mosquitto
from tools.edgetpu_sim.build import compiler
from tools.soak.__main__ import table
from tools.soak.chaos import Wishes
from tools.soak.rig import Rig
from tools.soak.trial import Outcome, Soak, as_json, checked

pytestmark = [
    pytest.mark.shared,
    pytest.mark.skipif(compiler() is None, reason="the simulated Edge TPU needs a C compiler"),
]

WISHES = Wishes(seconds=26.0, kills=4, outages=1, flaps=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("soak")


@pytest.fixture(scope="module")
def outcome(folder: Path) -> Outcome:
    from tests.conftest import SHARED

    find_mosquitto()
    clips = [SHARED / "clips" / name for name in ("signers/book.mkv", "one_by_one_person.mp4")]
    with Rig(folder, clips) as rig:
        return Soak(rig, WISHES, seed=5, say=lambda _: None).run()


def test_nothing_is_lost_nothing_ends_and_all_come_back(outcome: Outcome) -> None:
    assert outcome.problems() == []
    assert len(outcome.kills) == 4
    assert outcome.changes > 10
    assert outcome.frames > 10
    assert outcome.happened["BROKER_BACK"] == outcome.happened["PLUG"] == 1


def test_what_came_of_it_is_told_to_people_and_programs(outcome: Outcome) -> None:
    lines = table(outcome)
    assert "| exits | 0 | 0 |" in lines
    assert sum("too short to tell" in line for line in lines) == 4
    assert json.loads(as_json(outcome))["problems"] == []


def test_a_change_that_nobody_heard_would_be_found(
    outcome: Outcome, folder: Path, tmp_path: Path
) -> None:
    heard = [json.loads(line) for line in (folder / "heard.jsonl").read_text().splitlines()]
    newest = max(one["payload"]["seq"] for one in heard if one["payload"]["camera"] == "door")
    fewer = [
        one
        for one in heard
        if (one["payload"]["camera"], one["payload"]["seq"]) != ("door", newest)
    ]
    (tmp_path / "heard.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in fewer))
    database = folder / "data" / "events.db"
    findings = checked(database, tmp_path / "heard.jsonl")
    assert any(f"door: {newest} was never told" in finding for finding in findings)


def test_a_row_that_is_gone_would_be_found(outcome: Outcome, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "data", tmp_path / "data")
    with closing(sqlite3.connect(tmp_path / "data" / "events.db")) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(
            "DELETE FROM event_change WHERE rowid IN "
            "(SELECT rowid FROM event_change WHERE camera = 'door' ORDER BY seq LIMIT 1 OFFSET 1)"
        )
        database.commit()
    assert checked(tmp_path / "data" / "events.db", folder / "heard.jsonl")
