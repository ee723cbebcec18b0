"""What to type so that a library is installed into the environment that runs this."""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys


def pip_call() -> str:
    """Return what stands before pip's own words, as a shell takes it.

    The environment of an installed service has no pip, and belongs to root: what it holds comes
    from a lock, and nobody else changes it.
    """
    rights = "" if os.access(sys.prefix, os.W_OK) else "sudo "
    python = f"{rights}{shlex.quote(sys.executable)}"
    if importlib.util.find_spec("pip") is not None:
        return f"{python} -m pip"
    return f"{python} -m ensurepip && {python} -m pip"
