"""From the integers of a network to real numbers, and thresholds the other way.

Nearly all rows of a network's output are below the threshold. Comparing them as the integers
that they are, and turning only the rest into real numbers, is what makes decoding quick.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_app.inference.runtime import Tensor

Array = npt.NDArray[Any]
Reals = npt.NDArray[np.float64]


def dequantise(values: Array, tensor: Tensor) -> Reals:
    """Return values of a tensor, or a part of them, as real numbers."""
    if tensor.scale and values.dtype.itemsize == 1:
        return _table(values.dtype.char, tensor.scale, tensor.zero_point)[values.view(np.uint8)]
    real = values.astype(np.float64)
    if tensor.scale:
        real -= tensor.zero_point
        real *= tensor.scale
    return real


@lru_cache(maxsize=64)
def _table(kind: str, scale: float, zero_point: int) -> Reals:
    """Return the real number of each of the 256 bytes of an int8 or uint8 tensor."""
    numbers = np.arange(256, dtype=np.uint8).view(kind).astype(np.float64)
    return (numbers - zero_point) * scale


def raw_threshold(minimum: float, tensor: Tensor) -> float:
    """Return the least raw value of a tensor whose real value is at least `minimum`.

    For a quantised tensor a whole number, possibly outside what its type can hold: then all
    values are above it, or none is.
    """
    if not tensor.scale:
        return minimum
    steps = math.ceil(minimum / tensor.scale)
    # The division rounds: look at the neighbours rather than trust it.
    if (steps - 1) * tensor.scale >= minimum:
        steps -= 1
    elif steps * tensor.scale < minimum:
        steps += 1
    return steps + tensor.zero_point


def rows_at_least(column: Array, minimum: float, tensor: Tensor) -> npt.NDArray[np.intp]:
    """Return the indexes of a column's values that are really `minimum` or more."""
    threshold = raw_threshold(minimum, tensor)
    if tensor.scale:
        limits = np.iinfo(column.dtype)
        if threshold > limits.max:
            return np.empty(0, np.intp)
        threshold = max(int(threshold), int(limits.min))
    return np.flatnonzero(column >= threshold)


def largest_real(tensor: Tensor) -> float:
    """Return the largest real value that a quantised tensor can hold; infinite for a float one."""
    if not tensor.scale:
        return math.inf
    return float((np.iinfo(tensor.values.dtype).max - tensor.zero_point) * tensor.scale)


def softmax(rows: Reals) -> Reals:
    """Return each row as shares that sum to one."""
    powers = np.exp(rows - rows.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
