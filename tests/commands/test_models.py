from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.models import PrivateKey, cache_folder, catalogue_folder

NAME = "ssd_slim_face_160x120_gray"


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.shared
def test_the_list_says_what_each_pack_is_and_whether_it_is_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "list", "--json"]) == 0
    records = {record["name"]: record for record in json.loads(capsys.readouterr().out)}
    assert records[NAME]["task"] == "detection"
    assert records[NAME]["input"] == "160x120"
    assert records[NAME]["ok"] is True
    assert records[NAME]["weights"].endswith(f"{NAME}.tflite")
    assert main(["models", "list"]) == 0
    assert f"{NAME} " in capsys.readouterr().out


def test_the_list_works_without_any_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    assert main(["models", "list"]) == 0
    assert "not fetched" in capsys.readouterr().out


def test_a_pack_is_shown_with_licence_and_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", NAME, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["licence"] == {
        "name": "Apache-2.0 (source repository)",
        "allows_shipping": True,
        "file": "",
    }
    assert record["decode"]["family"] == "ulfg"
    assert len(record["digest"]) == 64
    assert main(["models", "show", "mobilenet_v2_1.0_224"]) == 0
    shown = capsys.readouterr().out
    assert "(1001 in all)" in shown
    assert "google-coral/test_data:mobilenet_v2_1.0_224_quant.tflite" in shown


@pytest.mark.shared
def test_good_weights_verify(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "verify", NAME]) == 0
    assert capsys.readouterr().out.startswith(f"{NAME}: ok, ")
    assert main(["models", "verify", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    states = [record["state"] for record in records]
    assert states.count("ok") >= 18
    # Public models that nobody has fetched yet are no fault, unless they are asked for by name.
    assert set(states) == {"ok", "not fetched"}
    unfetched = records[states.index("not fetched")]["name"]
    assert main(["models", "verify", unfetched]) == 1


@pytest.mark.shared
def test_damaged_weights_do_not_verify(
    shared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    damaged = bytearray((shared / f"models/face/{NAME}.tflite").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / f"{NAME}.tflite").write_bytes(damaged)
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    assert main(["models", "verify", NAME]) == 1
    assert "same length, other content" in capsys.readouterr().out


def test_missing_weights_do_not_verify(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    assert main(["models", "verify", NAME, "--json"]) == 1
    (record,) = json.loads(capsys.readouterr().out)
    assert record["ok"] is False
    assert "the weights are missing" in record["error"]


@pytest.mark.shared
def test_weights_that_are_there_need_no_fetching(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache_folder().mkdir(parents=True)
    kept = cache_folder() / f"{NAME}.tflite"
    kept.write_bytes((shared / f"models/face/{NAME}.tflite").read_bytes())
    assert main(["models", "fetch", NAME]) == 0
    assert "ssd_slim_face" in capsys.readouterr().out


def test_weights_without_an_address_cannot_be_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "yolox_nano_coco_320"]) == 1
    assert "cannot be downloaded" in capsys.readouterr().out


def test_an_unknown_pack_is_an_error_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "show", "yolox_nano_coco_32"]) == 1
    assert "Did you mean yolox_nano_coco_320" in capsys.readouterr().err


def test_an_action_is_needed() -> None:
    with pytest.raises(SystemExit) as left:
        main(["models"])
    assert left.value.code == 2


@pytest.fixture
def own_pack(tmp_path: Path) -> Path:
    """An unsigned pack of the owner's, without weights."""
    folder = tmp_path / "mine"
    shutil.copytree(catalogue_folder() / NAME, folder)
    (folder / "manifest.sig").unlink()
    return folder


def test_an_owner_makes_a_key_signs_and_pins(
    own_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key = tmp_path / "my-key"
    assert main(["models", "show", str(own_pack)]) == 1
    assert "the pack is not signed" in capsys.readouterr().err

    assert main(["models", "keys", "new", str(key)]) == 0
    public = capsys.readouterr().out.splitlines()[0]
    assert main(["models", "sign", str(own_pack), "--key", str(key)]) == 0
    assert f"{NAME} is signed" in capsys.readouterr().out
    assert main(["models", "show", str(own_pack)]) == 1
    assert f'trusted_keys = ["{public}"]' in capsys.readouterr().err

    monkeypatch.setenv("CAMERA_APP_TRUSTED_KEYS", public)
    assert main(["models", "show", str(own_pack), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["signed_by"] == "CAMERA_APP_TRUSTED_KEYS"


def test_the_key_to_sign_with_may_come_from_the_environment(
    own_pack: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["models", "sign", str(own_pack)]) == 1
    assert "CAMERA_APP_SIGNING_KEY" in capsys.readouterr().err
    main(["models", "keys", "new", str(tmp_path / "key")])
    monkeypatch.setenv("CAMERA_APP_SIGNING_KEY", str(tmp_path / "key"))
    assert main(["models", "sign", str(own_pack), str(tmp_path), "--json"]) == 1
    *_, text = capsys.readouterr().out.partition("{")
    good, bad = json.loads("{" + text)["packs"]
    assert (good["ok"], good["error"]) == (True, "")
    assert str(tmp_path / "manifest.toml") in bad["error"]


def test_the_trusted_keys_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], signing_key: PrivateKey
) -> None:
    assert main(["models", "keys", "list", "--json"]) == 0
    keys = {key["public"]: key["name"] for key in json.loads(capsys.readouterr().out)}
    assert keys[signing_key.public] == "CAMERA_APP_TRUSTED_KEYS"
    assert "the project" in keys.values()
    main(["models", "keys", "new", str(tmp_path / "key"), "--json"])
    made = json.loads(capsys.readouterr().out)
    main(["models", "keys", "show", str(tmp_path / "key"), "--json"])
    assert json.loads(capsys.readouterr().out) == made


def test_a_pack_that_is_refused_does_not_hide_the_others(
    own_pack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAMERA_APP_MODEL_PATH")
    assert main(["models", "verify", str(own_pack), NAME]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert "the pack is not signed" in first
    assert second.startswith(f"{NAME}: ")
