"""Writes docs/configuration.md: `python -m tools.docs.configuration`."""

from __future__ import annotations

from pathlib import Path

from camera_app.config_reference import markdown

PAGE = Path(__file__).resolve().parents[2] / "docs" / "configuration.md"


def main() -> None:
    """Write the page and say so."""
    PAGE.write_text(markdown(), encoding="utf-8")
    print(PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE)


if __name__ == "__main__":
    main()
