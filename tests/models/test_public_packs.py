"""The manifests of well-known public models, whose weights are fetched, never bundled.

Nothing here needs a network. Where the weights of one lie in the shared data, they are compared.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from camera_app.models import (
    SsdPostprocessDecode,
    Task,
    UnusedDecode,
    catalogue_folder,
)
from camera_app.models.pack import Manifest, Weights, parse_manifest

CORAL = "https://raw.githubusercontent.com/google-coral/test_data/"
COMMIT = "104342d2d3480b3e66203073dac24f4e2dbb4c41"
OFFICIAL = (f"{CORAL}{COMMIT}/", "https://tfhub.dev/google/")
MOST_BYTES = 32 * 1024 * 1024

DETECTORS = {
    "coral_ssd_mobilenet_v1_coco_300": 90,
    "coral_ssd_mobilenet_v2_coco_300": 90,
    "coral_ssdlite_mobiledet_coco_320": 90,
    "coral_efficientdet_lite0_320": 90,
    "coral_efficientdet_lite1_384": 90,
    "coral_efficientdet_lite2_448": 90,
    "coral_efficientdet_lite3_512": 90,
    "coral_ssd_mobilenet_v2_face_320": 1,
}
CLASSIFIERS = {
    "mobilenet_v1_0.25_128": 1001,
    "mobilenet_v1_0.5_160": 1001,
    "mobilenet_v1_0.75_192": 1001,
    "mobilenet_v1_1.0_224": 1001,
    "mobilenet_v2_1.0_224": 1001,
}
POSES = {"movenet_lightning_192": 0, "movenet_thunder_256": 0}
ALL = DETECTORS | CLASSIFIERS | POSES


def manifest_of(name: str) -> Manifest:
    path = catalogue_folder() / name / "manifest.toml"
    return parse_manifest(path, path.read_bytes())


def labels_of(name: str) -> tuple[str, ...]:
    labels = manifest_of(name).labels
    if isinstance(labels, tuple):
        return labels
    return tuple((catalogue_folder() / name / labels).read_text().splitlines())


@pytest.mark.parametrize("name", ALL)
def test_a_public_pack_says_what_it_is_and_from_where(name: str) -> None:
    manifest = manifest_of(name)
    assert manifest.name == name
    assert manifest.licence.name.startswith("Apache-2.0 (")
    assert manifest.licence.allows_shipping
    assert not manifest.card.derived
    assert manifest.edgetpu is not None
    for weights in (manifest.weights, manifest.edgetpu):
        assert weights.url.startswith(OFFICIAL)
        assert weights.most_bytes <= MOST_BYTES
        assert not weights.file.startswith(".")


@pytest.mark.parametrize("name", ALL)
def test_the_twin_is_the_same_network_compiled(name: str) -> None:
    manifest = manifest_of(name)
    assert manifest.edgetpu is not None
    assert manifest.weights.file == f"{name}.tflite"
    assert manifest.edgetpu.file == f"{name}_edgetpu.tflite"
    compiled = manifest.edgetpu.url.removeprefix(f"{CORAL}{COMMIT}/")
    assert compiled.endswith("_edgetpu.tflite")
    if manifest.weights.url.startswith(CORAL):
        assert manifest.weights.url == manifest.edgetpu.url.replace("_edgetpu.tflite", ".tflite")


@pytest.mark.parametrize(("name", "count"), ALL.items())
def test_there_are_as_many_labels_as_classes(name: str, count: int) -> None:
    labels = labels_of(name)
    assert len(labels) == count
    if count == 90:
        # The places that COCO left empty are kept, so that a class is its line.
        assert (labels[0], labels[2], labels[12], labels[89]) == (
            "person",
            "car",
            "stop sign",
            "toothbrush",
        )
    if count == 1001:
        assert (labels[0], labels[1], labels[653]) == (
            "background",
            "tench, Tinca tinca",
            "military uniform",
        )


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_is_decoded_from_the_outputs_that_it_declares(name: str) -> None:
    manifest = manifest_of(name)
    decode = manifest.decode
    assert isinstance(decode, SsdPostprocessDecode)
    roles = [decode.boxes, decode.classes, decode.scores, decode.count]
    assert [tensor.name for tensor in manifest.tensors.outputs] == roles
    assert len(set(roles)) == 4


@pytest.mark.parametrize("name", ALL)
def test_input_and_declared_tensor_agree(name: str) -> None:
    manifest = manifest_of(name)
    side = int(name.rsplit("_", 1)[1])
    assert (manifest.input.width, manifest.input.height) == (side, side)
    assert manifest.input.colour.value == "rgb"
    assert manifest.input.normalise is None  # uint8 inputs: bytes as they are
    for tensor in manifest.tensors.inputs:
        assert tensor.shape == (1, side, side, 3)
        assert tensor.dtype == "uint8"


@pytest.mark.parametrize("name", POSES)
def test_a_pose_network_is_known_by_name(name: str) -> None:
    manifest = manifest_of(name)
    assert manifest.task is Task.POSE
    assert isinstance(manifest.decode, UnusedDecode)


def test_a_hash_that_nobody_published_is_not_claimed() -> None:
    """Which are pinned is written out, so that none becomes so, or ceases to be, unnoticed."""
    pinned = {
        weights.file: weights.sha256[:8]
        for name in ALL
        for weights in both(manifest_of(name))
        if weights.sha256
    }
    assert pinned == {
        "coral_ssd_mobilenet_v2_coco_300.tflite": "42fb3d70",
        "coral_ssd_mobilenet_v2_coco_300_edgetpu.tflite": "b94e2d58",
        "coral_ssdlite_mobiledet_coco_320.tflite": "32c48614",
        "coral_ssdlite_mobiledet_coco_320_edgetpu.tflite": "b69e508e",
        "coral_efficientdet_lite1_384_edgetpu.tflite": "635dd33c",
        "coral_efficientdet_lite3_512_edgetpu.tflite": "4f98f098",
        "mobilenet_v1_0.25_128.tflite": "cb273c23",
        "mobilenet_v1_0.25_128_edgetpu.tflite": "a4cb1e49",
        "mobilenet_v2_1.0_224.tflite": "7aad0c74",
        "movenet_lightning_192.tflite": "cd7cc22f",
        "movenet_lightning_192_edgetpu.tflite": "25c88b77",
        "movenet_thunder_256.tflite": "b72fed22",
    }


def both(manifest: Manifest) -> tuple[Weights, ...]:
    assert manifest.edgetpu is not None
    return (manifest.weights, manifest.edgetpu)


@pytest.mark.shared
def test_manifests_agree_with_the_files_of_the_same_address_that_are_here(shared: Path) -> None:
    document: dict[str, Any] = tomllib.loads((shared / "models/MANIFEST.toml").read_text())
    here = {
        f"{CORAL}{model['source'].rsplit('@', 1)[1]}/{path_of(model)}": model
        for model in [*document["model"], *document["edgetpu_model"]]
        if model["source"].startswith("google-coral/test_data:")
    }
    compared = set()
    for name in ALL:
        for weights in both(manifest_of(name)):
            if weights.url in here:
                model = here[weights.url]
                assert (weights.sha256, weights.size_bytes) == (model["sha256"], model["bytes"])
                compared.add(weights.file)
    assert compared == {
        "mobilenet_v1_0.25_128.tflite",
        "mobilenet_v1_0.25_128_edgetpu.tflite",
        "mobilenet_v2_1.0_224.tflite",
        "movenet_lightning_192.tflite",
        "movenet_lightning_192_edgetpu.tflite",
    }


def path_of(model: dict[str, Any]) -> str:
    return str(model["source"]).split(":", 1)[1].rsplit("@", 1)[0]
