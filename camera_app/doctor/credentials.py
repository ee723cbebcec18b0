"""Secrets that systemd hands to the service, and that others do not find where the service does."""

from __future__ import annotations

import os
from pathlib import Path

from camera_app.config import CREDENTIALS_PLACE
from camera_app.doctor.machine import Machine

FOLDER = "run/credentials"


# For somebody who asks without root's rights.
WITHHELD_REMEDY = "Ask with it handed over in the same way"
WITHHELD_LINE = (
    "sudo systemd-run --pipe --wait -p LoadCredential=<name>:/etc/camera-app/<name> "
    "camera-app doctor --config <config>"
)


def is_handed(path: Path) -> bool:
    """Say whether a file is one that systemd hands over; its mode is systemd's business."""
    return path.parts[:1] == (CREDENTIALS_PLACE,) or path.is_relative_to(f"/{FOLDER}")


def is_withheld(path: Path) -> bool:
    """Say whether a file is handed to the service, and not to whoever asks."""
    return is_handed(path) and not os.access(path, os.R_OK)


def credentials_of(machine: Machine, unit: str) -> Path | None:
    """Return the folder of what systemd has handed to a unit, if we may look into it."""
    folder = machine.place(f"{FOLDER}/{unit}.service")
    return folder if os.access(folder, os.R_OK | os.X_OK) else None
