"""Which output is which, and whether it is what the family promises.

A file may list its outputs in any order, so each is found by name or shape. Whatever does not
fit is refused with the tensor named, rather than decoded into nonsense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_app.errors import ModelOutputError
from camera_app.inference.runtime import Outputs, Tensor, TensorSpec

Reals = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What a decoder found, best first.

    Attributes:
        boxes: (n, 4) as left, top, right, bottom in pixels of the input, clipped to the frame.
        scores: (n,), 0.0 to 1.0.
        classes: (n,) indexes of labels.
        points: (n, k, 2) as x, y in pixels of the input; k may be 0.
    """

    boxes: Reals
    scores: Reals
    classes: Indexes
    points: Reals

    @classmethod
    def nothing(cls, points: int = 0) -> Found:
        return cls(np.empty((0, 4)), np.empty(0), np.empty(0, np.intp), np.empty((0, points, 2)))


@dataclass(frozen=True, slots=True)
class Role:
    """An output as a family expects it.

    Attributes:
        family: The family.
        role: What it calls the output.
        shape: What its shape must be.
        index: Where in the outputs it stands.
    """

    family: str
    role: str
    shape: tuple[int, ...]
    index: int

    def of(self, outputs: Outputs) -> Tensor:
        """Return this output of one run.

        Raises:
            ModelOutputError: Its shape is another one; it may be known only now.
        """
        tensor = outputs[self.index]
        if tensor.values.shape != self.shape:
            raise mismatch(self.family, self.role, str(list(self.shape)), tensor)
        return tensor


def find_role(
    outputs: Sequence[TensorSpec],
    family: str,
    role: str,
    shape: tuple[int, ...],
    names: Mapping[str, str],
) -> Role:
    """Return the one output of this shape, or of the name that the pack gives to this role.

    Raises:
        ModelOutputError: There is none, or more than one.
    """
    name = names.get(role)
    fitting = [
        index
        for index, spec in enumerate(outputs)
        if spec.shape == shape and name in (None, spec.name)
    ]
    if len(fitting) == 1:
        return Role(family, role, shape, fitting[0])
    number = "none" if not fitting else f"{len(fitting)} of them"
    called = f" named {name}" if name else ""
    raise ModelOutputError(
        f"family {family} expects one output{called} {list(shape)} ({role}), found {number}; "
        f"the file has {listing(outputs)}",
        remedy=f"Name the right one in the manifest: decode.outputs.{role}" if fitting else "",
    )


def expect_count(outputs: Sequence[TensorSpec], family: str, roles: Sequence[str]) -> None:
    """Refuse a file with more or fewer outputs than the family has.

    Raises:
        ModelOutputError: It names both.
    """
    if len(outputs) != len(roles):
        raise ModelOutputError(
            f"family {family} expects {len(roles)} outputs ({', '.join(roles)}), "
            f"the file has {len(outputs)}: {listing(outputs)}"
        )


def listing(specs: Sequence[TensorSpec]) -> str:
    """Return tensors as an error text names them."""
    return ", ".join(str(spec) for spec in specs) or "none"


def mismatch(family: str, role: str, expected: str, tensor: Tensor) -> ModelOutputError:
    """Return the error for an output that is not what its family expects there."""
    found = f"{list(tensor.values.shape)} {tensor.values.dtype.name}"
    return ModelOutputError(
        f"family {family} expects output {tensor.name} ({role}) as {expected}, got {found}"
    )


def corners(centres: Reals, sizes: Reals) -> Reals:
    """Return boxes (n, 4) as left, top, right, bottom from centres and sizes, both (n, 2)."""
    half = sizes / 2
    return np.hstack((centres - half, centres + half))


def clipped(boxes: Reals, bounds: Reals) -> Reals:
    """Return boxes with what lies outside the frame cut off.

    Before boxes suppress each other, not after: two boxes that go on differently outside the
    frame may be the same inside it.

    Args:
        boxes: (n, 4).
        bounds: (2, 4), the least and greatest left, top, right, bottom inside the frame, in
            pixels of the input.
    """
    return np.asarray(np.minimum(np.maximum(boxes, bounds[0]), bounds[1]))


def best_first(keep: Indexes, boxes: Reals, scores: Reals, classes: npt.NDArray[Any]) -> Found:
    """Return the kept boxes; families without landmarks."""
    return Found(boxes[keep], scores[keep], classes[keep], np.empty((len(keep), 0, 2)))
