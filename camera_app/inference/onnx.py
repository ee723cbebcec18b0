"""ONNX Runtime behind the seam of `runtime.py`: an extra, for networks that come as ONNX files.

The same packs, decoders and errors as with TensorFlow Lite. Imported, and the library with it,
only when a pack has such a file.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camera_app.errors import DeviceRefused, ModelError, PackRejected
from camera_app.inference.installing import pip_call
from camera_app.inference.runtime import (
    Array,
    Outputs,
    Tensor,
    TensorSpec,
    check_inputs,
    last_words,
)
from camera_app.models import Scaling, scalings

DISTRIBUTION = "onnxruntime"
ERRORS_ONLY = 3  # of the library's levels of logging: 2 are warnings, 4 what it cannot survive
NO_SCALING = Scaling(0.0, 0)

# ONNX Runtime's word for the type of a tensor, and NumPy's.
TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(uint16)": "uint16",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}


def choose_onnx_runtime() -> OnnxRuntime:
    """Return ONNX Runtime.

    Raises:
        DeviceRefused: It is not installed, or cannot be used; it says what to type.
    """
    try:
        return OnnxRuntime(importlib.import_module(DISTRIBUTION))
    # As in `choose_runtime`: not there, or built for another system or NumPy.
    except (ImportError, AttributeError, ValueError) as error:
        raise DeviceRefused(
            f"this network is an ONNX file, and ONNX Runtime cannot be used: {last_words(error)}",
            remedy=f"Type: {pip_call()} install {DISTRIBUTION}",
        ) from error


class OnnxRuntime:
    """ONNX Runtime, on the CPU.

    Args:
        module: `onnxruntime`.
    """

    name = DISTRIBUTION

    def __init__(self, module: Any) -> None:
        self._module = module
        self._errors = foreign_errors(module)
        # Not a word to anybody outside, and none of advice on standard error.
        module.disable_telemetry_events()
        module.set_default_logger_severity(ERRORS_ONLY)

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.name)

    def load(self, path: Path) -> OnnxInterpreter:
        try:
            session = self._session(path)
            return OnnxInterpreter(session, scalings(path), self._errors, where=str(path))
        except self._errors as error:  # NotOnnx is a ValueError
            raise PackRejected(
                f"the runtime does not take this file: {last_words(error)}", where=str(path)
            ) from error

    def _session(self, path: Path) -> Any:
        options = self._module.SessionOptions()
        # One thread, for the reason given in `TfliteRuntime`.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        return self._module.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )


class OnnxInterpreter:
    """Drives one `InferenceSession`.

    Args:
        session: Of the library.
        scales: What integers mean, by the tensor's name.
        errors: All that the library raises.
        where: What error texts name.

    Raises:
        PackRejected: An input or output is none that this house can feed or read.
    """

    def __init__(
        self,
        session: Any,
        scales: dict[str, Scaling],
        errors: tuple[type[Exception], ...],
        *,
        where: str,
    ) -> None:
        self._session = session
        self._errors = errors
        self._where = where
        self.inputs = tuple(self._input(node, scales) for node in session.get_inputs())
        self.outputs = tuple(self._output(node, scales) for node in session.get_outputs())

    def invoke(self, inputs: Sequence[Array]) -> Outputs:
        check_inputs(inputs, self.inputs, where=self._where)
        named = {spec.name: array for spec, array in zip(self.inputs, inputs, strict=True)}
        try:
            values = self._session.run(None, named)
        except self._errors as error:
            raise ModelError(
                f"the network failed to run: {last_words(error)}", where=self._where
            ) from error
        return tuple(
            Tensor(spec.name, array, spec.scale, spec.zero_point)
            for spec, array in zip(self.outputs, values, strict=True)
        )

    def _input(self, node: Any, scales: dict[str, Scaling]) -> TensorSpec:
        # A first dimension that is left open is the batch, and one picture is looked at at once.
        batch, *sides = [*node.shape] or [1]
        shape = (batch if isinstance(batch, int) else 1, *sides) if node.shape else ()
        if not all(isinstance(side, int) and side > 0 for side in shape):
            raise PackRejected(
                f"input {node.name} has sides that are not fixed: {node.shape}",
                where=self._where,
                remedy="Export the network for one size of picture, without dynamic axes",
            )
        return self._spec(node, shape, scales)

    def _output(self, node: Any, scales: dict[str, Scaling]) -> TensorSpec:
        """Return an output; where only the batch is open, it is one, as that of the input is."""
        batch, *sides = [*node.shape] or [1]
        is_fixed = all(isinstance(side, int) for side in sides)
        shape = (batch if isinstance(batch, int) else 1, *sides) if node.shape and is_fixed else ()
        return self._spec(node, shape, scales)

    def _spec(self, node: Any, shape: tuple[int, ...], scales: dict[str, Scaling]) -> TensorSpec:
        dtype = TYPES.get(node.type)
        if dtype is None:
            raise PackRejected(
                f"tensor {node.name} is of type {node.type}, expected one of {', '.join(TYPES)}",
                where=self._where,
            )
        scaling = scales.get(node.name, NO_SCALING)
        return TensorSpec(node.name, shape, dtype, scaling.scale, scaling.zero_point)


def foreign_errors(module: Any) -> tuple[type[Exception], ...]:
    """Return every kind of error that ONNX Runtime raises: they have no base of their own."""
    state = importlib.import_module(f"{module.__name__}.capi.onnxruntime_pybind11_state")
    kinds = (kind for kind in vars(state).values() if isinstance(kind, type))
    # The first three come of C++ that throws what has no kind, of a value that cannot be made an
    # array, and of a file that goes away meanwhile.
    return (
        RuntimeError,
        ValueError,
        OSError,
        *(kind for kind in kinds if issubclass(kind, Exception)),
    )
