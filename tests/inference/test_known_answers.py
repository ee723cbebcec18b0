from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from camera_app.errors import PackRejected
from camera_app.inference import Outputs, Prepared, Tensor
from camera_app.inference.known_answers import (
    count_missed,
    differences,
    known_picture,
    require_known_answers,
)
from camera_app.inference.preprocess import Placement
from camera_app.models import (
    INPUTS,
    KnownAnswer,
    KnownAnswers,
    KnownDetection,
    KnownOutput,
    ModelPack,
    find_pack,
)
from camera_app.values import Box, Detection, Picture, Rgb

VALUES = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)


class Parrot:
    """Says the same to every input."""

    def __init__(self, pack: ModelPack, values: Any = VALUES) -> None:
        self.pack = pack
        self.values = values
        self.seen: list[Picture] = []

    def prepare(self, picture: Picture) -> Prepared:
        self.seen.append(picture)
        return Prepared(np.zeros(1), Placement(0, 0, 1, 1), picture.size)

    def invoke(self, prepared: Prepared) -> Outputs:
        return (Tensor("out", np.asarray(self.values)),)


def pack(**fields: Any) -> ModelPack:
    """A pack that knows one answer."""
    output = KnownOutput(name="out", step=1, limit_steps=2, indexes=(0, 5, 11), values=(0, 5, 11))
    answer = KnownAnswer(**{"input": "noise", "outputs": (output,), **fields})
    known = KnownAnswers(schema=1, made_with="a parrot", answers=(answer,))
    return dataclasses.replace(find_pack("vww_96"), known_answers=known)


def test_the_known_answer_is_accepted() -> None:
    parrot = Parrot(pack())
    require_known_answers(parrot)
    assert len(parrot.seen) == 1


def test_a_pack_without_answers_is_not_asked() -> None:
    parrot = Parrot(find_pack("vww_96"))
    require_known_answers(parrot)
    assert parrot.seen == []


@pytest.mark.parametrize(("off", "steps"), [(1, 1.0), (2, 2.0)])
def test_a_little_rounding_is_still_the_same_network(off: int, steps: float) -> None:
    (found,) = differences(Parrot(pack(), VALUES + off))
    assert found.steps == steps
    assert found.is_within


def test_another_answer_is_refused_with_input_and_difference() -> None:
    with pytest.raises(PackRejected) as refused:
        require_known_answers(Parrot(pack(), VALUES + 3))
    assert "model pack vww_96" in str(refused.value)
    assert "input 'noise', output out: 3.00 steps off, 2.00 allowed" in str(refused.value)
    assert "a parrot" in str(refused.value)


def test_no_number_is_no_answer() -> None:
    with pytest.raises(PackRejected, match="nan steps off"):
        require_known_answers(Parrot(pack(), np.full((1, 3, 4), np.nan)))


@pytest.mark.parametrize("values", [VALUES[:, :2], VALUES[:, :0]])
def test_too_few_values_are_another_network_s(values: Any) -> None:
    with pytest.raises(PackRejected, match="an output out of more than 11 values"):
        require_known_answers(Parrot(pack(), values))


def test_an_output_of_another_name_is_another_network_s() -> None:
    other = KnownOutput(name="other", step=1, limit_steps=2, indexes=(0,), values=(0,))
    with pytest.raises(PackRejected, match=r"an output other .* the network has out \[1, 3, 4\]"):
        require_known_answers(Parrot(pack(outputs=(other,))))


KNOWN = KnownDetection(label="person", score=0.8, box=(0, 0, 10, 10))
FOUND = Detection(Box(0, 0, 10, 10), "person", 0.8)


def moved(**fields: Any) -> Detection:
    return dataclasses.replace(FOUND, **fields)


@pytest.mark.parametrize(
    ("known", "found", "missed"),
    [
        ([], [], 0),
        ([KNOWN], [FOUND], 0),
        ([KNOWN], [moved(box=Box(1, 0, 11, 10), score=0.7)], 0),
        ([KNOWN], [], 1),
        ([], [FOUND], 1),
        ([KNOWN], [moved(label="cat")], 2),
        ([KNOWN], [moved(score=0.6)], 2),
        ([KNOWN], [moved(box=Box(20, 0, 30, 10))], 2),
        ([KNOWN], [FOUND, FOUND], 1),  # nobody suppressed the double
        ([KNOWN.model_copy(update={"score": 0.45})], [], 0),  # unsure: may be lost
        ([], [moved(score=0.45)], 0),
        ([KNOWN.model_copy(update={"score": 0.48})], [moved(score=0.52)], 0),
    ],
)
def test_sure_detections_must_be_there_on_both_sides(
    known: list[KnownDetection], found: list[Detection], missed: int
) -> None:
    assert count_missed(known, found) == missed


def test_lost_detections_are_refused() -> None:
    wanted = pack(outputs=(), detections=(KNOWN,))
    require_known_answers(Parrot(wanted), lambda *_, min_score: [FOUND])
    with pytest.raises(PackRejected, match=r"output detections: 1\.00 steps off"):
        require_known_answers(Parrot(wanted), lambda *_, min_score: [])


def test_detections_that_are_chance_are_not_compared() -> None:
    require_known_answers(Parrot(pack(detections=None)), lambda *_, min_score: [FOUND])


# The pictures must never change: every answer that was ever written down depends on them.
DIGESTS = {
    "gradient": "51ed0aba4739788b",
    "noise": "a5e8a8139ef296ed",
    "patches": "28ebc140497cf461",
}


@pytest.mark.parametrize("name", INPUTS)
def test_a_made_input_is_the_same_for_ever(name: str) -> None:
    pixels = known_picture(find_pack("vww_96"), name).pixels
    assert pixels.shape == (220, 308, 3)
    assert hashlib.sha256(pixels.tobytes()).hexdigest()[:16] == DIGESTS[name]


def test_a_picture_of_the_pack_is_read_as_rgb(tmp_path: Path) -> None:
    bgr = np.zeros((4, 6, 3), np.uint8)
    bgr[..., 2] = 200
    content = bytes(cv2.imencode(".png", bgr)[1])
    (tmp_path / "red.png").write_bytes(content)
    files = {"red.png": hashlib.sha256(content).hexdigest()}
    here = dataclasses.replace(find_pack("vww_96"), folder=tmp_path, files=files)
    picture = known_picture(here, "red.png")
    assert isinstance(picture, Rgb)
    assert picture.pixels[0, 0].tolist() == [200, 0, 0]
    with pytest.raises(PackRejected, match="does not list it"):
        known_picture(here, "other.png")


def test_a_known_input_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.png").write_bytes(b"none")
    files = {"none.png": hashlib.sha256(b"none").hexdigest()}
    here = dataclasses.replace(find_pack("vww_96"), folder=tmp_path, files=files)
    with pytest.raises(PackRejected, match=r"none\.png"):
        known_picture(here, "none.png")
