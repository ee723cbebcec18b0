from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from camera_app.errors import ModelError, PackRejected
from camera_app.models import (
    cache_folder,
    catalogue_folder,
    find_pack,
    is_in_catalogue,
    list_packs,
    locate_weights,
)
from tests.models.broken import BROKEN

NAME = "ssd_slim_face_160x120_gray"


@pytest.fixture
def weights(shared: Path) -> Path:
    return shared / "models/face" / f"{NAME}.tflite"


def test_every_pack_of_the_catalogue_is_readable_and_named_as_its_folder() -> None:
    packs = list_packs()
    assert len(packs) >= 18
    assert [pack.name for pack in packs] == [pack.folder.name for pack in packs]
    known = [pack.sha256 for pack in packs if pack.sha256]
    assert len(set(known)) == len(known) >= 18


def test_only_unmodified_weights_that_may_be_passed_on_have_an_address() -> None:
    for pack in list_packs():
        if pack.weights.url:
            assert pack.licence.allows_shipping
            assert not pack.card.derived
            repository, rest = pack.card.source.split(":", 1)
            path, commit = rest.rsplit("@", 1)
            if repository == "tfhub.dev":  # no repository: it has addresses of its own
                assert pack.weights.url.startswith(f"https://{repository}/{path}/{commit}?")
                continue
            assert pack.weights.url.endswith(f"/{repository}/{commit}/{path}")


@pytest.mark.shared
def test_every_shared_model_for_the_cpu_has_a_pack_with_its_hash(shared: Path) -> None:
    manifest: dict[str, Any] = tomllib.loads((shared / "models/MANIFEST.toml").read_text())
    assert manifest["model"]
    for model in manifest["model"]:
        pack = find_pack(Path(model["file"]).stem)
        assert pack.sha256 == model["sha256"]
        assert pack.weights.size_bytes == model["bytes"]
        assert pack.licence.allows_shipping == (model["licence_allows_shipping"] == "yes")
        assert locate_weights(pack) == shared / "models" / model["file"]


def test_a_pack_is_found_by_its_folder() -> None:
    assert find_pack(catalogue_folder() / NAME).name == NAME


@pytest.mark.shared
def test_a_pack_is_found_by_its_weights_whatever_they_are_called(
    tmp_path: Path, weights: Path
) -> None:
    path = tmp_path / "downloaded (1).tflite"
    path.write_bytes(weights.read_bytes())
    pack = find_pack(path)
    assert pack.name == NAME
    assert locate_weights(pack) == path


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        ModelError, match="yolox_nano_cocos_320: .*Did you mean yolox_nano_coco_320"
    ):
        find_pack("yolox_nano_cocos_320")


def test_a_name_like_no_other_is_answered_with_where_to_look() -> None:
    with pytest.raises(ModelError, match="camera-app models list"):
        find_pack("/nowhere/at/all")


@pytest.mark.shared
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_by_name(shared: Path, name: str) -> None:
    path = shared / "models/broken" / f"{name}.tflite"
    with pytest.raises(PackRejected) as refused:
        find_pack(path)
    assert str(path) in str(refused.value)


@pytest.mark.shared
def test_all_broken_files_have_a_case(shared: Path) -> None:
    assert {path.stem for path in (shared / "models/broken").iterdir()} == set(BROKEN)


@pytest.mark.shared
def test_weights_are_found_by_hash_in_any_named_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Path
) -> None:
    empty, deep = tmp_path / "empty", tmp_path / "full" / "deep"
    empty.mkdir()
    deep.mkdir(parents=True)
    (deep / "decoy.tflite").write_bytes(bytes(weights.stat().st_size))
    (deep / "other name.bin").write_bytes(weights.read_bytes())
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", f"{empty}:{tmp_path / 'full'}:/nowhere")
    assert locate_weights(find_pack(NAME)) == deep / "other name.bin"


@pytest.mark.shared
def test_weights_are_found_in_the_cache_folder(
    monkeypatch: pytest.MonkeyPatch, cache_home: Path, weights: Path
) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    assert cache_folder() == cache_home / "camera-app" / "models"
    cache_folder().mkdir(parents=True)
    kept = cache_folder() / "kept.tflite"
    kept.write_bytes(weights.read_bytes())
    assert locate_weights(find_pack(NAME)) == kept


def test_missing_weights_are_described_with_a_way_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    pack = find_pack(NAME)
    with pytest.raises(ModelError) as missing:
        locate_weights(pack)
    message = str(missing.value)
    assert not isinstance(missing.value, PackRejected)
    for word in (f"{NAME}.tflite", pack.sha256, "CAMERA_APP_MODEL_PATH", str(cache_folder())):
        assert word in message
    assert f"camera-app models fetch {NAME}" in message


@pytest.mark.shared
def test_damaged_weights_under_the_right_name_are_refused_not_overlooked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, weights: Path
) -> None:
    damaged = bytearray(weights.read_bytes())
    damaged[1000] ^= 0x80
    path = tmp_path / weights.name
    path.write_bytes(damaged)
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    with pytest.raises(PackRejected, match="the file is damaged"):
        locate_weights(find_pack(NAME))
    with pytest.raises(PackRejected, match="the file is damaged"):
        find_pack(path)


def test_the_catalogue_knows_its_hashes() -> None:
    assert is_in_catalogue(find_pack(NAME).sha256)
    assert not is_in_catalogue("0" * 64)
