from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.inference.quantization import (
    dequantise,
    largest_real,
    raw_threshold,
    rows_at_least,
    softmax,
)
from camera_app.inference.runtime import Tensor

EVERY_INT8 = np.arange(-128, 128).astype(np.int8)


def int8_tensor(scale: float, zero_point: int) -> Tensor:
    return Tensor("t", EVERY_INT8, scale, zero_point)


def test_integers_become_real_numbers() -> None:
    tensor = Tensor("t", np.array([0, 128, 255], np.uint8), 0.5, 128)
    assert dequantise(tensor.values, tensor).tolist() == [-64.0, 0.0, 63.5]


def test_floats_stay_what_they_are() -> None:
    tensor = Tensor("t", np.array([0.25, -3.0], np.float32))
    assert dequantise(tensor.values, tensor).tolist() == [0.25, -3.0]


@given(
    minimum=st.floats(0.0, 1.0),
    scale=st.floats(1e-4, 0.1),
    zero_point=st.integers(-128, 127),
)
def test_comparing_integers_finds_what_comparing_real_numbers_finds(
    minimum: float, scale: float, zero_point: int
) -> None:
    tensor = int8_tensor(scale, zero_point)
    by_hand = np.flatnonzero(dequantise(EVERY_INT8, tensor) >= minimum)
    assert rows_at_least(EVERY_INT8, minimum, tensor).tolist() == by_hand.tolist()


def test_a_threshold_that_is_a_step_is_included() -> None:
    # 0.3 / 0.1 is a little below 3 in floating point, 3 * 0.1 a little above 0.3.
    tensor = int8_tensor(0.1, 0)
    assert raw_threshold(3 * 0.1, tensor) == 3
    assert raw_threshold(0.0, tensor) == 0


def test_a_threshold_that_no_value_reaches_finds_nothing() -> None:
    tensor = int8_tensor(0.001, 0)
    assert rows_at_least(EVERY_INT8, 0.9, tensor).tolist() == []


def test_a_threshold_below_all_values_finds_all() -> None:
    tensor = int8_tensor(0.01, -128)
    assert len(rows_at_least(EVERY_INT8, -5.0, tensor)) == 256


def test_a_float_column_is_compared_as_it_is() -> None:
    tensor = Tensor("t", np.array([0.1, 0.5, np.nan, 0.9], np.float32))
    assert rows_at_least(tensor.values, 0.5, tensor).tolist() == [1, 3]


def test_the_largest_value_depends_on_the_quantisation() -> None:
    assert largest_real(int8_tensor(1 / 256, -128)) == pytest.approx(255 / 256)


def test_softmax_makes_shares() -> None:
    shares = softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    np.testing.assert_allclose(shares, [[0.5, 0.5], [1.0, 0.0]])
