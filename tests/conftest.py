"""What every test gets: shared data where it lies, a clean environment, no thread left behind.

And packs made for a test, with a cache folder of its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from camera_app.models import (
    TRUSTED_VARIABLE,
    ModelPack,
    PrivateKey,
    catalogue_folder,
    find_pack,
    read_pack,
)

MakePack = Callable[..., ModelPack]
# Signs the packs that tests make; trusted in every test.
TEST_KEY = PrivateKey(bytes(32))
REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("CAMERA_APP_SHARED", REPOSITORY.parent / "shared"))
# No property is a figure: an example that a busy machine puts aside for a while has not failed.
hypothesis.settings.register_profile(
    "any_machine",
    hypothesis.settings(),
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any_machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, and say so, what needs shared data where there is none; CI must have it."""
    if (SHARED / "models").is_dir():
        return
    if os.environ.get("CI") == "true":
        raise pytest.UsageError(f"CI needs the shared test data, and {SHARED} has none")
    skip = pytest.mark.skip(reason=f"needs the shared test data, {SHARED} is absent")
    for item in items:
        if "shared" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def shared() -> Path:
    """The folder of shared models, clips, images and tracks; mark the test `shared` as well."""
    return SHARED


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("CAMERA_APP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(SHARED / "models"))
    monkeypatch.setenv(TRUSTED_VARIABLE, TEST_KEY.public)


@pytest.fixture(autouse=True)
def _no_thread_outlives_its_test() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [t for t in threading.enumerate() if t not in before and t.name.startswith("camera-app")]
    for thread in left:
        thread.join(2.0)
    alive = [thread.name for thread in left if thread.is_alive()]
    assert not alive, f"threads outlive the test: {alive}"


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
        sign_as_it_stands(folder)
        return read_pack(folder)

    return make


def sign_as_it_stands(folder: Path) -> None:
    """Sign a manifest whatever it says: a test may want a signed one that is wrong."""
    manifest = (folder / "manifest.toml").read_bytes()
    (folder / "manifest.sig").write_bytes(TEST_KEY.sign(manifest))


@pytest.fixture
def signing_key() -> PrivateKey:
    """The key whose signatures count in every test."""
    return TEST_KEY


@pytest.fixture
def strangers_pack(tmp_path: Path) -> tuple[Path, str]:
    """A pack signed with a key that nobody trusts yet, without weights; its folder and the key."""
    stranger = PrivateKey(bytes([7]) * 32)
    folder = tmp_path / "packs" / "stranger"
    shutil.copytree(catalogue_folder() / "yolox_nano_person_256", folder)
    manifest = (folder / "manifest.toml").read_bytes()
    (folder / "manifest.sig").write_bytes(stranger.sign(manifest))
    return folder, stranger.public


@pytest.fixture
def sign_manifest() -> Callable[[Path], None]:
    """Sign the manifest in a folder, whatever it says."""
    return sign_as_it_stands
