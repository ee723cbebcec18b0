"""Writes docs/configuration.md: `python -m tools.docs.configuration`."""

from __future__ import annotations

from pathlib import Path

from camera_app.config_reference import markdown
from tools.docs.marked import write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def main() -> None:
    """Write the page and say so."""
    write(PAGE, markdown())


if __name__ == "__main__":
    main()
