"""Writes the table of docs/guide/metrics.md: `python -m tools.docs.metrics`.

The words around it are written by hand.
"""

from __future__ import annotations

from pathlib import Path

from camera_app.health.metrics import CATALOGUE, Metric

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "metrics.md"
BEGIN, END = "<!-- the table of metrics, by `make docs` -->\n", "<!-- its end -->\n"


def table() -> str:
    """Return the table of all metrics."""
    rows = [f"| {_row(metric)} |\n" for metric in CATALOGUE]
    return "".join(["| metric | kind | labels | what |\n", "| --- | --- | --- | --- |\n", *rows])


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"`{metric.name}` | {metric.kind.value} | {labels} | {metric.help}"


def page(before: str) -> str:
    """Return the page with the table as it would be made now."""
    head, _, rest = before.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{table()}\n{END}{tail}"


def main() -> None:
    """Write the page and say so."""
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE)


if __name__ == "__main__":
    main()
