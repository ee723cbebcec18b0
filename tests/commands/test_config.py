"""`camera-app config`, as an owner and as a program would call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.config import parse_config

THREE_MISTAKES = """\
[mqtt]
prot = 1883

[camera.front]
source = "clip.mp4"
fps = 0

[camera.front.motion]
threshold = "high"
"""


def test_check_says_which_cameras_a_good_file_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "camera.toml"
    file.write_text('[camera.front]\nsource = "a.mp4"\n[camera.back]\nsource = "b.mp4"\n')

    assert main(["config", "check", str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: no problems, 2 cameras: front, back\n"


def test_check_names_all_three_mistakes_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "camera.toml"
    file.write_text(THREE_MISTAKES)

    assert main(["config", "check", str(file)]) == 1
    errors = capsys.readouterr().err
    assert "3 problems" in errors
    assert "line 2: mqtt.prot: no such key (did you mean 'port'?)" in errors
    assert "line 6: camera.front.fps: input should be greater than 0, got 0" in errors
    assert "line 9: camera.front.motion.threshold" in errors


def test_check_tells_a_program_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "camera.toml"
    file.write_text(THREE_MISTAKES)

    assert main(["config", "check", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [problem["line"] for problem in found["problems"]] == [2, 6, 9]
    assert found["problems"][0] == {
        "where": "mqtt.prot",
        "line": 2,
        "problem": "no such key",
        "suggestion": "did you mean 'port'?",
    }


def test_check_tells_a_program_that_there_is_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "camera.toml"
    file.write_text('[camera.front]\nsource = "a.mp4"\n')

    assert main(["config", "check", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"file": str(file), "problems": [], "warnings": []}


def test_check_of_a_file_that_is_not_there_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(tmp_path / "none.toml")]) == 1
    assert "none.toml" in capsys.readouterr().err


def test_the_printed_example_is_a_good_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "example"]) == 0
    assert list(parse_config(capsys.readouterr().out).camera) == ["front"]


def test_the_printed_schema_describes_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["required"] == ["camera"]
    assert schema["additionalProperties"] is False


def test_a_password_that_would_cross_the_network_in_the_clear_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    [mqtt]
    host = "hub.lan"
    username = "porch"
    [camera.porch]
    source = "synthetic:"
    """
    file = tmp_path / "camera.toml"
    file.write_text(text)
    assert main(["config", "check", str(file)]) == 0
    assert "hub.lan crosses the network unencrypted" in capsys.readouterr().err
    assert main(["config", "check", str(file), "--json"]) == 0
    assert "unencrypted" in json.loads(capsys.readouterr().out)["warnings"][0]
    file.write_text(text.replace("hub.lan", "localhost"))
    assert main(["config", "check", str(file)]) == 0
    assert capsys.readouterr().err == ""
