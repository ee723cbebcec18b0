"""`camera-app config plan`, as an owner types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.bench.calibration import this_machine, write_costs
from camera_app.bench.costs import ModelCosts
from camera_app.cli import main
from camera_app.models import find_pack
from tests.bench.test_costs import COSTS, LARGE, SMALL

CAMERA = '[camera.front]\nsource = "synthetic:"\nmodel = "person_small"\n'


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return paths of an old and a new configuration, and of costs of this machine."""
    old, new, costs = (tmp_path / name for name in ("old.toml", "new.toml", "costs.json"))
    head = f'mqtt.enabled = false\n[data]\nfolder = "{tmp_path / "data"}"\n'
    head += '[inference]\nedgetpu = "off"\n'
    old.write_text(head + CAMERA)
    new.write_text(head + CAMERA.replace("front", "side") + CAMERA + "fps = 5\n")
    digest = find_pack("person_small").digest
    models = {"person_small": ModelCosts(digest, 3.0, 10e6)}
    made = [replace(one, codec="none", decode_ms=2 * one.decode_ms) for one in (SMALL, LARGE)]
    write_costs(costs, replace(COSTS, machine=this_machine(), models=models, made=made))
    return old, new, costs


def plan(files: tuple[Path, Path, Path], *more: str) -> int:
    old, new, costs = map(str, files)
    return main(["config", "plan", new, "--config", old, "--costs", costs, *more])


def test_a_plan_tells_changes_costs_and_what_they_rest_on(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(files, "--activity", "front=0.5") == 0
    out = capsys.readouterr().out
    assert "camera.front.fps: 10 becomes 5" in out
    assert "camera.side is new" in out
    assert "processor, cores of 4" in out
    assert "camera front: made-up pictures: 640x360 none at 10 fps; busy 50%" in out
    assert (
        "camera side: made-up pictures: 640x360 none at 10 fps; busy 10% of the time, assumed"
        in out
    )


def test_a_plan_for_programs_says_the_same(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [change["where"] for change in told["changes"]] == ["camera.front.fps", "camera.side"]
    assert told["then"]["cores"] > told["now"]["cores"] > 0
    assert told["cannot_be_met"] == []


def test_pictures_that_are_made_up_cost_their_child_what_drawing_them_does(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """They were foreseen at what the service does with them, which is nearly nothing."""
    old, _, costs = files
    words = ["config", "plan", str(old), "--costs", str(costs), "--activity", "0", "--json"]
    assert main(words) == 0
    then = json.loads(capsys.readouterr().out)["then"]
    looks_ms = 0.2 * (1.0 + 3.0)  # every five seconds: the look, and the network
    assert then["cores"] == pytest.approx(0.01 + (10 * (2.0 + 0.5) + looks_ms) / 1000)


def test_what_the_camera_itself_has_seen_is_taken_where_nothing_is_stated(
    files: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    seen = {"looked_share": 0.3, "regions": 1.2, "changes_per_s": 0.1, "stills_per_s": 0.01}
    record = {"schema": 1, "cameras": {"front": seen}}
    (tmp_path / "data" / "activity.json").write_text(json.dumps(record))
    assert plan(files) == 0
    assert "30% of frames looked at, as this camera has it" in capsys.readouterr().out


def test_without_costs_the_changes_are_told_and_the_line_to_type(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[2].unlink()
    assert plan(files) == 0
    out = capsys.readouterr().out
    assert "camera.side is new" in out
    assert f"camera-app bench --calibrate --config {files[1]}" in out
    assert plan(files, "--json") == 0
    assert json.loads(capsys.readouterr().out)["calibrate"].startswith("camera-app bench")


def test_what_this_machine_cannot_meet_is_refused(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = json.loads(files[2].read_text())
    plain["models"]["person_small"]["cpu_ms"] = 5000.0
    files[2].write_text(json.dumps(plain))
    assert plan(files, "--activity", "1") == 4
    assert "cannot be met: it needs" in capsys.readouterr().out
    assert plan(files, "--activity", "1", "--json") == 4
    assert json.loads(capsys.readouterr().out)["cannot_be_met"]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--activity", "2"], "is no activity"),
        (["--activity", "nobody=0.5"], "the cameras are: side, front"),
        (["--activity", "front=much"], "is no activity"),
    ],
)
def test_wrong_words_are_refused(
    files: tuple[Path, Path, Path],
    more: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert plan(files, *more) == 1
    assert says in capsys.readouterr().err


def test_a_wrong_configuration_is_refused_with_every_problem(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[1].write_text(CAMERA.replace("person_small", "absent") + 'password_file = "/absent/x"\n')
    assert plan(files) == 1
    err = capsys.readouterr().err
    assert "camera.front.model" in err
    assert "camera.front.password_file" in err


def test_a_model_that_was_never_measured_says_what_to_type(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[1].write_text(files[1].read_text().replace("person_small", "face"))
    assert plan(files) == 1
    assert "bench --calibrate --config" in capsys.readouterr().err


def test_costs_of_another_machine_are_told_as_such(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = json.loads(files[2].read_text())
    plain["machine"]["processor"] = "another"
    files[2].write_text(json.dumps(plain))
    assert plan(files) == 0
    assert "measured with another processor" in capsys.readouterr().out


def test_a_plan_needs_no_costs_of_what_it_does_away_with(
    files: tuple[Path, Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Costs are measured with one configuration: that of the plan, which may name other models."""
    old = files[0]
    old.write_text(old.read_text().replace("person_small", "person_large"))
    assert plan(files, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["now"] is None
    assert told["then"]["cores"] > 0
    [note] = told["notes"]
    assert note.startswith("what the one in use costs is not known: model pack person_large")
