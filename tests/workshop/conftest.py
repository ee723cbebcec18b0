"""Which of these tests can run here: those that need the workshop's libraries say so and wait."""

from __future__ import annotations

import importlib.util

import pytest

IS_WORKSHOP = importlib.util.find_spec("torch") is not None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the workshop outside of it."""
    if IS_WORKSHOP:
        return
    skip = pytest.mark.skip(reason="needs the model workshop: make workshop-test")
    for item in items:
        if item.get_closest_marker("workshop"):
            item.add_marker(skip)
