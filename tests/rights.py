"""A user who may not look everywhere: tests run as root here, and root may."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65534


@contextmanager
def without_rights() -> Iterator[None]:
    """Do something as nobody, if this is root; anybody else has no rights anyway."""
    if os.geteuid() != 0:
        yield
        return
    # The real one too, which `os.access` goes by; the saved one is the way back.
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
