from __future__ import annotations

from dataclasses import replace

import pytest

from camera_app.inference.edgetpu.twins import Pairing, TwinsDisagree, pairing
from camera_app.inference.edgetpu.wire import LoadedModel
from camera_app.inference.runtime import TensorSpec

PICTURE = TensorSpec("image", (1, 8, 8, 3), "int8", 0.5, -128)
BOXES = TensorSpec("boxes", (1, 4, 4), "int8", 0.25, 3)
SCORES = TensorSpec("scores", (1, 4), "uint8", 0.125, 0)


def model(
    inputs: tuple[TensorSpec, ...] = (PICTURE,), outputs: tuple[TensorSpec, ...] = (BOXES, SCORES)
) -> LoadedModel:
    """A pack whose CPU's file has PICTURE in, BOXES and SCORES out."""
    lengths = tuple(16 for _ in outputs)
    return LoadedModel("pack", inputs, outputs, (PICTURE,), (BOXES, SCORES), lengths)


def test_twins_in_the_same_order_pair_one_by_one() -> None:
    assert pairing(model()) == Pairing((0,), (0, 1))


def test_the_names_pair_them_where_the_order_is_another() -> None:
    assert pairing(model(outputs=(SCORES, BOXES))) == Pairing((0,), (1, 0))


def test_the_order_pairs_them_where_names_are_others() -> None:
    outputs = (replace(BOXES, name="out"), replace(SCORES, name="out:1"))
    assert pairing(model(outputs=outputs)) == Pairing((0,), (0, 1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"shape": (1, 5, 4)}, r"boxes \[1, 5, 4\] int8"),
        ({"dtype": "uint8"}, r"boxes \[1, 4, 4\] uint8"),
        ({"scale": 0.26}, "scale 0.26"),
        ({"zero_point": 4}, "zero point 4"),
    ],
)
def test_another_shape_type_or_quantisation_is_told_with_both(
    change: dict[str, object], told: str
) -> None:
    other = replace(BOXES, **change)  # type: ignore[arg-type]
    with pytest.raises(TwinsDisagree, match=told) as refusal:
        pairing(model(outputs=(other, SCORES)))
    assert "boxes [1, 4, 4] int8 (scale 0.25, zero point 3) here" in str(refusal.value)


def test_an_input_that_differs_is_told_too() -> None:
    with pytest.raises(TwinsDisagree, match=r"input image \[1, 9, 8, 3\]"):
        pairing(model(inputs=(replace(PICTURE, shape=(1, 9, 8, 3)),)))


def test_another_number_of_tensors_is_told() -> None:
    with pytest.raises(TwinsDisagree, match="one has 2 outputs, the other 1"):
        pairing(model(outputs=(BOXES,)))


def test_a_shape_that_is_known_only_after_a_run_disagrees_with_nothing() -> None:
    assert pairing(model(outputs=(replace(BOXES, shape=()), SCORES))) == Pairing((0,), (0, 1))


def test_rounding_of_a_scale_is_no_disagreement() -> None:
    assert pairing(model(outputs=(replace(BOXES, scale=0.2500001), SCORES)))
