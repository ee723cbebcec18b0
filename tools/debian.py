"""Where this machine gets its Debian packages from: what is tried in a fresh Debian takes the same.

apt is asked, so that a mirror of the owner's own is used here as well.
"""

from __future__ import annotations

import shutil
import subprocess

DEBIAN, SECURITY = "Debian", "Debian-Security"


class NoMirror(Exception):
    """apt knows no archive of that name."""


def mirror(label: str = DEBIAN) -> str:
    """Return the address of an archive that apt uses.

    Args:
        label: What the archive calls itself: `DEBIAN` or `SECURITY`.

    Raises:
        NoMirror: There is no apt here, or it knows none.
    """
    apt = shutil.which("apt-get")
    if apt is None:
        raise NoMirror("there is no apt-get on this machine")
    words = [apt, "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    for line in told.splitlines():
        found, _, address = line.partition(" ")
        if found == label and address:
            return address.rstrip("/")
    raise NoMirror(f"apt has no archive that calls itself {label}")
