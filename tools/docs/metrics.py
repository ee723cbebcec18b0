"""Writes the table of docs/guide/metrics.md: `python -m tools.docs.metrics`.

The words around it are written by hand.
"""

from __future__ import annotations

from pathlib import Path

from camera_app.health.metrics import CATALOGUE, Metric
from tools.docs.marked import filled, write

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "metrics.md"


def table() -> list[str]:
    """Return the lines of the table of all metrics."""
    rows = [f"| {_row(metric)} |" for metric in CATALOGUE]
    return ["| metric | kind | labels | what |", "| --- | --- | --- | --- |", *rows]


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"`{metric.name}` | {metric.kind.value} | {labels} | {metric.help}"


def page(before: str) -> str:
    """Return the page with the table as it would be made now."""
    return filled(before, "metrics", table())


def main() -> None:
    """Write the page and say so."""
    write(PAGE, page(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
