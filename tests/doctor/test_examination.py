"""The examination as a whole: all at once, nothing ends it, no secret gets out; and the command."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_app.cli import build_parser, main
from camera_app.config import USUAL_FILE
from camera_app.doctor import (
    CHECKS,
    Check,
    Examined,
    all_kinds,
    as_json,
    as_lines,
    examined,
    subject_of,
)
from camera_app.doctor.subject import Kinds, Subject
from camera_app.logs import MASK
from tests.commands.test_run import Service
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until

from .conftest import MadeMachine, kinds

FOLDER = Path(__file__).parent
SECRET = "c0rrect h0rse"
_made = Kinds("made")
BAD = _made.error("bad", "it is bad", "Make it good: <file>", "mend <file>")
SO_SO = _made.warning("so_so", "it is so-so", "Look", "look")


def check(name: str, answer: Any) -> Check:
    """Return a check that gives this answer, or does this."""

    def examine(subject: Subject) -> Examined:
        if callable(answer):
            answer()
        return answer if isinstance(answer, Examined) else Examined()

    return Check(name, name, examine, ())


# --- all at once ---------------------------------------------------------------------------------


def test_a_check_that_fails_or_hangs_is_a_finding_and_the_others_are_told(
    made: MadeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_app.doctor.examination.GRACE_S", 0.1)
    ends = threading.Event()

    def fail() -> None:
        raise ZeroDivisionError("by nought")

    checks = [check("a", ends.wait), check("b", fail), check("c", Examined(("seen",)))]
    began_s = time.monotonic()
    hung, failed, well = examined(made.subject(limit_s=0.4), checks)
    ends.set()
    assert time.monotonic() - began_s < 10.0
    assert kinds(hung.examined) == ["doctor.hung"]
    assert "--only a " in hung.examined.findings[0].line
    assert kinds(failed.examined) == ["doctor.crashed"]
    assert "ZeroDivisionError: by nought" in failed.examined.findings[0].what
    assert well.examined.facts == ("seen",)


def test_checks_are_done_at_the_same_time(made: MadeMachine) -> None:
    """Each waits for the other, so that one after the other would never end."""
    both = threading.Barrier(2)
    reports = examined(made.subject(), [check("a", both.wait), check("b", both.wait)])
    assert [kinds(report.examined) for report in reports] == [[], []]


# --- secrets -------------------------------------------------------------------------------------


def test_no_secret_gets_through_whatever_a_check_says(made: MadeMachine, tmp_path: Path) -> None:
    """Planted in every field by a check that is careless, in both forms."""
    file = tmp_path / "password"
    file.write_text(f"{SECRET}\n")
    text = (
        f'mqtt.password_file = "{file}"\n[camera.front]\nsource = "rtsp://me:batterystaple@cam/"\n'
    )
    careless = Examined(
        (f"it is {SECRET}",),
        (BAD.found(f"{SECRET}!", where="c0rrect%20h0rse", remedy="batterystaple", file=SECRET),),
    )
    subject = made.subject(text)
    [report] = examined(subject, [check("a", careless)])
    told = json.dumps(as_json([report], None, "")) + "\n".join(as_lines([report]))
    for form in (SECRET, "c0rrect%20h0rse", "batterystaple"):
        assert form not in told
    assert f"it is {MASK}" in told


# --- telling -------------------------------------------------------------------------------------


def test_people_read_what_it_is_what_to_do_and_what_to_type(made: MadeMachine) -> None:
    found = Examined(("21 °C",), (BAD.found("is bad", where="front", file="a b"),))
    reports = examined(
        made.subject(),
        [check("x", found), check("y", Examined(skipped="not here")), check("z", Examined(("1",)))],
    )
    assert list(as_lines(reports)) == [
        "ERROR    x              21 °C",
        "  ERROR made.bad: front: is bad",
        "      Make it good: a b:",
        "      $ mend 'a b'",
        "-        y              not examined: not here",
        "ok       z              1",
        "",
        "1 error",
    ]


def test_programs_read_the_same(made: MadeMachine) -> None:
    found = Examined((), (SO_SO.found("is so-so"),))
    reports = examined(made.subject(), [check("x", found), check("y", Examined(skipped="no"))])
    told = as_json(reports, "/etc/c.toml", "2027-01-15T08:00:00.000Z")
    assert {key: told[key] for key in ("schema", "config", "result", "counts")} == {
        "schema": 1,
        "config": "/etc/c.toml",
        "result": "warning",
        "counts": {"error": 0, "warning": 1, "note": 0},
    }
    first, second = told["checks"]
    assert (first["state"], second["state"]) == ("warning", "skipped")
    assert first["findings"] == [
        {
            "kind": "made.so_so",
            "severity": "warning",
            "where": "",
            "what": "is so-so",
            "remedy": "Look",
            "line": "look",
        }
    ]


# --- what can be found ---------------------------------------------------------------------------


def test_every_finding_has_a_name_of_its_own_a_meaning_a_remedy_and_a_line() -> None:
    found = list(all_kinds())
    assert len({kind.name for kind in found}) == len(found) > 90
    for kind in found:
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", kind.name)
        assert kind.meaning
        assert kind.meaning[0].islower() or kind.meaning.split()[0].isupper()
        assert kind.remedy
        assert kind.line
        assert not kind.meaning.endswith(".")
        assert not kind.remedy.endswith(".")


def test_every_line_to_type_is_one_that_a_shell_understands() -> None:
    for kind in all_kinds():
        line = re.sub(r"<\w+>", "word", kind.line)
        done = subprocess.run(["sh", "-n", "-c", line], capture_output=True, check=False)
        assert done.returncode == 0, (kind.name, done.stderr)


def test_every_line_that_calls_this_program_is_one_that_it_understands() -> None:
    for kind in all_kinds():
        line = re.sub(r"<\w+>", "word", kind.line).replace("--only word", "--only service")
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        for place in (at for at, word in enumerate(words) if word == "camera-app"):
            ours = itertools.takewhile(
                lambda word: word not in ("&&", ";", ">"), words[place + 1 :]
            )
            assert build_parser().parse_args(list(ours)).run, kind.name


def test_every_finding_is_made_by_some_test() -> None:
    """Each by its name; those of sticks that a table makes are made by the table."""
    tests = "\n".join(path.read_text() for path in FOLDER.glob("test_*.py"))
    from camera_app.inference.edgetpu import FindingKind

    by_table = {f"accelerator.{kind}" for kind in FindingKind}
    names = {kind.name for kind in all_kinds()} - by_table
    assert sorted(name for name in names if f'"{name}"' not in tests) == []


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without anything, so that nothing of the real one is told."""
    root = tmp_path / "bare"
    root.mkdir()
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(root))
    return root


def doctor(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    code = main(["doctor", "--json", *words])
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return code, told


def found_in(told: dict[str, Any]) -> set[str]:
    return {finding["kind"] for one in told["checks"] for finding in one["findings"]}


def test_it_does_without_a_configuration(bare: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = doctor(capsys, "--deadline", "120")  # a busy machine is nothing to be found here
    assert code == 0
    assert told["config"] is None
    assert [one["name"] for one in told["checks"]] == [check.name for check in CHECKS]
    states = {one["name"]: one["state"] for one in told["checks"]}
    assert (states["cameras"], states["broker"], states["models"]) == ("skipped", "skipped", "ok")


def test_the_configuration_in_its_usual_place_is_taken(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = bare / str(USUAL_FILE).lstrip("/")
    usual.parent.mkdir(parents=True)
    usual.write_text("nonsense = 1\n")
    code, told = doctor(capsys, "--only", "configuration")
    assert code == 1
    assert told["config"] == str(usual)
    assert found_in(told) == {"configuration.wrong"}


def test_warnings_count_only_if_that_is_asked_for(
    bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text('[camera.a]\nsource = "rtsp://me:hunter2@cam/"\n')
    words = ("--config", str(config), "--only", "configuration")
    assert doctor(capsys, *words)[0] == 0
    assert doctor(capsys, *words, "--strict")[0] == 1
    assert main(["doctor", *words]) == 0
    out = capsys.readouterr().out
    assert "hunter2" not in out
    assert out.endswith("1 warning\n")


@pytest.mark.parametrize("words", [["--only", "pwoer"], ["--only", ","], ["--deadline", "0"]])
def test_words_that_are_off_are_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(["doctor", *words])
    assert exit_.value.code == 2
    assert "doctor: error" in capsys.readouterr().err


@pytest.fixture
def service(tmp_path: Path, shared: Path) -> Iterator[Service]:
    service = Service(tmp_path, shared)
    yield service
    service.end(signal.SIGKILL)


@pytest.mark.shared
def test_a_running_service_is_found_and_not_disturbed(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one with a real broker: it stays connected under its id, and every check is well."""
    folder, runtime = tmp_path / "broker", tmp_path / "runtime"
    folder.mkdir()
    runtime.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(runtime))
    broker = Mosquitto(folder, {})
    broker.start()
    try:
        service.configure(broker.port)
        service.start()
        service.wait_for("connected to")
        assert wait_until(lambda: subject_of(service.config).service.readiness is not None)
        pid = service._process.pid if service._process is not None else None
        words = [sys.executable, "-m", "camera_app", "doctor", "--json"]
        done = subprocess.run(
            [*words, "--config", str(service.config), "--only", "service,broker,cameras"],
            capture_output=True,
            check=False,
            timeout=60,
        )
        told = json.loads(done.stdout)
        assert f"runs as process {pid}" in told["checks"][0]["facts"]
        assert found_in(told) <= {"service.not_ready"}  # it may just have begun to look
        assert service.is_running()
        assert broker.log().count(" as camera_app-desk ") == 1
        assert "already connected" not in broker.log()
    finally:
        service.end(signal.SIGTERM)
        broker.stop()
