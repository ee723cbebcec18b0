"""What of the repository a build may see."""

from __future__ import annotations

import pytest

from tools.arm64.__main__ import REPOSITORY
from tools.arm64.context import is_sent, rules_of

OURS = rules_of((REPOSITORY / ".dockerignore").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("rules", "path", "sent"),
    [
        ("", "a/b.py", True),
        ("a", "a/b.py", False),
        ("/a/", "a/b.py", False),
        ("b.py", "a/b.py", True),  # without stars only at the top
        ("**/b.py", "a/b.py", False),
        ("**/b.py", "b.py", False),
        ("*.py", "a/b.py", True),  # a star does not cross a slash
        ("a/*.py", "a/b.py", False),
        ("a/?.py", "a/b.py", False),
        ("*\n!a", "a/b.py", True),
        ("!a\n*", "a/b.py", False),  # the last rule that fits decides
        ("*\n!a\na/b.*", "a/b.py", False),
        ("# a\n\n", "a/b.py", True),
        ("a.b", "axb", True),  # a dot is a dot
    ],
)
def test_the_last_rule_that_fits_decides(rules: str, path: str, sent: bool) -> None:
    assert is_sent(path, rules_of(rules)) is sent


@pytest.mark.parametrize(
    "path",
    [
        "camera_app/app.py",
        "models/person_small/person_small.tflite",
        "requirements/run.txt",
        "pyproject.toml",
        "README.md",
    ],
)
def test_the_build_sees_what_it_needs(path: str) -> None:
    assert (REPOSITORY / path).exists()
    assert is_sent(path, OURS)


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        "camera.toml",
        "docker/secrets/mqtt-password",
        "docker/mosquitto/passwords",
        "camera_app/__pycache__/app.cpython-311.pyc",
        "requirements/dev.txt",
        "tests/conftest.py",
        "build/arm64/report.json",
    ],
)
def test_the_build_sees_nothing_of_an_owner_and_nothing_it_does_not_need(path: str) -> None:
    assert not is_sent(path, OURS)
