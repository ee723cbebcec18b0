"""The locks: one version of each package, with hashes, the same in every lock."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
LOCKS = ("build", "run", "demo", "dev")


def pinned(lock: str) -> dict[str, str]:
    """Return name and version of every package in a lock; a name twice is an error."""
    lines = re.findall(
        r"^([a-z0-9-]+)==(\S+)", (REQUIREMENTS / f"{lock}.txt").read_text(), flags=re.MULTILINE
    )
    assert len(lines) == len({name for name, _ in lines}), "two versions of one package"
    return dict(lines)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[a-z0-9])", (REQUIREMENTS / f"{lock}.txt").read_text(), flags=re.M)

    assert len(pinned(lock)) == len(entries) - 1
    assert [entry.split("==")[0] for entry in entries[1:] if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", ["build", "run", "demo"])
def test_a_narrower_lock_repeats_the_versions_of_the_widest(lock: str) -> None:
    assert pinned(lock).items() <= pinned("dev").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    text = (REQUIREMENTS / f"{lock}.txt").read_text()

    assert re.findall(r"://|index-url|find-links|(?<![\w./-])/\w+/", text) == []


def test_what_decides_the_results_is_locked_for_the_service() -> None:
    assert {"numpy", "av", "opencv-python-headless", "ai-edge-litert"} <= pinned("run").keys()
