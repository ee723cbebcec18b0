"""What an error says to an owner."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from camera_app import errors
from camera_app.errors import CameraAppError, ConfigError, NeedsRestart, Problem, SourceLost

RAISED = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, CameraAppError) and error not in (ConfigError, NeedsRestart)
]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SourceLost("no frame for 5 s"), "no frame for 5 s"),
        (SourceLost("no frame for 5 s", where="front"), "front: no frame for 5 s"),
        (
            SourceLost("no frame for 5 s", where="front", remedy="Check the cable."),
            "front: no frame for 5 s. Check the cable.",
        ),
    ],
)
def test_an_error_reads_as_where_what_and_what_to_do(error: CameraAppError, text: str) -> None:
    assert str(error) == text


@pytest.mark.parametrize("kind", RAISED)
def test_every_error_carries_its_facts_as_attributes(kind: type[CameraAppError]) -> None:
    error = kind("it broke", where="here", remedy="Mend it.")

    assert (error.what, error.where, error.remedy) == ("it broke", "here", "Mend it.")
    assert inspect.getdoc(kind)


@pytest.mark.parametrize("kind", [kind.__name__ for kind in RAISED])
def test_every_error_is_raised_or_heeded_somewhere(kind: str) -> None:
    package = Path(errors.__file__).parent
    others = (path for path in package.rglob("*.py") if path.name != "errors.py")
    assert any(re.search(rf"\b{kind}\b", path.read_text(encoding="utf-8")) for path in others)


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("mqtt.port", "is missing"), "mqtt.port: is missing"),
        (Problem("mqtt.port", "is missing", 3), "line 3: mqtt.port: is missing"),
        (
            Problem("mqtt.prot", "no such key", 3, "did you mean 'port'?"),
            "line 3: mqtt.prot: no such key (did you mean 'port'?)",
        ),
    ],
)
def test_a_problem_reads_as_line_place_and_suggestion(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_configuration_error_lists_every_problem() -> None:
    error = ConfigError([Problem("a", "x", 1), Problem("b", "y", 2)], where="camera.toml")

    assert str(error) == (
        "camera.toml: 2 problems in the configuration\n  line 1: a: x\n  line 2: b: y"
    )
    assert isinstance(error, ValueError)


def test_one_problem_is_not_called_problems() -> None:
    assert "1 problem in" in str(ConfigError([Problem("a", "x")]))
