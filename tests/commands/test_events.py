from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.clock import NS_PER_S, ManualClock
from camera_app.commands import events
from camera_app.config import RetentionSettings
from camera_app.errors import CameraAppError, StoreError, UsageError
from camera_app.store import EventStore
from camera_app.values import ChangeType, Crossing, CrossingCount, Direction
from tests.store.conftest import EPOCH_NS, LIMIT_S, make_change

Run = Callable[..., int]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with four events: two persons in front, one over, a dog and a far car."""
    path = tmp_path / "events.db"
    store = EventStore(path, ManualClock(0, EPOCH_NS), RetentionSettings())
    store.start()
    store.commit(
        [
            make_change(1, zones=("door",)),
            make_change(2, label="dog"),
            make_change(3, camera="yard", label="car"),
            make_change(4),
            make_change(1, change=ChangeType.ENDED, at_s=9.5, ended=True, zones=("door", "step")),
        ]
    ).wait(LIMIT_S)
    store.stop()
    return path


@pytest.fixture
def run(database: Path) -> Run:
    """Run `camera-app events …` on the database, without the rest of the command line."""

    def call(*words: str) -> int:
        parser = argparse.ArgumentParser()
        events.configure(parser.add_subparsers())
        arguments = parser.parse_args(["events", *words, "--db", str(database)])
        return int(arguments.run(arguments))

    return call


def ids(text: str) -> list[int]:
    return [int(record["event_id"][-3:]) for record in json.loads(text)]


def test_list_prints_events_the_newest_first(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "STARTED",
        "LASTED",
        "CAMERA",
        "LABEL",
        "SCORE",
        "ZONES",
        "FILMS",
        "ID",
    ]
    assert lines[1].split()[:6] == [
        "2026-01-01T00:00:04.000Z",
        "lasts",
        "front",
        "person",
        "0.90",
        "-",
    ]
    assert lines[4].split()[1:6] == ["8.5s", "front", "person", "0.90", "door,step"]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], [4, 3, 2, 1]),
        (["--camera", "yard"], [3]),
        (["--label", "person"], [4, 1]),
        (["--label", "cat"], []),
        (["--limit", "2"], [4, 3]),
        (["--since", "2026-01-01T00:00:03Z"], [4, 3]),
        (["--until", "2026-01-01T00:00:03Z"], [2, 1]),
        (["--since", "2026-01-01T00:00:02Z", "--until", "2026-01-01T00:00:04Z"], [3, 2]),
        (["--since", "1s"], []),
    ],
)
def test_list_is_narrowed_by_camera_label_and_time(
    run: Run, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[int]
) -> None:
    assert run("list", "--json", *words) == 0
    assert ids(capsys.readouterr().out) == expected


def test_show_prints_every_change_of_an_event(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "019b0000-0000-7000-8000-000000000001", "--json") == 0
    changes = json.loads(capsys.readouterr().out)
    assert [(change["type"], change["seq"]) for change in changes] == [("started", 1), ("ended", 4)]

    assert run("show", "019b0000-0000-7000-8000-000000000001") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == ["started", "ended"]


def test_an_event_is_found_by_the_beginning_of_its_id(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoreError, match="several events begin with"):
        run("show", "019b")
    with pytest.raises(StoreError, match="no event begins with"):
        run("show", "ffff")


def test_export_writes_json_lines(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    assert run("export", "--out", str(file), "--label", "person") == 0

    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert [record["started_at"] for record in records] == [
        "2026-01-01T00:00:04.000Z",
        "2026-01-01T00:00:01.000Z",
    ]
    assert records[1]["ended_at"] == "2026-01-01T00:00:09.500Z"
    assert not {"type", "reason", "at"} & set(records[0])


def test_export_writes_csv(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("export", "--format", "csv") == 0

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert tuple(rows[0]) == events.CSV_COLUMNS
    assert [row["label"] for row in rows] == ["person", "car", "dog", "person"]
    assert (rows[3]["duration_s"], rows[3]["entered_zones"]) == ("8.5", "door step")
    assert rows[0]["ended_at"] == ""


def test_events_can_be_read_while_the_service_writes(
    run: Run, database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = EventStore(database, ManualClock(0, EPOCH_NS), RetentionSettings())
    store.start()
    try:
        store.commit([make_change(5)]).wait(LIMIT_S)
        assert run("list", "--json") == 0
        assert ids(capsys.readouterr().out) == [5, 4, 3, 2, 1]
    finally:
        store.stop()


def test_no_events_is_said_apart_from_the_output(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("list", "--label", "cat") == 0
    assert capsys.readouterr() == ("", "no events\n")


def test_the_database_is_found_through_the_configuration(
    database: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "camera.toml"
    config.write_text(f'[data]\nfolder = "{database.parent}"\n[camera.front]\nsource = "x.mp4"\n')
    parser = argparse.ArgumentParser()
    events.configure(parser.add_subparsers())

    arguments = parser.parse_args(["events", "list", "--json", "--config", str(config)])
    assert arguments.run(arguments) == 0
    assert ids(capsys.readouterr().out) == [4, 3, 2, 1]


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    """A database in which two persons cross a sill in front, one back again, and a dog a gate."""
    path = tmp_path / "passages.db"
    store = EventStore(path, ManualClock(0, EPOCH_NS), RetentionSettings())
    store.start()
    changes = [make_change(1), make_change(2), make_change(3, label="dog", camera="yard")]
    for number, line, way, more in (
        (1, "sill", Direction.IN, {}),
        (2, "sill", Direction.IN, {}),
        (1, "sill", Direction.OUT, {}),
        (3, "gate", Direction.IN, {"label": "dog", "camera": "yard"}),
    ):
        at_s = 10.0 + len(changes)
        change = make_change(number, change=ChangeType.UPDATED, at_s=at_s, **more)
        event = replace(change.event, crossings=(CrossingCount(line, way, 1),))
        crossing = Crossing(line, way, change.at_ns)
        changes.append(replace(change, event=event, reason="line_crossed", crossing=crossing))
    last = make_change(2, change=ChangeType.ENDED, at_s=30.0, ended=True, zones=("mat",))
    found = {"crossings": (CrossingCount("sill", Direction.IN, 1),), "loitered_zones": ("mat",)}
    changes.append(replace(last, event=replace(last.event, **found)))
    store.commit(changes).wait(LIMIT_S)
    store.stop()
    return path


@pytest.fixture
def run_passages(passages: Path) -> Run:
    def call(*words: str) -> int:
        parser = argparse.ArgumentParser()
        events.configure(parser.add_subparsers())
        arguments = parser.parse_args(["events", *words, "--db", str(passages)])
        return int(arguments.run(arguments))

    return call


def test_crossings_are_counted_by_line_and_way(
    run_passages: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_passages("crossings") == 0
    assert capsys.readouterr().out.splitlines() == [
        "CAMERA  LINE  IN  OUT",
        "front   sill  2   1",
        "yard    gate  1   0",
    ]
    assert run_passages("crossings", "--json", "--label", "dog") == 0
    assert json.loads(capsys.readouterr().out) == [
        {"camera": "yard", "line": "gate", "in": 1, "out": 0}
    ]
    assert run_passages("crossings", "--line", "cellar") == 0
    assert capsys.readouterr() == ("", "no crossings\n")


def test_each_crossing_is_listed_with_its_own_time(
    run_passages: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_passages("crossings", "--each", "--json", "--since", "2026-01-01T00:00:14Z") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["at"], one["line"], one["direction"]) for one in found] == [
        ("2026-01-01T00:00:16.000Z", "gate", "in"),
        ("2026-01-01T00:00:15.000Z", "sill", "out"),
        ("2026-01-01T00:00:14.000Z", "sill", "in"),
    ]
    assert found[0]["event_id"].endswith("3")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--line", "sill"], [2, 1]),
        (["--line", "gate"], [3]),
        (["--zone", "mat"], [2]),
        (["--loitered"], [2]),
        (["--line", "sill", "--zone", "elsewhere"], []),
    ],
)
def test_list_is_narrowed_by_what_rules_have_found(
    run_passages: Run, capsys: pytest.CaptureFixture[str], words: list[str], expected: list[int]
) -> None:
    assert run_passages("list", "--json", *words) == 0
    assert ids(capsys.readouterr().out) == expected


def test_what_rules_have_found_is_shown_and_exported(
    run_passages: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_passages("show", "019b0000-0000-7000-8000-000000000002") == 0
    assert "line sill in  seq" in capsys.readouterr().out
    assert run_passages("export", "--format", "csv", "--line", "sill") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["crossings"], row["loitered_zones"]) for row in rows] == [
        ("sill:in=1", "mat"),
        ("sill:out=1", ""),
    ]
    assert run_passages("export", "--line", "gate") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["crossings"] == [{"line": "gate", "direction": "in", "count": 1}]
    assert not {"crossing", "loitering"} & set(record)


@pytest.mark.parametrize(
    ("text", "moment_ns"),
    [
        ("2026-01-01T00:00:01Z", EPOCH_NS + NS_PER_S),
        ("2026-01-01T01:00:00.25+01:00", EPOCH_NS + NS_PER_S // 4),
        ("2026-01-01T00:00:00.750Z", EPOCH_NS + 3 * NS_PER_S // 4),  # was a second late
        ("90s", EPOCH_NS + 10 * NS_PER_S),
        ("1.5m", EPOCH_NS + 10 * NS_PER_S),
        ("2h", EPOCH_NS - 7100 * NS_PER_S),
        ("1d", EPOCH_NS - 86300 * NS_PER_S),
    ],
)
def test_times_are_stamps_or_spans(text: str, moment_ns: int) -> None:
    clock = ManualClock(100 * NS_PER_S, EPOCH_NS)
    assert events.parse_time(text, clock) == moment_ns


@pytest.mark.parametrize("text", ["yesterday", "2h30", "", "-1h", "2026-13-01"])
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is no time.*2h"):
        events.parse_time(text, ManualClock())


@pytest.mark.parametrize("action", [["list"], ["show", "x"], ["export"], ["crossings"]])
def test_a_missing_database_is_an_error_with_its_place(tmp_path: Path, action: list[str]) -> None:
    parser = argparse.ArgumentParser()
    events.configure(parser.add_subparsers())
    arguments = parser.parse_args(["events", *action, "--db", str(tmp_path / "no.db")])

    with pytest.raises(CameraAppError, match=r"no\.db: there is no event database"):
        arguments.run(arguments)


def test_a_file_that_cannot_be_written_is_an_error(run: Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        run("export", "--out", str(tmp_path / "no" / "out.jsonl"))


def test_the_command_line_ends_with_a_code(database: Path) -> None:
    command = [sys.executable, "-m", "camera_app.cli", "events", "list"]
    well = subprocess.run([*command, "--db", str(database)], capture_output=True, check=False)
    ill = subprocess.run([*command, "--db", "/absent.db"], capture_output=True, check=False)

    assert (well.returncode, well.stderr) == (0, b"")
    assert (ill.returncode, ill.stdout) == (1, b"")
    assert b"there is no event database" in ill.stderr
