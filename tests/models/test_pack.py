from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from camera_app.errors import PackRejected
from camera_app.models import Colour, Fit, Task, YoloxDecode, read_pack

NOT_LISTED = {"manifest.toml", "manifest.sig", "little.tflite"}
GOOD = """
schema = 1
name = "little"
task = "detection"
labels = ["person", "cat"]

[weights]
file = "little.tflite"
sha256 = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
size_bytes = 1000

[input]
width = 96
height = 64
fit = "letterbox_top_left"
colour = "bgr"
pad = 114

[decode]
family = "yolox"
strides = [8, 16]

[licence]
name = "Apache-2.0"
allows_shipping = true

[card]
summary = "Finds little things."
source = "somebody/something:little.tflite@0"
"""


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path, sign_manifest: Callable[[Path], None]) -> Write:
    """Write a manifest, list the files that lie beside it, and sign it, whatever it says."""

    def write_signed(text: str) -> Path:
        names = sorted({path.name for path in tmp_path.iterdir() if path.is_file()} - NOT_LISTED)
        hashes = {name: hashlib.sha256((tmp_path / name).read_bytes()) for name in names}
        files = "".join(f'"{name}" = "{found.hexdigest()}"\n' for name, found in hashes.items())
        (tmp_path / "manifest.toml").write_text(f"{text}\n[files]\n{files}")
        sign_manifest(tmp_path)
        return tmp_path

    return write_signed


def test_a_manifest_becomes_a_pack(write: Write) -> None:
    pack = read_pack(write(GOOD))
    assert (pack.name, pack.task, pack.family) == ("little", Task.DETECTION, "yolox")
    assert pack.labels == ("person", "cat")
    assert (pack.input.size.width, pack.input.size.height) == (96, 64)
    assert (pack.input.fit, pack.input.colour) == (Fit.LETTERBOX_TOP_LEFT, Colour.BGR)
    assert isinstance(pack.decode, YoloxDecode)
    assert pack.decode.strides == (8, 16)
    assert pack.sha256 == "a" * 64


def test_every_problem_of_a_manifest_is_named_with_its_key(write: Write, tmp_path: Path) -> None:
    text = (
        GOOD.replace("width = 96", "width = 0")
        .replace('colour = "bgr"', 'color = "bgr"')
        .replace("allows_shipping = true", "")
        .replace('sha256 = "a', 'sha256 = "Z')
    )
    with pytest.raises(PackRejected) as refused:
        read_pack(write(text))
    message = str(refused.value)
    assert str(tmp_path / "manifest.toml") in message
    assert "input.width: input should be greater than or equal to 1, got 0" in message
    assert "input.color: no such key" in message
    assert "licence.allows_shipping: is missing" in message
    assert "weights.sha256: string should match pattern" in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('family = "yolox"', 'family = "yolo"', "decode.family: expected one of 'yolox'"),
        ('family = "yolox"\n', "", "decode: family is missing"),
        ('task = "detection"', 'task = "pose"', "family yolox is for task 'detection'"),
        ("strides = [8, 16]", "nms_iou = 65", "decode.yolox.nms_iou"),
        ("schema = 1", "schema = 2", "schema: input should be 1, got 2"),
        ("schema = 1", "schema = ", "the manifest is not TOML"),
        ('file = "little.tflite"', 'file = "../little.tflite"', "weights.file"),
        ("size_bytes = 1000", 'size_bytes = 1000\nurl = "file:///etc/passwd"', "weights.url"),
    ],
)
def test_a_wrong_manifest_is_refused(write: Write, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(PackRejected) as refused:
        read_pack(write(GOOD.replace(old, new)))
    assert said in str(refused.value)


def test_labels_may_stand_in_a_file(write: Write, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("dog\n cat \n\n")
    pack = read_pack(write(GOOD.replace('["person", "cat"]', '"labels.txt"')))
    assert pack.labels == ("dog", "cat")


def test_a_missing_side_file_is_named(write: Write, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("dog")
    write(GOOD.replace('["person", "cat"]', '"labels.txt"'))
    labels.unlink()
    with pytest.raises(PackRejected, match=r"labels\.txt: cannot be read: No such file"):
        read_pack(tmp_path)


def test_a_file_that_the_signature_does_not_bind_is_never_read(write: Write) -> None:
    folder = write(GOOD.replace('["person", "cat"]', '"labels.txt"'))
    (folder / "labels.txt").write_text("dog\n")
    with pytest.raises(PackRejected, match=r"labels\.txt: .* does not list it under \[files\]"):
        read_pack(folder)


def test_a_folder_without_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackRejected, match=r"manifest\.toml: cannot be read"):
        read_pack(tmp_path)


ANCHORS = GOOD.replace(
    'family = "yolox"\nstrides = [8, 16]', 'family = "ssd_anchors"\nanchors = "anchors.csv"'
)


def test_anchors_are_read(write: Write, tmp_path: Path) -> None:
    (tmp_path / "anchors.csv").write_text("# y,x,h,w\n0.5,0.25,1,2\n0.1,0.2,0.3,0.4\n")
    anchors = read_pack(write(ANCHORS)).anchors
    assert anchors is not None
    expected = np.array([[0.5, 0.25, 1, 2], [0.1, 0.2, 0.3, 0.4]], np.float32)
    np.testing.assert_array_equal(anchors, expected)


@pytest.mark.parametrize("text", ["0.5,0.25,1\n", "a,b,c,d\n", "0.1,0.2,nan,0.4\n"])
def test_anchors_that_are_none_are_refused(write: Write, tmp_path: Path, text: str) -> None:
    (tmp_path / "anchors.csv").write_text(text)
    with pytest.raises(PackRejected, match="anchors"):
        read_pack(write(ANCHORS))


def test_the_digest_changes_with_all_that_decides_what_the_network_says(
    write: Write, tmp_path: Path
) -> None:
    text = GOOD.replace('["person", "cat"]', '"labels.txt"')
    labels = tmp_path / "labels.txt"
    labels.write_text("person\ncat\n")
    first = read_pack(write(text)).digest
    assert read_pack(tmp_path).digest == first
    labels.write_text("person\ndog\n")
    other_labels = read_pack(write(text)).digest
    labels.write_text("person\ncat\n")
    other_pad = read_pack(write(text.replace("114", "115"))).digest
    other_weights = read_pack(write(text.replace("aaaa", "bbbb"))).digest
    assert len({first, other_labels, other_pad, other_weights}) == 4


TWIN = """
[edgetpu]
file = "little_edgetpu.tflite"
sha256 = "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
size_bytes = 1200
url = "https://example.org/little_edgetpu.tflite"

[tensors]
inputs = [{ name = "in", shape = [1, 64, 96, 3], dtype = "uint8" }]
outputs = [{ name = "out", shape = [1, 120, 7], dtype = "uint8" }]
"""


def test_a_twin_is_the_same_pack_with_other_weights(write: Write) -> None:
    pack = read_pack(write(GOOD + TWIN))
    twin = pack.twin
    assert twin is not None
    assert (twin.sha256, twin.weights.size_bytes) == ("c" * 64, 1200)
    assert (twin.name, twin.tensors, twin.input) == (pack.name, pack.tensors, pack.input)
    assert twin.twin is None


def test_a_pack_without_edge_tpu_file_has_no_twin(write: Write) -> None:
    assert read_pack(write(GOOD)).twin is None


@pytest.mark.parametrize(
    ("twin", "said"),
    [
        (TWIN[: TWIN.index("[tensors]")], "with [edgetpu] declares its [tensors]"),
        (TWIN.replace("little_edgetpu.tflite", "little.tflite"), "files of different names"),
        (TWIN.replace("1200", "0"), "edgetpu.size_bytes"),
    ],
)
def test_a_twin_that_is_none_is_refused(write: Write, twin: str, said: str) -> None:
    with pytest.raises(PackRejected) as refused:
        read_pack(write(GOOD + twin))
    assert said in str(refused.value)


def test_how_weights_were_trained_is_kept(write: Write) -> None:
    training = '[training]\ndata = ["pictures (CC-BY-4.0)"]\nrepeat = "make it"\n'
    found = read_pack(write(GOOD + training)).training
    assert found is not None
    assert (found.data, found.repeat, found.teacher) == (("pictures (CC-BY-4.0)",), "make it", "")
