"""A mosquitto of this machine, with a password, for the emulated camera to deliver to."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from tools.processes import Broker

USER = "camera"
PASSWORD = secrets.token_hex()


def broker_with_password(folder: Path) -> Broker:
    """Return one that lets only our user in, not started yet.

    Args:
        folder: For its files; is made.
    """
    broker = Broker(folder, "password_file {folder}/passwords\n")
    (folder / "passwords").touch(mode=0o600)
    words = ["mosquitto_passwd", "-b", str(folder / "passwords"), USER, PASSWORD]
    subprocess.run(words, check=True)
    return broker
