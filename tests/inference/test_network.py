"""Whole networks on real pictures, against what was recorded for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camera_app.errors import ModelError, ModelOutputError
from camera_app.inference import (
    choose_runtime,
    load_classifier,
    load_embedder,
    load_network,
    network,
    trial,
)
from camera_app.models import ModelPack, find_pack, locate_weights
from camera_app.values import Box, Detection, Picture, Point, Region, Rgb, Yuv420

pytestmark = pytest.mark.shared

DETECTORS = (
    "ssd_mobilenet_v1_coco_300",
    "ssd_mobilenet_v1_coco_300_raw",
    "yolox_nano_coco_416",
    "yolox_nano_coco_320",
    "yolox_nano_person_256",
    "rfb_face_320x240",
    "ssd_slim_face_160x120_gray",
    "ulffd_landmark_320x240_float",
    "blazeface_short_128_float",
    "blazeface_back_256_float",
)
# Another processor or runtime moves boxes by a few pixels and scores by a few hundredths; a wrong
# channel order, offset or box order moves them by far more.
BOX_PX = 4.0
SCORE = 0.05
MOST_RECORDED = 12


def read(path: Path) -> Rgb:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return Rgb(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


@pytest.fixture
def images(shared: Path) -> Path:
    return shared / "images"


@pytest.fixture
def golden(shared: Path) -> dict[str, Any]:
    record = json.loads((shared / "models/golden.json").read_text())
    return {Path(name).stem: entry for name, entry in record.items()}


def corner_distance(one: Box, other: Box) -> float:
    pairs = (
        (one.left, other.left),
        (one.top, other.top),
        (one.right, other.right),
        (one.bottom, other.bottom),
    )
    return max(abs(a - b) for a, b in pairs)


def is_recorded(expected: dict[str, Any], found: list[Detection]) -> bool:
    return any(
        corner_distance(Box(*expected["box"]), one.box) <= BOX_PX
        and abs(one.score - expected["score"]) <= SCORE
        and one.label == expected.get("label", one.label)
        and all(
            abs(x - point.x) <= BOX_PX and abs(y - point.y) <= BOX_PX
            for (x, y), point in zip(expected.get("points", ()), one.points, strict=False)
        )
        and len(one.points) >= len(expected.get("points", ()))
        for one in found
    )


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_finds_what_was_recorded(
    images: Path, golden: dict[str, Any], name: str
) -> None:
    record = golden[name]
    detector = load_network(find_pack(name))
    for image, expected in record["images"].items():
        found = detector.look(read(images / image), min_score=record["min_score"])
        clear = record["min_score"] + SCORE  # what scores less may be below the minimum here
        missed = [one for one in expected if one["score"] >= clear and not is_recorded(one, found)]
        assert not missed, f"{image}: {missed}"
        if len(expected) < MOST_RECORDED:
            assert sum(one.score >= clear for one in found) <= len(expected)


def test_every_recorded_detector_is_tested(golden: dict[str, Any]) -> None:
    assert {name for name, entry in golden.items() if "images" in entry} == set(DETECTORS)


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128", "mobilenet_v2_1.0_224"])
def test_a_classifier_says_what_was_recorded(
    images: Path, golden: dict[str, Any], name: str
) -> None:
    classifier = load_classifier(find_pack(name))
    for image, expected in golden[name]["top3_index_score"].items():
        found = classifier.classify(read(images / image))[: len(expected)]
        assert [one.label for one in found] == [classifier.labels[index] for index, _ in expected]
        scores = [score for _, score in expected]
        np.testing.assert_allclose([one.score for one in found], scores, atol=SCORE)


# --- faces ---------------------------------------------------------------------------------------

EMBEDDER = "mobilefacenet_mask_112x96"


@pytest.fixture
def landmarks(images: Path) -> dict[str, list[Point]]:
    record = json.loads((images / "faces_lfw10/annotations.json").read_text())
    return {face["file"]: [Point(x, y) for x, y in face["landmarks"]] for face in record["faces"]}


def test_faces_get_the_vectors_that_were_recorded(
    images: Path, golden: dict[str, Any], landmarks: dict[str, list[Point]]
) -> None:
    record = golden[EMBEDDER]
    embedder = load_embedder(find_pack(EMBEDDER))
    vectors = np.array(
        [
            embedder.embed(read(images / "faces_lfw10" / file), landmarks[file])
            for file in record["files"]
        ]
    )
    np.testing.assert_allclose(vectors[:, :8], record["first8"], atol=0.02)
    np.testing.assert_allclose(vectors @ vectors.T, record["cosine"], atol=0.01)


def test_a_vector_is_that_of_a_direct_run(images: Path, landmarks: dict[str, list[Point]]) -> None:
    """By hand, with the runtime's own class: align, set, invoke, dequantise, normalise."""
    from ai_edge_litert.interpreter import Interpreter

    file = "Colin_Powell/Colin_Powell_0001.jpg"
    picture = read(images / "faces_lfw10" / file)
    pack = find_pack(EMBEDDER)
    targets = np.array(
        [
            (30.2946, 51.6963),
            (65.5318, 51.5014),
            (48.0252, 71.7366),
            (33.5493, 92.3655),
            (62.7299, 92.2041),
        ]
    )
    source = np.array([(point.x, point.y) for point in landmarks[file]])
    matrix, _ = cv2.estimateAffinePartial2D(source, targets, method=cv2.LMEDS)
    interpreter = Interpreter(str(locate_weights(pack)), num_threads=1)
    interpreter.allocate_tensors()
    face = cv2.warpAffine(picture.pixels, matrix, (96, 112))
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], face[None])
    interpreter.invoke()
    (output,) = (o for o in interpreter.get_output_details() if list(o["shape"]) == [1, 128])
    scale, zero_point = output["quantization"]
    direct = scale * (interpreter.get_tensor(output["index"])[0].astype(float) - zero_point)
    ours = load_embedder(pack).embed(picture, landmarks[file])
    assert ours @ (direct / np.linalg.norm(direct)) >= 1 - 1e-3


def test_six_points_tell_persons_apart_as_five_do(images: Path) -> None:
    embedder = load_embedder(find_pack(EMBEDDER))
    detector = load_network(find_pack("blazeface_back_256_float"))

    def vector(name: str) -> np.ndarray:
        picture = read(images / "faces_lfw10" / name)
        (face, *_) = detector.look(picture, min_score=0.5)
        assert len(face.points) == 6
        return np.asarray(embedder.embed(picture, face.points))

    first = vector("Tony_Blair/Tony_Blair_0001.jpg")
    same = vector("Tony_Blair/Tony_Blair_0002.jpg")
    other = vector("Vladimir_Putin/Vladimir_Putin_0001.jpg")
    assert first @ same > 0.38 > first @ other


def test_a_face_needs_five_or_six_points(images: Path) -> None:
    embedder = load_embedder(find_pack(EMBEDDER))
    picture = read(images / "coral/grace_hopper.jpg")
    with pytest.raises(ValueError, match="5 or 6 points, got 2"):
        embedder.embed(picture, [Point(1, 2), Point(3, 4)])


# --- pictures ------------------------------------------------------------------------------------


def planes(picture: Rgb) -> Yuv420:
    height, width = picture.size.height & ~1, picture.size.width & ~1
    even = np.ascontiguousarray(picture.pixels[:height, :width])
    flat = cv2.cvtColor(even, cv2.COLOR_RGB2YUV_I420).reshape(-1)
    luma, chroma = height * width, height * width // 4
    return Yuv420(
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(height // 2, width // 2),
        flat[luma + chroma :].reshape(height // 2, width // 2),
    )


@pytest.mark.parametrize("name", ["yolox_nano_coco_320", "ssd_slim_face_160x120_gray"])
def test_planes_bring_the_same_detections_as_rgb(images: Path, name: str) -> None:
    detector = load_network(find_pack(name))
    rgb = read(images / "coral/grace_hopper.jpg")
    (from_rgb, *_), (from_planes, *_) = (
        detector.look(picture, min_score=0.5) for picture in (rgb, planes(rgb))
    )
    assert from_rgb.label == from_planes.label
    assert from_rgb.box.iou(from_planes.box) > 0.95
    assert abs(from_rgb.score - from_planes.score) < 0.05


@pytest.mark.parametrize("as_planes", [False, True])
def test_a_detection_in_a_region_lies_where_it_is_in_the_frame(
    images: Path, as_planes: bool
) -> None:
    """The same crop, once as a region, once as a picture of its own."""
    frame: Picture = read(images / "coco_val128/000000000785.jpg")
    region = Region(200, 30, 320, 360)
    crop: Picture = Rgb(np.ascontiguousarray(frame.pixels[30:390, 200:520]))
    if as_planes:
        frame, crop = planes(frame), planes(crop)
    detector = load_network(find_pack("yolox_nano_coco_320"))
    (inside, *_) = detector.look(frame, region, min_score=0.5)
    (alone, *_) = detector.look(crop, min_score=0.5)
    moved = Box(
        alone.box.left + 200, alone.box.top + 30, alone.box.right + 200, alone.box.bottom + 30
    )
    assert inside.label == alone.label == "person"
    # Alone it is cut off at the crop's edge, as part of the frame it is not.
    assert inside.box.iou(moved) > 0.97


def test_the_three_steps_are_the_look_and_every_look_is_the_same(images: Path) -> None:
    picture = read(images / "coco_val128/000000001000.jpg")
    one, other = (load_network(find_pack("yolox_nano_person_256")) for _ in range(2))
    prepared = one.prepare(picture)
    steps = one.decode(one.invoke(prepared), prepared, min_score=0.1)
    assert len(steps) > 5
    assert steps == sorted(steps, key=lambda detection: -detection.score)
    for _ in range(3):
        assert other.look(picture, min_score=0.1) == steps
        assert one.look(picture, min_score=0.1) == steps


def test_no_box_leaves_the_picture(images: Path) -> None:
    picture = read(images / "coco_val128/000000001000.jpg")
    size = picture.size
    for name in ("yolox_nano_person_256", "ssd_mobilenet_v1_coco_300_raw"):
        for found in load_network(find_pack(name)).look(picture, min_score=0.05):
            assert found.box == found.box.clipped(size)
            assert found.box.area > 0


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("movenet_lightning_192", "movenet"),
        ("deeplab_v3_dm05_513", "class_map"),
        ("traffic_lstm_256", "recurrent_ssd"),
        ("split_concat", "test_graph"),
    ],
)
def test_a_family_without_use_is_refused_plainly(name: str, family: str) -> None:
    with pytest.raises(ModelError, match=f"family {family} is known, but this program has no use"):
        load_network(find_pack(name))


def test_a_pack_for_another_task_is_refused() -> None:
    with pytest.raises(ModelError, match="for detection is needed, this one is for classification"):
        load_network(find_pack("vww_96"))
    with pytest.raises(ModelError, match="for embedding is needed, this one is for detection"):
        load_embedder(find_pack("yolox_nano_coco_320"))


Make = Callable[..., ModelPack]


@pytest.fixture
def mislabelled(shared: Path, make_pack: Make, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a pack whose manifest is of one model and whose weights are of another."""
    monkeypatch.setattr(network, "require_trial", lambda *_: None)

    def make(like: str, weights: str, edit: dict[str, str] | None = None) -> ModelPack:
        content = (shared / "models" / f"{weights}.tflite").read_bytes()
        text = (find_pack(like).folder / "manifest.toml").read_text()
        declared = text[text.index("[tensors]") : text.index("[licence]")]
        return make_pack(like, content, edit={declared: "", **(edit or {})})

    return make


@pytest.mark.parametrize(
    ("like", "weights", "said"),
    [
        (
            "yolox_nano_coco_320",
            "detect/yolox_nano_coco_416",
            r"input of shape \[1, 320, 320, 3\], the file has serving_default_images:0 \[1, 416",
        ),
        (
            "ssd_mobilenet_v1_coco_300",
            "detect/ssd_mobilenet_v1_coco_300_raw",
            r"family ssd_postprocess expects 4 outputs .*Squeeze \[1, 1917, 4\] uint8",
        ),
        (
            "ssd_mobilenet_v1_coco_300_raw",
            "detect/ssd_mobilenet_v1_coco_300",
            r"family ssd_anchors expects 2 outputs .*TFLite_Detection_PostProcess",
        ),
        (
            "blazeface_back_256_float",
            "detect/yolox_nano_person_256",
            r"family blazeface expects one output \[1, 896, 16\] \(regressors\), found none",
        ),
    ],
)
def test_a_file_of_another_family_is_refused_with_the_tensor(
    mislabelled: Make, like: str, weights: str, said: str
) -> None:
    with pytest.raises(ModelOutputError, match=said) as refused:
        load_network(mislabelled(like, weights))
    assert f"model pack {like}" in str(refused.value)


def test_other_labels_than_the_file_has_scores_are_refused(mislabelled: Make) -> None:
    pack = mislabelled(
        "yolox_nano_person_256",
        "detect/yolox_nano_person_256",
        {'labels = ["person"]': 'labels = ["person", "cat"]'},
    )
    with pytest.raises(
        ModelOutputError, match=r"\[1, 1344, 3\] \(scores\), found none.*\[1, 1344, 2"
    ):
        load_network(pack)


def test_a_network_with_a_memory_is_refused_as_a_plain_detector(mislabelled: Make) -> None:
    pack = mislabelled(
        "traffic_lstm_256",
        "stateful/traffic_lstm_256",
        {
            'family = "recurrent_ssd"': 'family = "ssd_postprocess"',
            'task = "none"': 'task = "detection"',
        },
    )
    with pytest.raises(ModelOutputError, match=r"exactly one input.*raw_inputs/init_lstm_c"):
        load_network(pack)


def test_tensors_that_differ_from_the_declared_ones_are_named(
    shared: Path, make_pack: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "require_trial", lambda *_: None)
    content = (shared / "models/detect/yolox_nano_person_256.tflite").read_bytes()
    pack = make_pack(
        "yolox_nano_person_256", content, edit={"PartitionedCall:1": "StatefulPartitionedCall:1"}
    )
    with pytest.raises(ModelOutputError, match=r"declares output StatefulPartitionedCall:1 "):
        load_network(pack)


def test_a_trial_is_asked_for_where_the_catalogue_does_not_know_the_weights(
    shared: Path, make_pack: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = (shared / "models/classify/vww_96.tflite").read_bytes() + b"\0"
    pack = make_pack("vww_96", content)
    asked: list[str] = []
    monkeypatch.setattr(
        network, "require_trial", lambda path, sha256, runtime: asked.append(sha256)
    )
    load_classifier(pack, choose_runtime())
    assert asked == [pack.sha256]
    assert trial.require_trial is not network.require_trial
