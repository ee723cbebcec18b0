"""Says what to do where a library of the workshop is not installed, before a step begins."""

from __future__ import annotations

import importlib

from tools.workshop.errors import WorkshopError


def require(*names: str) -> None:
    """Import modules that a step cannot do without.

    Raises:
        WorkshopError: One of them is not installed here.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise WorkshopError(
                f"{name} cannot be imported here: {error}",
                remedy="Run `make workshop`, then use .venv-workshop/bin/python",
            ) from error
