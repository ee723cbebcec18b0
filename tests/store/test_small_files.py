"""Small files: whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from camera_app.errors import StoreError, StoreFull
from camera_app.store.small_files import read_small, write_small


def test_what_was_written_is_read_and_replaces_what_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    assert read_small(path, 100) is None
    write_small(path, "one")
    write_small(path, "zwölf")
    assert read_small(path, 100) == "zwölf"
    assert [one.name for one in path.parent.iterdir()] == ["a.json"]


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 101])
def test_what_we_did_not_write_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"a\.json"):
        read_small(path, 100)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreError)],
)
def test_a_disk_that_takes_nothing_leaves_what_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[StoreError]
) -> None:
    path = tmp_path / "a.json"
    write_small(path, "before")

    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(kind) as caught:
        write_small(path, "after")
    assert type(caught.value) is kind
    assert path.read_text() == "before"
    assert [one.name for one in tmp_path.iterdir()] == ["a.json"]
