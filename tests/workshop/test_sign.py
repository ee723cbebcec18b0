from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from camera_app.models import catalogue_folder, new_private_key, read_pack
from tools.workshop.__main__ import main

NAME = "ssd_slim_face_160x120_gray"


@pytest.fixture
def unsigned(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(catalogue_folder() / NAME, folder)
    (folder / "manifest.sig").unlink()
    return folder


def test_the_good_packs_of_a_list_are_signed_and_the_bad_ones_named(
    unsigned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = new_private_key(tmp_path / "key")
    words = ["sign", str(tmp_path / "none"), str(unsigned), "--key", str(tmp_path / "key")]
    assert main(words) == 1
    told = capsys.readouterr().out
    assert f"{tmp_path}/none/manifest.toml: cannot be read" in told
    assert f"{unsigned}: {NAME} is signed" in told
    assert read_pack(unsigned, [key.public]).name == NAME
    assert main(["sign", str(unsigned), "--key", str(tmp_path / "key")]) == 0


def test_without_a_key_nothing_is_signed(
    unsigned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sign", str(unsigned)]) == 2
    assert "CAMERA_APP_SIGNING_KEY" in capsys.readouterr().err
    assert not (unsigned / "manifest.sig").exists()
