"""Takes single operators out of a `.tflite` file, each as a network of its own.

The runtimes' Python face times and shows whole networks only. An operator that stands alone can be
timed, and can be fed with whatever its error is to be seen with.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from camera_app.inference import Interpreter, choose_runtime
from tools.workshop.tflite_graph import parse, read_content

IDENTIFIER = b"TFL3"
INITIAL_BYTES = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """One operator as a network.

    Attributes:
        content: The file's bytes.
        inputs: Which tensors of the whole file the caller fills, in order.
        outputs: Which tensors of the whole file come out, in order.
    """

    content: bytes
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    def load(self) -> Interpreter:
        """Make it ready to run.

        Raises:
            PackRejected: The operator does not run alone.
        """
        with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
            file.write(self.content)
            file.flush()
            return choose_runtime().load(Path(file.name))  # keeps hold of it after it is gone


class Cutter:
    """Cuts operators out of one file.

    Args:
        path: The file.

    Raises:
        WorkshopError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._model = parse(read_content(path), where=str(path))
        self._subgraph = self._model.subgraphs[0]

    def operator(self, index: int) -> Cut:
        """Return one operator, by its place in the order of execution."""
        operator = self._subgraph.operators[index]
        given = [int(i) for i in operator.inputs if i >= 0]
        # A tensor that is read twice, as by x * x, is one input.
        inputs = tuple(dict.fromkeys(i for i in given if not self._is_constant(i)))
        outputs = tuple(int(i) for i in operator.outputs)
        return Cut(self._packed(operator, inputs, outputs), inputs, outputs)

    def _is_constant(self, index: int) -> bool:
        data = self._model.buffers[self._subgraph.tensors[index].buffer].data
        return data is not None and len(data) > 0

    def _packed(self, operator: Any, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        used = list(dict.fromkeys((*inputs, *(i for i in operator.inputs if i >= 0), *outputs)))
        places = {old: new for new, old in enumerate(used)}
        alone = copy.copy(operator)
        alone.opcodeIndex = 0
        alone.inputs = [places.get(int(i), -1) for i in operator.inputs]
        alone.outputs = [places[i] for i in outputs]
        # They stood for state, such as an LSTM's, whose tensors do not come along.
        alone.intermediates = alone.mutatingVariableInputs = None
        subgraph = schema.SubGraphT()
        subgraph.operators = [alone]
        subgraph.inputs = [places[i] for i in inputs]
        subgraph.outputs = alone.outputs
        buffers = [schema.BufferT()]
        subgraph.tensors = list(self._tensors(used, buffers))
        model = schema.ModelT()
        model.version = self._model.version
        model.operatorCodes = [self._model.operatorCodes[operator.opcodeIndex]]
        model.subgraphs = [subgraph]
        model.buffers = buffers
        builder = flatbuffers.Builder(INITIAL_BYTES)
        builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
        return bytes(builder.Output())

    def _tensors(self, used: Sequence[int], buffers: list[Any]) -> Iterator[Any]:
        """Yield copies of tensors; the buffers of constants are added to a list."""
        for index in used:
            tensor = copy.copy(self._subgraph.tensors[index])
            if self._is_constant(index):
                buffers.append(self._model.buffers[tensor.buffer])
                tensor.buffer = len(buffers) - 1
            else:
                tensor.buffer = 0
            yield tensor
