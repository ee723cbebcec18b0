"""Writes pages whole, or what a command measured or made into a page, between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def write(page: Path, text: str) -> None:
    """Write a page and say so."""
    page.write_text(text, encoding="utf-8")
    print(page.relative_to(Path.cwd()) if page.is_relative_to(Path.cwd()) else page)


def put_into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands between the marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    try:
        text = filled(page.read_text(encoding="utf-8"), name, lines)
    except ValueError as error:
        raise SystemExit(f"{page} has {error}") from error
    page.write_text(text, encoding="utf-8")


def filled(text: str, name: str, lines: Sequence[str]) -> str:
    """Return a page's text with these lines between its marks.

    Raises:
        ValueError: It has none.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise ValueError(f"no place for the table: {begin} … {end}")
    return f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}"
