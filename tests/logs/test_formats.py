"""A line for a person, and one for a program."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from camera_app.logs import about_camera, keep_secret
from camera_app.logs.formats import HumanFormat, JsonFormat


def record(template: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("camera_app.x", level, __file__, 1, template, arguments, None)


def parsed(line: str) -> dict[str, Any]:
    assert "\n" not in line
    told = json.loads(line)
    assert isinstance(told, dict)
    return told


def failed(text: str) -> logging.LogRecord:
    made = record("it failed")
    try:
        raise OSError(text)
    except OSError:
        made.exc_info = sys.exc_info()
    return made


def test_a_json_line_has_its_facts_as_fields() -> None:
    made = record("camera %s: %s", "front", "stalled\nor so")
    made.created = 1_700_000_000.25
    told = parsed(JsonFormat().format(made))
    assert told == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "logger": "camera_app.x",
        "thread": "MainThread",
        "message": "camera front: stalled\nor so",
        "camera": "front",
    }


def test_a_thread_that_works_for_a_camera_says_so() -> None:
    with about_camera("back"):
        assert parsed(JsonFormat().format(record("it failed")))["camera"] == "back"
        named = parsed(JsonFormat().format(record("camera %s delivers", "front")))
        assert named["camera"] == "front"
    assert "camera" not in parsed(JsonFormat().format(record("it failed")))


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3), (50, 2)],
)
def test_the_journal_is_told_how_important_a_line_is(level: int, number: int) -> None:
    line = JsonFormat(has_priority=True).format(record("x", level=level))
    assert line.startswith(f"<{number}>{{")


def test_a_secret_in_argument_error_and_stack_is_in_neither_form() -> None:
    keep_secret('form"at-secret-1')
    made = failed('rtsp://u:hunter2@cam form"at-secret-1')
    made.msg, made.args = "%s", ('form"at-secret-1 rtsp://u:hunter2@cam',)
    for form in (HumanFormat(), JsonFormat()):
        line = form.format(made)
        assert "OSError" in line
        assert "hunter2" not in line
        assert "at-secret-1" not in line


def test_a_stack_is_one_field() -> None:
    error = parsed(JsonFormat().format(failed("no")))["error"]
    assert error.startswith("Traceback")
    assert error.endswith("OSError: no")


def test_only_a_terminal_gets_colour_and_nobody_gets_a_strangers_commands() -> None:
    made = record("camera %s", "\x1b]0;owned\x07\r")
    assert HumanFormat().format(made).endswith("camera �]0;owned��")
    coloured = HumanFormat(has_colour=True).format(made)
    assert coloured.startswith("\033[33m")
    assert coloured.endswith("\033[0m")
    assert "\x1b]0" not in coloured
