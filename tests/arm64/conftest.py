"""Rooms with programs of this machine in them, so that nothing has to be emulated; an image."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.arm64.build import Image
from tools.arm64.dockerfile import HealthCheck, User
from tools.arm64.emulation import Emulator
from tools.arm64.rules import LABELS

# This machine's programs, lent to a root that has none.
LENT = tuple((place, place) for place in ("/usr", "/bin", "/lib", "/lib64") if Path(place).exists())


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """An emulator that is not asked to emulate; only root may make its rooms."""
    made = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    if os.geteuid() != 0 or made.returncode:
        pytest.skip("only root can make a room")
    return Emulator(tmp_path_factory.mktemp("emulator"), is_registered=True)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Return an image that breaks no rule."""
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/lib").mkdir()
    program(tmp_path, "python3.11")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    return Image(
        tmp_path,
        user=User(10001, 10001),
        labels={f"org.opencontainers.image.{name}": "x" for name in LABELS},
        health_check=HealthCheck(("camera-app", "health")),
        entry_point=("camera-app",),
    )


def program(root: Path, name: str, mode: int = 0o755) -> None:
    """Put a program into an image."""
    (root / "usr/bin" / name).touch()
    (root / "usr/bin" / name).chmod(mode)
