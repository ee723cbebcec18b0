"""Run folders: what a step made, and everything that is needed to make it again."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camera_app.durable import replace_bytes
from tools.workshop.errors import WorkshopError

# Whose version may change what comes out.
LIBRARIES = (
    "torch",
    "litert-torch",
    "ai-edge-quantizer",
    "ai-edge-litert",
    "numpy",
    "opencv-python-headless",
)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        WorkshopError: It cannot be written; a full disk is the usual reason.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        WorkshopError: It cannot be written; a full disk is the usual reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_bytes(path, content)
    except OSError as error:
        raise WorkshopError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="Free some space or choose another folder, then give the same command again",
        ) from error


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where the steps of one model leave what they made.

    Attributes:
        path: The folder; made when something is written.
    """

    path: Path

    def file(self, name: str, *, made_by: str) -> Path:
        """Return a file that an earlier step must have left here.

        Raises:
            WorkshopError: It is not there.
        """
        path = self.path / name
        if not path.is_file():
            raise WorkshopError(
                "is not there yet", where=str(path), remedy=f"Run the step `{made_by}` first"
            )
        return path

    def record(
        self,
        step: str,
        arguments: Mapping[str, Any],
        *,
        inputs: Mapping[str, Path] | None = None,
        figures: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write `<step>.json`: how this step was called, upon what, and what came out."""
        document = {
            "step": step,
            "arguments": {name: _plain(value) for name, value in arguments.items()},
            "inputs": {name: _hashed(path) for name, path in (inputs or {}).items()},
            "figures": _plain(figures or {}),
            "versions": versions(),
            "revision": revision(),
            "ended": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        }
        path = self.path / f"{step}.json"
        write_text(path, json.dumps(document, indent=1) + "\n")
        return path

    def read_record(self, step: str) -> dict[str, Any]:
        """Return what `record` wrote."""
        path = self.file(f"{step}.json", made_by=step)
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document


def versions() -> dict[str, str]:
    """Return the versions that matter, by distribution; those absent are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """Return the commit that the tools stand at; `+` at its end: with changes; empty: unknown."""
    command = ("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _hashed(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        return {"path": str(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)
