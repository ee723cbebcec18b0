"""The line that installs something says how pip is called here."""

from __future__ import annotations

import importlib.util
import os
import shlex
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from camera_app.inference.installing import pip_call


@pytest.mark.parametrize(("is_ours", "rights"), [(True, ""), (False, "sudo ")])
def test_who_may_not_write_types_it_as_root(
    is_ours: bool, rights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/my venv/bin/python")
    monkeypatch.setattr(os, "access", lambda *_: is_ours)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: object())
    assert pip_call() == f"{rights}'/my venv/bin/python' -m pip"


def test_an_environment_without_pip_is_given_one_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service is installed into such a one, and every line to type failed there."""
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    monkeypatch.setattr(sys, "executable", python)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    first, second = (shlex.split(part) for part in pip_call().split(" && "))
    assert subprocess.run([*second, "--version"], capture_output=True, check=False).returncode
    for words in (first, [*second, "--version"]):
        subprocess.run(words, capture_output=True, check=True)
