from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from camera_app.errors import ModelError, PackRejected
from camera_app.models import (
    TRUSTED_VARIABLE,
    ModelPack,
    PrivateKey,
    TrustedKey,
    catalogue_folder,
    find_pack,
    locate_weights,
    new_private_key,
    read_pack,
    read_private_key,
    read_side_file,
    sign_pack,
    signature,
    trusted_keys,
)

WEIGHTS = (0x20).to_bytes(4, "little") + b"TFL3" + bytes(range(256)) * 8
TWIN = (0x20).to_bytes(4, "little") + b"TFL3" + bytes(range(255, -1, -1)) * 8

MANIFEST = """# A pack with one of everything.
schema = 1
name = "everything"
task = "detection"
labels = "labels.txt"

[weights]
file = "everything.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size_bytes = 1

[edgetpu]
file = "everything_edgetpu.tflite"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
size_bytes = 1

[input]
width = 96
height = 64

[decode]
family = "ssd_anchors"
anchors = "anchors.csv"

[tensors]
inputs = [{ name = "in", shape = [1, 64, 96, 3], dtype = "uint8" }]
outputs = [
  { name = "boxes", shape = [1, 2, 4], dtype = "uint8" },
  { name = "scores", shape = [1, 2, 3], dtype = "uint8" },
]

[licence]
name = "Apache-2.0"
allows_shipping = true
file = "LICENCE.txt"

[known_answers]
file = "known_answers.json"

[card]
summary = "Finds everything."
source = "nowhere"
"""
ANSWERS = (
    '{"schema": 1, "made_with": "a test", "answers": [{"input": "noise", "outputs": '
    '[{"name": "boxes", "step": 1, "limit_steps": 2, "indexes": [0, 7], "values": [3, 250]}]}]}'
)
SIDE_FILES = {
    "labels.txt": "person\ncat\n",
    "anchors.csv": "0.5,0.25,1,2\n0.1,0.2,0.3,0.4\n",
    "LICENCE.txt": "Do as you like, with care.\n",
    "CARD.md": "# Everything\n\nIt finds all there is.\n",
    "known_answers.json": ANSWERS,
    "pictures/failure.jpg": "no picture, really",
}
WEIGHT_FILES = {"everything.tflite": WEIGHTS, "everything_edgetpu.tflite": TWIN}
ALL_FILES = ("manifest.toml", "manifest.sig", *SIDE_FILES, *WEIGHT_FILES)
# Shares of a file's length at which a bit is flipped, and the bit.
PLACES = [(0.0, 0), (0.0, 5), (0.25, 3), (0.5, 0), (0.5, 7), (0.75, 1), (1.0, 0), (1.0, 4)]


@pytest.fixture
def folder(tmp_path: Path, signing_key: PrivateKey) -> Path:
    """A signed pack with one of everything."""
    folder = tmp_path / "everything"
    (folder / "pictures").mkdir(parents=True)
    (folder / "manifest.toml").write_text(MANIFEST)
    for name, text in SIDE_FILES.items():
        (folder / name).write_text(text)
    for name, content in WEIGHT_FILES.items():
        (folder / name).write_bytes(content)
    sign_pack(folder, signing_key)
    return folder


def use(folder: Path) -> ModelPack:
    """Do with a pack what every use of it does: read it, and locate its weights and its twin's."""
    pack = find_pack(folder)
    locate_weights(pack)
    assert pack.twin is not None
    locate_weights(pack.twin)
    return pack


def flip(path: Path, share: float, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[round(share * (len(content) - 1))] ^= 1 << bit
    path.write_bytes(content)


def test_a_signed_pack_is_used(folder: Path) -> None:
    pack = use(folder)
    assert pack.labels == ("person", "cat")
    assert set(pack.files) == set(SIDE_FILES)
    assert pack.weights.size_bytes == len(WEIGHTS)
    assert pack.known_answers is not None
    assert pack.signed_by == TRUSTED_VARIABLE
    assert read_side_file(pack, "CARD.md") == SIDE_FILES["CARD.md"].encode()


@pytest.mark.parametrize(("share", "bit"), PLACES)
@pytest.mark.parametrize("name", ALL_FILES)
def test_one_flipped_bit_anywhere_is_refused_with_the_file_named(
    folder: Path, name: str, share: float, bit: int
) -> None:
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.*")} == set(ALL_FILES)
    flip(folder / name, share, bit)
    with pytest.raises(PackRejected) as refused:
        use(folder)
    assert str(folder / name) in str(refused.value)


def test_every_bit_of_a_signature_file_counts(folder: Path) -> None:
    """Base64 has bits that mean nothing at the end of a word; not here."""
    path = folder / "manifest.sig"
    good = path.read_bytes()
    for place in range(len(good)):
        for bit in range(8):
            damaged = bytearray(good)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            with pytest.raises(PackRejected, match=r"manifest\.sig"):
                read_pack(folder)


@pytest.mark.parametrize("change", [b"", b"\n", b"more\n"])
def test_a_signature_file_has_one_form(folder: Path, change: bytes) -> None:
    path = folder / "manifest.sig"
    path.write_bytes(path.read_bytes() + change if change else path.read_bytes().rstrip())
    with pytest.raises(PackRejected, match="no signature, or a damaged one"):
        read_pack(folder)


@pytest.mark.parametrize("name", [*SIDE_FILES, "manifest.sig"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(PackRejected) as refused:
        read_pack(folder)
    assert str(folder / name) in str(refused.value)


def test_a_file_that_changes_after_reading_is_refused(folder: Path) -> None:
    pack = read_pack(folder)
    (folder / "CARD.md").write_text("another")
    with pytest.raises(PackRejected, match=r"CARD\.md: this file was changed since"):
        read_side_file(pack, "CARD.md")
    with pytest.raises(PackRejected, match="does not list it"):
        read_side_file(pack, "notes.txt")


def test_an_unsigned_pack_is_refused_with_how_to_sign_it(folder: Path) -> None:
    (folder / "manifest.sig").unlink()
    with pytest.raises(PackRejected) as refused:
        read_pack(folder)
    message = str(refused.value)
    assert "the pack is not signed" in message
    assert f"camera-app models sign {folder} --key FILE" in message


def test_a_stranger_s_pack_is_refused_with_how_to_pin_the_key(folder: Path) -> None:
    stranger = PrivateKey(bytes([7]) * 32)
    manifest = (folder / "manifest.toml").read_bytes()
    (folder / "manifest.sig").write_bytes(stranger.sign(manifest))
    with pytest.raises(PackRejected) as refused:
        read_pack(folder)
    assert f'trusted_keys = ["{stranger.public}"]' in str(refused.value)
    assert read_pack(folder, trusted=[stranger.public]).signed_by == "the configuration"


def test_a_signature_of_another_manifest_is_refused(folder: Path, signing_key: PrivateKey) -> None:
    (folder / "manifest.sig").write_bytes(signing_key.sign(b"schema = 1"))
    with pytest.raises(PackRejected, match=r"manifest\.toml: the signature .* is not of"):
        read_pack(folder)


def test_a_retired_key_counts_no_longer_even_if_it_is_pinned(
    folder: Path, signing_key: PrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = TrustedKey(signing_key.public, "the project", "lost with a laptop")
    monkeypatch.setattr(signature, "project_keys", lambda: {old.public: old})
    with pytest.raises(PackRejected, match="key of the project that counts no longer: lost with"):
        read_pack(folder, trusted=[signing_key.public])


def test_the_catalogue_is_signed_by_the_project_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRUSTED_VARIABLE)
    assert read_pack(catalogue_folder() / "vww_96").signed_by == "the project"


def test_keys_of_the_environment_may_be_several(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (PrivateKey(bytes([number]) * 32).public for number in (1, 2))
    monkeypatch.setenv(TRUSTED_VARIABLE, f"{first}, {second}")
    assert {first, second} < set(trusted_keys())


@pytest.mark.parametrize("key", ["ed25519:abc", "rsa:" + "A" * 43 + "=", "A" * 43 + "="])
def test_a_pin_that_is_no_key_is_an_error_that_shows_it(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ModelError, match=r"models\.trusted_keys: .* is no public key") as refused:
        trusted_keys([key])
    assert key in str(refused.value)
    monkeypatch.setenv(TRUSTED_VARIABLE, key)
    with pytest.raises(ModelError, match=TRUSTED_VARIABLE):
        trusted_keys()


def test_a_new_key_is_for_its_owner_s_eyes_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "mine"
    key = new_private_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_private_key(path).public == key.public
    with pytest.raises(ModelError, match="never overwritten"):
        new_private_key(path)
    assert read_private_key(path).public == key.public


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine"
    new_private_key(path)
    path.chmod(0o640)
    with pytest.raises(ModelError, match=f"chmod 600 {path}"):
        read_private_key(path)


@pytest.mark.parametrize("text", ["", "ed25519:AAAA", "ed25519-private:AAAA", "\N{SNOWMAN}"])
def test_what_is_no_private_key_is_refused_without_showing_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ModelError, match="private key") as refused:
        read_private_key(path)
    assert not text or text not in str(refused.value)


Edit = Callable[[str], str]


def test_signing_again_changes_nothing(folder: Path, signing_key: PrivateKey) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    sign_pack(folder, signing_key)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_signing_takes_up_what_was_changed_and_keeps_what_was_written(
    folder: Path, signing_key: PrivateKey
) -> None:
    (folder / "labels.txt").write_text("dog\nbird\n")
    (folder / "everything.tflite").write_bytes(WEIGHTS + b"\0")
    (folder / "pictures/failure.jpg").unlink()
    (folder / "pictures/other.jpg").write_text("other")
    (folder / ".notes").write_text("hidden files are no part of a pack")
    pack = sign_pack(folder, signing_key)
    assert pack.labels == ("dog", "bird")
    assert pack.weights.size_bytes == len(WEIGHTS) + 1
    assert set(pack.files) == {*SIDE_FILES, "pictures/other.jpg"} - {"pictures/failure.jpg"}
    assert (folder / "manifest.toml").read_text().startswith("# A pack with one of everything.\n")
    use(folder)


def test_hashes_of_weights_that_lie_elsewhere_are_left_alone(
    folder: Path, signing_key: PrivateKey
) -> None:
    before = read_pack(folder)
    (folder / "everything.tflite").unlink()
    assert sign_pack(folder, signing_key).sha256 == before.sha256


def edit(folder: Path, change: Edit) -> bytes:
    path = folder / "manifest.toml"
    path.write_text(change(path.read_text()))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("width = 96", "width = 0"), "input.width"),
        (lambda text: text.replace("schema = 1", "schema ="), "not TOML"),
        (
            lambda text: text.replace("[files]", "[ files ]"),
            "cannot be written into this manifest",
        ),
    ],
)
def test_a_wrong_manifest_is_not_signed_and_stays_as_it_was(
    folder: Path, signing_key: PrivateKey, change: Edit, said: str
) -> None:
    before = edit(folder, change)
    with pytest.raises(PackRejected, match=said):
        sign_pack(folder, signing_key)
    assert (folder / "manifest.toml").read_bytes() == before


def test_a_name_that_no_manifest_can_hold_is_refused(folder: Path, signing_key: PrivateKey) -> None:
    (folder / "my notes.txt").write_text("")
    with pytest.raises(PackRejected, match=r"my notes\.txt: .* Give it another name"):
        sign_pack(folder, signing_key)
