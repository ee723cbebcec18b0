"""A cache folder of each test's own, and packs made for a test."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from camera_app.models import ModelPack, catalogue_folder, find_pack, read_pack

MakePack = Callable[..., ModelPack]


@pytest.fixture(autouse=True)
def cache_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    home = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture
def make_pack(tmp_path: Path) -> MakePack:
    """Make a pack in a folder of its own: a catalogue manifest, edited, with other weights."""

    def make(like: str, weights: bytes, *, edit: dict[str, str] | None = None) -> ModelPack:
        model = find_pack(like)
        folder = tmp_path / "packs" / hashlib.sha256(weights).hexdigest()[:12]
        shutil.copytree(catalogue_folder() / like, folder)
        manifest = folder / "manifest.toml"
        text = manifest.read_text()
        edits = {
            model.sha256: hashlib.sha256(weights).hexdigest(),
            f"size_bytes = {model.weights.size_bytes}": f"size_bytes = {max(1, len(weights))}",
            **(edit or {}),
        }
        for old, new in edits.items():
            assert old in text
            text = text.replace(old, new)
        manifest.write_text(text)
        (folder / model.weights.file).write_bytes(weights)
        return read_pack(folder)

    return make
