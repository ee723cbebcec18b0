"""The twin rule: the two files of a pack are one network, tensor by tensor. Pure.

What comes out of the stick is handed on under the names and in the order of the CPU's file, so
that whoever prepares inputs and decodes outputs need not know which of the two ran.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

from camera_app.inference.edgetpu.wire import LoadedModel
from camera_app.inference.runtime import TensorSpec

# Compilers write scales anew; a real difference is far larger than the rounding of a float32.
SAME_SCALE = 1e-5


class TwinsDisagree(Exception):
    """The files are not of one network; the text names tensors of both."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """Which tensor of the one file is which of the other.

    Attributes:
        inputs: For each input of the Edge TPU's file, its place among those of the CPU's.
        outputs: For each output of the CPU's file, its place among those of the Edge TPU's.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def pairing(model: LoadedModel) -> Pairing:
    """Pair the tensors of both files.

    Raises:
        TwinsDisagree: They differ in number, shape, type or quantisation.
    """
    inputs = _twins_of("input", model.inputs, model.twin_inputs)
    outputs = _twins_of("output", model.twin_outputs, model.outputs)
    for spec, place in zip(model.inputs, inputs, strict=True):
        _require_alike("input", model.twin_inputs[place], spec)
    for spec, place in zip(model.twin_outputs, outputs, strict=True):
        _require_alike("output", spec, model.outputs[place])
    return Pairing(inputs, outputs)


def _twins_of(
    kind: str, specs: Sequence[TensorSpec], others: Sequence[TensorSpec]
) -> tuple[int, ...]:
    """Return the place of each tensor's twin: by name if all names are alike, else by order."""
    if len(specs) != len(others):
        raise TwinsDisagree(f"one has {len(specs)} {kind}s, the other {len(others)}")
    names = [spec.name for spec in specs]
    other_names = [spec.name for spec in others]
    if len(set(names)) == len(names) and set(names) == set(other_names):
        return tuple(other_names.index(name) for name in names)
    return tuple(range(len(specs)))


def _require_alike(kind: str, cpu: TensorSpec, edgetpu: TensorSpec) -> None:
    # An empty shape, on either side, is one that is known only after a run.
    is_same_shape = not (cpu.shape and edgetpu.shape) or cpu.shape == edgetpu.shape
    is_same_scale = isclose(cpu.scale, edgetpu.scale, rel_tol=SAME_SCALE)
    is_alike = is_same_shape and is_same_scale and cpu.zero_point == edgetpu.zero_point
    if not is_alike or cpu.dtype != edgetpu.dtype:
        raise TwinsDisagree(f"{kind} {_told(edgetpu)} there, {_told(cpu)} here")


def _told(spec: TensorSpec) -> str:
    return f"{spec} (scale {spec.scale:g}, zero point {spec.zero_point})"
