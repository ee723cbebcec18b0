"""What is tried in a fresh Debian comes from where this machine's own packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.debian import DEBIAN, SECURITY, NoMirror, mirror


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the program that stands for apt-get here."""
    program = tmp_path / "apt-get"
    program.write_text(
        "#!/bin/sh\n"
        'test "$1" = indextargets || exit 1\n'
        'echo "Other http://elsewhere.example/other/"\n'
        'echo "Debian http://mirror.example/debian/"\n'
        'echo "Debian http://second.example/debian/"\n'
        'echo "Debian-Security http://mirror.example/security/"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return program


def test_the_first_archive_of_that_name_is_taken(apt: Path) -> None:
    assert mirror(DEBIAN) == "http://mirror.example/debian"
    assert mirror(SECURITY) == "http://mirror.example/security"


def test_where_there_is_none_that_is_said(apt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoMirror, match="calls itself Raspbian"):
        mirror("Raspbian")
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NoMirror, match="no apt-get"):
        mirror()
