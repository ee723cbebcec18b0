"""What every runtime must do, run over all of them with the same small networks.

The networks are one detector of bright things with weights set by hand (`data/make.py`): white
scores nearly 1 and gives boxes of side exp(1) cells, red gives wide and flat ones.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from camera_app.errors import ModelOutputError, PackRejected
from camera_app.inference import Interpreter, Tensor, load_network, runtime_for, runtime_named
from camera_app.inference.trial import hold_trial
from camera_app.models import InputGeometry, ModelPack, YoloxDecode, find_pack, kind_of
from camera_app.models.pack import Normalisation, Tensors, Weights
from camera_app.values import Detection, Region, Rgb

DATA = Path(__file__).parent / "data"
RUNTIMES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime"}
TEXTS = {
    "empty": b"",
    "web_page": b"<!DOCTYPE html><html><body>404</body></html>" * 20,
    "lfs_pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "noise": np.random.default_rng(1).bytes(4096),
}

MakeLamp = Callable[..., ModelPack]


@dataclass(frozen=True, slots=True)
class Case:
    """One file of `data`, and how it is fed.

    Attributes:
        kind: Ending of the file.
        is_quantised: Its input and outputs are int8.
    """

    kind: str
    is_quantised: bool

    def __str__(self) -> str:
        return f"{self.kind}-{'int8' if self.is_quantised else 'float'}"

    @property
    def path(self) -> Path:
        return DATA / f"bright_things{'_int8' if self.is_quantised else ''}.{self.kind}"

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, 3, 64, 64) if self.kind == "onnx" else (1, 64, 64, 3)

    @property
    def dtype(self) -> str:
        return "int8" if self.is_quantised else "float32"

    @property
    def rounding(self) -> float:
        """How far an output may be from the true number."""
        return 0.02 if self.is_quantised else 1e-5

    def load(self) -> Interpreter:
        return runtime_for(kind_of(self.path.name)).load(self.path)

    def feed(self, colour: tuple[int, int, int]) -> np.ndarray:
        """Return an input of one colour, its channels 0 or 1."""
        picture = np.broadcast_to(np.array(colour, np.float32), (1, 64, 64, 3))
        if self.kind == "onnx":
            picture = picture.transpose(0, 3, 1, 2)
        raw = picture * 255 - 128 if self.is_quantised else picture
        return np.ascontiguousarray(raw, self.dtype)


CASES = [Case(kind, is_quantised) for kind in RUNTIMES for is_quantised in (False, True)]
WHITE, RED, BLACK = (1, 1, 1), (1, 0, 0), (0, 0, 0)


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def real(tensor: Tensor) -> np.ndarray:
    values = tensor.values.astype(np.float64)
    return (values - tensor.zero_point) * tensor.scale if tensor.scale else values


# --- tensors ---------------------------------------------------------------------------------


def test_tensors_are_described_as_they_are(case: Case) -> None:
    interpreter = case.load()
    (picture,) = interpreter.inputs
    assert (picture.shape, picture.dtype) == (case.shape, case.dtype)
    assert [(spec.shape, spec.dtype) for spec in interpreter.outputs] == [
        ((1, 80, 4), case.dtype),
        ((1, 80, 2), case.dtype),
    ]


def test_scales_of_integers_are_told_and_floats_have_none(case: Case) -> None:
    interpreter = case.load()
    (picture,) = interpreter.inputs
    if case.is_quantised:
        assert (picture.scale, picture.zero_point) == (pytest.approx(1 / 255), -128)
        assert all(spec.scale > 0 for spec in interpreter.outputs)
    else:
        assert {spec.scale for spec in (picture, *interpreter.outputs)} == {0.0}


@pytest.mark.parametrize(
    ("colour", "box", "score"),
    [
        # Score = sigmoid(8 * (r + g + b) - 12); box = x, y, r, g in cells and logarithms, where
        # x = y = 0.25 + b / 2.
        (WHITE, (0.75, 0.75, 1.0, 1.0), 0.99999),
        (RED, (0.25, 0.25, 1.0, 0.0), 0.01799),
        (BLACK, (0.25, 0.25, 0.0, 0.0), 0.00001),
    ],
)
def test_a_run_gives_the_numbers_that_the_weights_say(
    case: Case, colour: tuple[int, int, int], box: tuple[float, ...], score: float
) -> None:
    boxes, scores = case.load().invoke([case.feed(colour)])
    np.testing.assert_allclose(real(boxes)[0], np.tile(box, (80, 1)), atol=case.rounding)
    np.testing.assert_allclose(real(scores)[0], np.full((80, 2), score), atol=case.rounding)


def test_outputs_are_copies_that_the_next_run_leaves_alone(case: Case) -> None:
    interpreter = case.load()
    first = interpreter.invoke([case.feed(WHITE)])
    kept = [tensor.values.copy() for tensor in first]
    interpreter.invoke([case.feed(BLACK)])
    for tensor, values in zip(first, kept, strict=True):
        np.testing.assert_array_equal(tensor.values, values)
        assert tensor.values.flags.c_contiguous
        tensor.values[...] = 0  # and they are the caller's own to write into


def test_outputs_are_named_as_they_were_described(case: Case) -> None:
    interpreter = case.load()
    outputs = interpreter.invoke([case.feed(WHITE)])
    described = [(spec.name, spec.shape, spec.dtype, spec.scale) for spec in interpreter.outputs]
    assert described == [(t.name, t.values.shape, t.values.dtype.name, t.scale) for t in outputs]


def test_an_input_of_another_shape_or_type_or_number_is_refused(case: Case) -> None:
    interpreter = case.load()
    good = case.feed(WHITE)
    for wrong in ([good[:, 1:]], [good.astype(np.float64)], [good, good], []):
        with pytest.raises(ModelOutputError, match=r"expects inputs .*64.*was given"):
            interpreter.invoke(wrong)
    assert len(interpreter.invoke([good])) == 2


def threads() -> int:
    """Return how many the process has, those of libraries too."""
    return len(list(Path("/proc/self/task").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_a_network_runs_in_its_caller_s_thread(case: Case) -> None:
    case.load()  # the library may start threads of its own, once
    before = threads()
    interpreters = [case.load() for _ in range(4)]
    for interpreter in interpreters:
        interpreter.invoke([case.feed(WHITE)])
    assert threads() == before


# --- packs -----------------------------------------------------------------------------------


@pytest.fixture
def make_lamp(tmp_path: Path) -> MakeLamp:
    """Make the pack of a case, in a folder of its own; with other bytes as weights, if given."""

    def make(case: Case, content: bytes | None = None) -> ModelPack:
        content = case.path.read_bytes() if content is None else content
        folder = tmp_path / str(case)
        folder.mkdir()
        (folder / case.path.name).write_bytes(content)
        weights = Weights(
            file=case.path.name,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=max(1, len(content)),
        )
        geometry = InputGeometry(
            width=64,
            height=64,
            normalise=None if case.is_quantised else Normalisation(mean=0, divisor=255),
            layout="nchw" if case.kind == "onnx" else "nhwc",
        )
        return dataclasses.replace(
            find_pack("yolox_nano_person_256"),
            name="bright_things",
            folder=folder,
            weights=weights,
            input=geometry,
            decode=YoloxDecode(family="yolox", strides=(8, 16), nms_iou=0.3),
            labels=("lamp",),
            tensors=Tensors(),
        )

    return make


def scene() -> Rgb:
    """Return a dark picture with a white and a yellow thing, each of 2 by 2 large cells."""
    pixels = np.full((128, 192, 3), 20, np.uint8)
    pixels[32:64, 32:64] = 255
    pixels[80:112, 120:152] = (255, 255, 0)
    return Rgb(pixels)


def rounded(detections: list[Detection]) -> list[tuple[float, ...]]:
    edges = ((d.box.left, d.box.top, d.box.right, d.box.bottom) for d in detections)
    return sorted(tuple(round(edge, 1) for edge in box) for box in edges)


def test_the_same_picture_gives_the_same_boxes_through_every_runtime(make_lamp: MakeLamp) -> None:
    region = Region(16, 8, 128, 112)
    found = {
        str(case): load_network(make_lamp(case)).look(scene(), region, min_score=0.9)
        for case in CASES
    }
    reference = found.pop("tflite-float")
    assert len(reference) >= 2
    for name, detections in found.items():
        assert len(detections) == len(reference), name
        limit_px = 1.5 if name.endswith("int8") else 0.11
        np.testing.assert_allclose(rounded(detections), rounded(reference), atol=limit_px)


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_that_is_no_network_is_refused_by_name(
    case: Case, make_lamp: MakeLamp, name: str
) -> None:
    pack = make_lamp(case, TEXTS[name])
    with pytest.raises(PackRejected) as refused:
        load_network(pack)
    assert str(pack.folder / pack.weights.file) in str(refused.value)


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9])
def test_a_file_that_was_cut_short_is_refused(
    case: Case, make_lamp: MakeLamp, share: float
) -> None:
    content = case.path.read_bytes()
    with pytest.raises(PackRejected):
        load_network(make_lamp(case, content[: int(len(content) * share)]))


@pytest.mark.parametrize("kind", RUNTIMES)
def test_damage_inside_a_file_never_ends_the_process(kind: str, make_lamp: MakeLamp) -> None:
    """Whatever the runtime does with such a file, it does it in the child of the trial."""
    content = bytearray(Case(kind, False).path.read_bytes())
    rng = np.random.default_rng(3)
    content[::97] = rng.bytes(len(content[::97]))
    with pytest.raises(PackRejected):
        load_network(make_lamp(Case(kind, False), bytes(content)))


def test_a_trial_runs_in_the_runtime_that_it_is_told(case: Case, tmp_path: Path) -> None:
    name = RUNTIMES[case.kind]
    assert hold_trial(case.path, name).accepted
    other = next(other for other in RUNTIMES.values() if other != name)
    verdict = hold_trial(case.path, other)
    assert not verdict.accepted
    assert "does not take this file" in verdict.reason


@pytest.mark.parametrize("name", RUNTIMES.values())
def test_a_runtime_is_found_by_its_name_and_knows_its_version(name: str) -> None:
    runtime = runtime_named(name)
    assert runtime.name == name
    assert int(runtime.version.split(".")[0]) >= 1
