"""Rooms with programs of this machine in them, so that nothing has to be emulated."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tools.arm64.emulation import Emulator

# This machine's programs, lent to a root that has none.
LENT = tuple((place, place) for place in ("/usr", "/bin", "/lib", "/lib64") if Path(place).exists())


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """An emulator that is not asked to emulate; only root may make its rooms."""
    made = subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False)
    if os.geteuid() != 0 or made.returncode:
        pytest.skip("only root can make a room")
    return Emulator(tmp_path_factory.mktemp("emulator"), is_registered=True)
