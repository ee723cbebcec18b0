"""Fetches what pip installs in the emulated root: with this machine's pip, for the other processor.

The root has no network settings of this machine. Its own pip takes the files from here, and checks
each against the hash in the lock.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.arm64.errors import ProofFailed

_PYTHON = "311"  # that of Debian 12
_GLIBC_MINORS = range(36, 16, -1)  # Debian 12 has 2.36; the newest first, as its pip chooses
_PLATFORMS = (
    *(f"manylinux_2_{minor}_aarch64" for minor in _GLIBC_MINORS),
    "manylinux2014_aarch64",
)


def fetch_wheels(locks: Iterable[Path], folder: Path) -> None:
    """Put every file of these locks into a folder; what is there already is not fetched again.

    Raises:
        ProofFailed: One cannot be had, or its hash is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    words = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]
    words += ["--python-version", _PYTHON]
    words += [word for platform in _PLATFORMS for word in ("--platform", platform)]
    words += ["--find-links", str(folder), "--dest", str(folder)]
    for lock in locks:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *words, "--requirement", str(lock)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ProofFailed(f"{lock.name}: {done.stderr[-2000:]}")
