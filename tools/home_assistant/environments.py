"""Environments with Home Assistant in them, each version in its own.

The package brings Home Assistant's code; what an integration needs besides stands in its manifest
and is installed by Home Assistant when it first uses it. Here it is installed beforehand, so that
a trial needs no network and is no slower the first time.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tools.processes import REPOSITORY, TrialFailed

FOLDER = REPOSITORY / ".venv-ha"
# What a trial uses; each with what it depends on. An older version does not know them all.
INTEGRATIONS = (
    "api",
    "automation",
    "config",
    "counter",
    "device_automation",
    "frontend",  # without it Home Assistant starts in recovery mode
    "mqtt",
    "onboarding",
    "binary_sensor",
    "button",
    "camera",
    "event",
    "image",
    "number",
    "select",
    "sensor",
    "switch",
    # What every start of a newer version sets up, and what its MQTT integration looks into.
    "analytics",
    "conversation",
    "ffmpeg",
    "hassio",
    "infrared",
    "radio_frequency",
    "tts",
)


@dataclass(frozen=True, slots=True)
class Edition:
    """One version to try.

    Attributes:
        name: Of its environment.
        requirement: For pip.
        pythons: Programs that it runs on, the best first.
        style: How it is to learn of the camera.
        held_back: What has changed since in a way that it does not run with.
    """

    name: str
    requirement: str
    pythons: tuple[str, ...]
    style: str
    held_back: tuple[str, ...] = ()


EDITIONS = (
    Edition(
        "old",
        "homeassistant==2024.3.*",
        ("python3.11", "python3.12"),
        "entity",
        ("josepy<2",),
    ),
    Edition("new", "homeassistant", ("python3.14", "python3.13", "python3.12"), "device"),
)


def made(edition: Edition) -> Path:
    """Return an edition's environment, made if it is not there.

    Raises:
        TrialFailed: There is no Python that it runs on, or it cannot be installed.
    """
    folder = FOLDER / edition.name
    mark = folder / "complete"
    if not mark.exists():
        _make(edition, folder)
        mark.touch()
    return folder


def _make(edition: Edition, folder: Path) -> None:
    if not (folder / "bin" / "python").exists():
        _run([_python(edition.pythons), "-m", "venv", str(folder)])
    _install(folder, [edition.requirement, *edition.held_back])
    (package,) = folder.glob("lib/python3*/site-packages/homeassistant")
    needed = sorted(_requirements(package / "components", INTEGRATIONS))
    _install(folder, ["-c", str(package / "package_constraints.txt"), *needed])


def _install(folder: Path, words: Iterable[str]) -> None:
    _run([str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", *words])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise TrialFailed(f"did not work: {' '.join(command[:6])} …")


def _python(names: Iterable[str]) -> str:
    found = next((path for name in names if (path := _found(name))), None)
    if found is None:
        raise TrialFailed(f"none of {', '.join(names)} is installed")
    return found


def _found(name: str) -> str | None:
    """Return a Python by name: on the path, or one that pyenv keeps."""
    on_path = shutil.which(name)
    if on_path is not None and _works(on_path):
        return on_path
    version = name.removeprefix("python")
    kept = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    return str(kept[-1]) if kept else None


def _works(program: str) -> bool:
    """Say whether it starts: pyenv has a name on the path for every version, chosen or not."""
    return not subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode


def _requirements(components: Path, names: Iterable[str]) -> set[str]:
    """Return what integrations and all that they depend on ask for."""
    found: set[str] = set()
    seen: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        described = components / name / "manifest.json"
        if not described.exists():
            continue
        manifest = json.loads(described.read_text())
        found.update(manifest.get("requirements", []))
        waiting += manifest.get("dependencies", [])
    return found
