"""The files of a machine that never was, below a folder."""

from __future__ import annotations

from pathlib import Path


class MadeFiles:
    """A machine whose files and programs a test writes.

    Attributes:
        root: Below which its files are.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Path:
        """Write a file below the root."""
        place = self._place(path)
        place.write_text(text)
        return place

    def link(self, path: str, target: str) -> None:
        self._place(path).symlink_to(target)

    def program(self, path: str, script: str) -> Path:
        """Put a program below the root."""
        return write_script(self._place(path), script)

    def _place(self, path: str) -> Path:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


def write_script(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
