"""The seam to the libraries that run networks, and the one for TensorFlow Lite files.

LiteRT where it is installed, else its forerunner tflite-runtime. Both have the same Python face,
so one class drives both. Nothing is imported before a runtime is chosen. ONNX files are the
business of `onnx.py`; which of the two a file needs is told in `choice.py`.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from camera_app.errors import DeviceRefused, ModelError, ModelOutputError, PackRejected
from camera_app.inference.installing import pip_call

Array = npt.NDArray[Any]

# Module with the Interpreter class and distribution that carries it, best first.
KNOWN_RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)
CHATTER = b"INFO: Created TensorFlow Lite XNNPACK delegate"
LONGEST_REASON = 300

# File descriptor 2 belongs to the whole process: one redirection at a time.
_stderr_turn = threading.Lock()


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor of a file, without its values.

    Attributes:
        name: As the file says.
        shape: All dimensions; empty when they are known only after a run.
        dtype: NumPy's name of the type.
        scale: Of the quantisation: real = (value - zero_point) * scale; 0.0 if there is none.
        zero_point: Of the quantisation.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    def __str__(self) -> str:
        return f"{self.name} {list(self.shape)} {self.dtype}"


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """An output of one run, as its network gave it.

    Attributes:
        name: As the file says.
        values: Own copy, of the file's type.
        scale: As in `TensorSpec`.
        zero_point: As in `TensorSpec`.
    """

    name: str
    values: Array
    scale: float = 0.0
    zero_point: int = 0


Outputs = Sequence[Tensor]


class Interpreter(Protocol):
    """One loaded network. One thread at a time."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The input tensors, in the order of `invoke`."""

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """The output tensors, in the order of what `invoke` returns."""

    def invoke(self, inputs: Sequence[Array]) -> Outputs:
        """Run the network once; inputs must be contiguous, of the right shape and type."""


class Runtime(Protocol):
    """A library that loads networks."""

    @property
    def name(self) -> str:
        """The distribution's name."""

    @property
    def version(self) -> str:
        """Its version."""

    def load(self, path: Path) -> Interpreter:
        """Load a network, one thread wide.

        Raises:
            PackRejected: The library does not take the file.
        """


class TfliteRuntime:
    """LiteRT or tflite-runtime: which of them, the module decides."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self.name = name

    @property
    def version(self) -> str:
        return importlib.metadata.version(self.name)

    def load(self, path: Path) -> TfliteInterpreter:
        return TfliteInterpreter(lambda: self._open(path), where=str(path))

    def load_delegate(self, library: str, options: Mapping[str, str]) -> Any:
        """Return what plugs a device into networks of this runtime.

        Raises:
            ValueError: The library made none; it does not say why.
            AttributeError: It is no library of that kind.
        """
        return self._module.load_delegate(library, dict(options))

    def load_on(self, path: Path, delegate: Any) -> TfliteInterpreter:
        """Load a network onto the device of a delegate.

        What the libraries print meanwhile is passed on as it comes, for one may crash here.

        Raises:
            PackRejected: The library does not take the file.
        """

        def opened() -> Any:
            delegates = [delegate]
            interpreter = self._module.Interpreter(
                model_path=str(path), num_threads=1, experimental_delegates=delegates
            )
            interpreter.allocate_tensors()
            return interpreter

        return TfliteInterpreter(opened, where=str(path))

    def _open(self, path: Path) -> Any:
        # One thread: a second one helps only where a core is idle, and hurts where none is.
        # More throughput comes from more interpreters.
        with _without_chatter():
            interpreter = self._module.Interpreter(model_path=str(path), num_threads=1)
            interpreter.allocate_tensors()
        return interpreter


class TfliteInterpreter:
    """Drives the Python class `Interpreter` that both libraries have.

    Args:
        open_interpreter: Makes one, ready to invoke.
        where: What error texts name.

    Raises:
        PackRejected: The library does not take the file.
    """

    def __init__(self, open_interpreter: Callable[[], Any], *, where: str) -> None:
        self._open_interpreter = open_interpreter
        self._where = where
        # None after a failure: the library repeats all earlier error texts on an interpreter
        # that has failed, longer every time, so such a one is replaced.
        self._interpreter: Any | None = self._opened()
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        self.inputs = tuple(_spec(details) for details in inputs)
        self.outputs = tuple(_spec(details) for details in outputs)
        self._input_indexes = [int(details["index"]) for details in inputs]
        self._output_indexes = [int(details["index"]) for details in outputs]

    def _opened(self) -> Any:
        try:
            return self._open_interpreter()
        # UnicodeDecodeError, a ValueError, comes of garbage that the library tries to print.
        except (ValueError, RuntimeError, OSError) as error:
            raise PackRejected(
                f"the runtime does not take this file: {last_words(error)}", where=self._where
            ) from error

    def invoke(self, inputs: Sequence[Array]) -> Outputs:
        check_inputs(inputs, self.inputs, where=self._where)
        if self._interpreter is None:
            self._interpreter = self._opened()
        try:
            return self._invoke(self._interpreter, inputs)
        except (ValueError, RuntimeError) as error:
            self._interpreter = None
            raise ModelError(
                f"the network failed to run: {last_words(error)}", where=self._where
            ) from error

    def _invoke(self, interpreter: Any, inputs: Sequence[Array]) -> Outputs:
        for index, array in zip(self._input_indexes, inputs, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return tuple(
            Tensor(spec.name, interpreter.get_tensor(index), spec.scale, spec.zero_point)
            for spec, index in zip(self.outputs, self._output_indexes, strict=True)
        )


def _spec(details: Any) -> TensorSpec:
    scale, zero_point = details["quantization"]
    return TensorSpec(
        name=str(details["name"]),
        shape=tuple(int(side) for side in details["shape"]),
        dtype=np.dtype(details["dtype"]).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def check_inputs(inputs: Sequence[Array], specs: Sequence[TensorSpec], *, where: str) -> None:
    """Refuse arrays that are not, in shape and type, what a network expects.

    Raises:
        ModelOutputError: It names both.
    """
    found = [(array.shape, array.dtype.name) for array in inputs]
    expected = [(spec.shape, spec.dtype) for spec in specs]
    if found != expected:
        raise ModelOutputError(
            f"the network expects inputs {expected}, was given {found}", where=where
        )


def last_words(error: Exception) -> str:
    """Return the end of a foreign error's text on one line: there stands what happened last."""
    return " ".join(str(error).split())[-LONGEST_REASON:]


def choose_runtime(name: str = "") -> TfliteRuntime:
    """Return the best runtime that is installed, or the one of this name.

    Raises:
        DeviceRefused: There is none; it says what to type.
    """
    reasons = []
    for module_name, distribution in KNOWN_RUNTIMES:
        if name not in ("", distribution):
            continue
        try:
            return TfliteRuntime(importlib.import_module(module_name), distribution)
        # ImportError: not there, or its library needs a newer system. AttributeError and
        # ValueError: built for another NumPy.
        except (ImportError, AttributeError, ValueError) as error:
            reasons.append(f"{distribution}: {last_words(error)}")
    raise DeviceRefused(
        f"no runtime for networks can be used ({'; '.join(reasons)})",
        remedy=f"Type: {pip_call()} install ai-edge-litert",
    )


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Keep the library's one known line of chatter off standard error; pass all else on."""
    with _stderr_turn, tempfile.TemporaryFile() as catch:
        try:
            saved = os.dup(2)
        except OSError:  # a service may have no standard error: nothing to keep clean
            yield
            return
        os.dup2(catch.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            catch.seek(0)
            _pass_on(catch.read())


def _pass_on(text: bytes) -> None:
    kept = b"".join(line for line in text.splitlines(True) if not line.startswith(CHATTER))
    with suppress(OSError):  # nobody reads it: then nobody misses it
        while kept:
            kept = kept[os.write(2, kept) :]
