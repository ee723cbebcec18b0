"""What a replay is asked to do."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.config import CameraSettings
from camera_app.events import canonical_json
from camera_app.models import ModelSet


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """One replay.

    Attributes:
        clips: The clips, played one after the other; each is a camera of its own, named after
            its file.
        settings: How each clip is watched; the source in it is not used.
        models: Which networks look.
        out: Folder for what is written; None writes nothing.
        seats: Networks that run at a time; 0 chooses by the machine. Changes no result.
        is_annotated: Write a film with what was seen drawn in.
        has_tracks: Write the tracks in MOTChallenge form.
    """

    clips: tuple[Path, ...]
    settings: CameraSettings
    models: ModelSet
    out: Path | None = None
    seats: int = 0
    is_annotated: bool = False
    has_tracks: bool = False


def camera_names(clips: Sequence[Path]) -> list[str]:
    """Return a camera name for each clip: its file's stem, made to fit, numbered if it repeats."""
    names: list[str] = []
    for clip in clips:
        stem = re.sub(r"[^a-z0-9_-]+", "_", clip.stem.lower()).strip("_-")[:28] or "clip"
        repeats = sum(name == stem or name.startswith(f"{stem}-") for name in names)
        names.append(f"{stem}-{repeats + 1}" if repeats else stem)
    return names


def settings_digest(settings: CameraSettings) -> str:
    """Return the sha256 of everything in the settings that can change an event."""
    plain = settings.model_dump(mode="json", exclude={"source", "password_file", "enabled"})
    return hashlib.sha256(canonical_json(plain).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
