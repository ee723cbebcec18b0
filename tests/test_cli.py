"""The command line as a whole: help everywhere, errors as sentences, exit codes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from camera_app.cli import COMMANDS, main


@pytest.mark.parametrize("words", [[], *[[name] for name in COMMANDS]])
def test_help_is_everywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([*words, "--help"])
    assert exit_.value.code == 0
    assert "usage: camera-app" in capsys.readouterr().out


def test_the_overview_names_every_command_and_exit_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(f"    {name} " in told for name in COMMANDS)
    assert all(f"  {code}" in told for code in ("0 ", "1 ", "2 ", "3 ", "130 "))


@pytest.mark.parametrize("words", [[], ["no-such-command"], ["replay"]])
def test_words_that_are_off_exit_with_2(words: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2


def test_an_error_is_one_sentence_on_standard_error_not_a_stack() -> None:
    words = [sys.executable, "-m", "camera_app", "config", "check", "/absent/camera.toml"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "/absent/camera.toml" in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_reader_that_goes_away_is_no_error_with_a_stack() -> None:
    words = f"{sys.executable} -m camera_app config example | head -n 1"
    ended = subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in ended.stderr
