"""Puts what a command measured into a page, between two marks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def put_into(page: Path, name: str, lines: Sequence[str]) -> None:
    """Replace what stands between the marks `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    _, mark, after = rest.partition(end)
    if not mark:
        raise SystemExit(f"{page} has no place for the table: {begin} … {end}")
    page.write_text(f"{before}{begin}\n" + "\n".join(lines) + f"\n{end}{after}", encoding="utf-8")
