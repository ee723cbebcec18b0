"""What a command measured stands in a page, between two marks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs.marked import put_into


def test_what_stood_between_the_marks_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x: begin -->\nold\n<!-- x: end -->\nafter\n")
    put_into(page, "x", ["| new |"])
    assert page.read_text() == "before\n<!-- x: begin -->\n| new |\n<!-- x: end -->\nafter\n"


def test_a_page_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n")
    with pytest.raises(SystemExit, match="no place for the table"):
        put_into(page, "x", ["| new |"])
    assert page.read_text() == "before\n"
