from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from camera_app.errors import PackRejected
from camera_app.models import ModelPack, find_pack, sha256_of, verify_weights
from camera_app.models.inspect import structural_fault

GOOD = (0x20).to_bytes(4, "little") + b"TFL3" + bytes(100)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (GOOD, ""),
        (b"", "empty"),
        (GOOD[:12], "12 bytes"),
        (GOOD.replace(b"TFL3", b"XXXX"), "identifier is b'XXXX'"),
        ((10**6).to_bytes(4, "little") + GOOD[4:], "root table is at byte 1000000 of 108"),
        ((2).to_bytes(4, "little") + GOOD[4:], "root table is at byte 2"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    ],
)
def test_what_a_file_is_can_be_told_from_its_head(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    fault = structural_fault(path)
    assert said in fault if said else fault == ""


@pytest.fixture
def pack() -> ModelPack:
    return find_pack("ssd_slim_face_160x120_gray")


@pytest.fixture
def content(shared: Path) -> bytes:
    return (shared / "models/face/ssd_slim_face_160x120_gray.tflite").read_bytes()


@pytest.mark.shared
@pytest.mark.parametrize("place", [0, 5, 200_000, -1])
def test_one_flipped_byte_is_refused_with_both_hashes(
    tmp_path: Path, pack: ModelPack, content: bytes, place: int
) -> None:
    damaged = bytearray(content)
    damaged[place] ^= 0x01
    path = tmp_path / "flipped.tflite"
    path.write_bytes(damaged)
    with pytest.raises(PackRejected) as refused:
        verify_weights(pack, path)
    message = str(refused.value)
    assert str(path) in message
    assert pack.sha256 in message
    assert hashlib.sha256(damaged).hexdigest() in message


@pytest.mark.shared
def test_weights_cut_short_are_refused_and_said_to_be_short(
    tmp_path: Path, pack: ModelPack, content: bytes
) -> None:
    path = tmp_path / "short.tflite"
    path.write_bytes(content[:-1])
    with pytest.raises(PackRejected, match="cut short, or is another one.* of 386120 bytes"):
        verify_weights(pack, path)


@pytest.mark.shared
def test_the_right_weights_pass(pack: ModelPack, shared: Path) -> None:
    path = shared / "models/face/ssd_slim_face_160x120_gray.tflite"
    verify_weights(pack, path)
    assert sha256_of(path) == pack.sha256


def test_a_folder_in_place_of_weights_is_refused(pack: ModelPack, tmp_path: Path) -> None:
    with pytest.raises(PackRejected, match="cannot be read: Is a directory"):
        verify_weights(pack, tmp_path)
