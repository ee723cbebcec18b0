"""Builds the library with the C compiler that is there."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tools.edgetpu_sim.errors import SimulationError

LIBRARY = "libedgetpu.so.1"
SOURCES = Path(__file__).resolve().parent
DEFAULT_FOLDER = SOURCES.parents[1] / "build" / "edgetpu_sim"


def compiler() -> str | None:
    """Return the C compiler: what CC names, else `cc`; None where there is none."""
    return shutil.which(os.environ.get("CC", "cc"))


def build(folder: Path = DEFAULT_FOLDER) -> Path:
    """Build what is older than its sources, and return the library.

    Raises:
        SimulationError: There is no compiler, or it refuses.
    """
    if compiler() is None or shutil.which("make") is None:
        raise SimulationError(
            "the simulated Edge TPU needs a C compiler and make",
            remedy="Type: sudo apt-get install -y gcc make libc6-dev",
        )
    done = subprocess.run(  # nosec B607 # make is wherever this desk has it
        ["make", "--silent", "-C", str(SOURCES), f"OUT={folder.resolve()}", f"CC={compiler()}"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SimulationError(f"cannot be built: {done.stderr[-1000:]}", where=str(SOURCES))
    return folder / LIBRARY
