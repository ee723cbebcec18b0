"""What a package lists is imported when it is first asked for, and nothing else is there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from camera_app import capture


def test_a_name_that_is_not_listed_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"'camera_app.capture' has no attribute 'nobody'"):
        capture.nobody  # noqa: B018 # to ask for it is all


def test_a_module_is_imported_with_its_first_name_and_not_before() -> None:
    steps = (
        "import sys; from camera_app import capture; module = 'camera_app.capture.doorway'",
        "assert module not in sys.modules",
        "assert capture.Doorway.__module__ == module",
        "assert module in sys.modules and 'camera_app.capture.live' not in sys.modules",
    )
    subprocess.run([sys.executable, "-c", "; ".join(steps)], check=True)
