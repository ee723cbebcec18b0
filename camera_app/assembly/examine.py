"""What can be known to be wrong with a configuration on this machine before anything is started.

A file may be right in every key and yet name a model that is not here, or a folder that cannot be
written. Nothing is made, opened for writing or connected to.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.assembly.devices import device_plan
from camera_app.capture.address import parse_address
from camera_app.config import Config
from camera_app.errors import CameraAppError, Problem
from camera_app.logs import redact
from camera_app.media import nearest
from camera_app.models import find_models


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong.

    Attributes:
        fatal: With these it cannot run.
        others: With these it runs, and something in it does not work.
    """

    fatal: tuple[Problem, ...] = ()
    others: tuple[Problem, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return self.fatal + self.others


def examine(config: Config) -> Examination:
    """Return every problem that shows without starting anything."""
    fatal = (*_of_folder(config.data.folder), *_of_models(config), *_of_cameras(config))
    others = (*_of_files(config), *_of_sources(config))
    return Examination(fatal, others)


def _of_folder(folder: Path) -> Iterator[Problem]:
    there = nearest(folder)
    if not there.is_dir():
        yield Problem("data.folder", f"{there} is no folder", suggestion="name another one")
    elif not os.access(there, os.W_OK | os.X_OK):
        hint = f"give {there} to the user that runs this, or name another folder"
        yield Problem("data.folder", f"{there} cannot be written", suggestion=hint)


def _of_cameras(config: Config) -> Iterator[Problem]:
    if not any(camera.enabled for camera in config.camera.values()):
        yield Problem("camera", "none is enabled", suggestion="set `enabled = true` in one")


def _of_models(config: Config) -> Iterator[Problem]:
    seen: set[str] = set()
    for name, camera in config.camera.items():
        where = f"camera.{name}.model" if camera.model else "inference.model"
        if not camera.enabled or where in seen:
            continue
        seen.add(where)
        try:
            _look_for(camera.model or config.inference.model, config)
        except CameraAppError as error:
            yield problem_of(error, where)


def _look_for(names: tuple[str, ...], config: Config) -> None:
    """Find models and what may stand in for them; raise what is wrong."""
    keys = config.models.trusted_keys
    device_plan(config.inference, [find_models(names, keys)], keys)


def _of_files(config: Config) -> Iterator[Problem]:
    files: dict[str, Path | None] = {
        f"camera.{name}.password_file": camera.password_file
        for name, camera in config.camera.items()
    }
    if config.mqtt.enabled:
        for key in ("password_file", "ca_file", "client_certificate_file", "client_key_file"):
            files[f"mqtt.{key}"] = getattr(config.mqtt, key)
    for where, path in files.items():
        if path is not None and not os.access(path, os.R_OK):
            # Some write the password itself where its file is asked for.
            told = redact(f"{path} {_why(path)}")
            yield Problem(where, told, suggestion="the camera must be able to read it")


def _why(path: Path) -> str:
    """Say why a file cannot be read; one in a folder that is closed to us may be there."""
    try:
        path.stat()
    except FileNotFoundError:
        return "is not there"
    except OSError:
        pass
    return "cannot be read"


def _of_sources(config: Config) -> Iterator[Problem]:
    for name, camera in config.camera.items():
        for key, source in zip(("source", "recording.source"), camera.sources, strict=False):
            try:
                parse_address(source)
            except CameraAppError as error:
                yield Problem(f"camera.{name}.{key}", error.what, suggestion=error.remedy)


def problem_of(error: CameraAppError, where: str) -> Problem:
    """Return an error as a problem of a place in the configuration."""
    what = f"{error.where}: {error.what}" if error.where else error.what
    return Problem(where, what, suggestion=error.remedy)
