"""Packages that import what they list when it is first asked for.

A child imports the packages of what it uses, too, and starts in a fraction of the time without what
only its parent needs.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping


def finder(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return what is to be the `__getattr__` of a package.

    Args:
        package: Its name.
        homes: The module of the package in which each name is at home.
    """

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)

    return find
