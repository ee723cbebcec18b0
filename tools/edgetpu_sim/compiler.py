"""Compiles a quantized network for the simulated Edge TPU.

The result needs a delegate, as one of the real compiler does, and splits like it in a head and a
tail for the CPU; but between its two custom operators, which only copy, the network's own operators
stand, so that the runtime's own kernels compute what an Edge TPU would. It is no use on a real one.
The split is a simple rule, right for most networks; `tools.workshop lint` knows the details.

A blank file has one operator instead, and nothing is computed: whatever it is given, all its
outputs are as low as they can be. What an answer takes is the simulated chip's time alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from tools.edgetpu_sim.errors import SimulationError
from tools.workshop.tflite_graph import kind_of, parse, read_content

CUSTOM_CODE = b"edgetpu-custom-op"
COPY_OPTIONS = b"SIMCOPY1"
BLANK_OPTIONS = b"SIMBLANK"  # followed by the byte that fills each output
IDENTIFIER = b"TFL3"
INITIAL_BYTES = 1 << 20
# Types of the chip's tensors, and the byte of the lowest value of each.
LOWEST = {schema.TensorType.INT8: 0x80, schema.TensorType.UINT8: 0x00}
# The old, one-byte field of an operator code says this for all that came after it was full.
CUSTOM_BUILTIN = schema.BuiltinOperator.CUSTOM


@dataclass(frozen=True, slots=True)
class Compiled:
    """What was made of a network.

    Attributes:
        content: The new file's bytes.
        head: Operators before the part on the Edge TPU.
        claimed: Operators in it.
        tail: Operators behind it.
    """

    content: bytes
    head: int
    claimed: int
    tail: int


@dataclass(frozen=True, slots=True)
class _Split:
    head: list[Any]
    claimed: list[Any]
    tail: list[Any]


def compile_file(source: Path, target: Path, *, is_blank: bool = False) -> Compiled:
    """Compile one file into another; see `compile_network`.

    Raises:
        SimulationError: It has nothing that an Edge TPU runs.
        WorkshopError: It cannot be read, or is no network.
    """
    compiled = compile_network(read_content(source), where=str(source), is_blank=is_blank)
    target.write_bytes(compiled.content)
    return compiled


def compile_network(content: bytes, *, where: str, is_blank: bool = False) -> Compiled:
    """Compile a network's bytes.

    Args:
        content: Of the file.
        where: What errors name.
        is_blank: Nothing is computed, and every output is as low as it can be: detectors whose
            scores are among them find nothing.

    Raises:
        SimulationError: As `compile_file`.
        WorkshopError: The same.
    """
    model = parse(content, where=where)
    graph = model.subgraphs[0]
    if any(kind_of(code) == (CUSTOM_CODE.decode(), True) for code in model.operatorCodes):
        raise SimulationError("is compiled already", where=where)
    split = _split(model, graph)
    if not split.claimed:
        raise SimulationError(
            "has no operator that an Edge TPU would run",
            where=where,
            remedy="Quantize it to int8 in and out first",
        )
    if is_blank:
        _leave_out(model, graph, split)
    else:
        _bracket(model, graph, split)
    builder = flatbuffers.Builder(INITIAL_BYTES)
    builder.Finish(model.Pack(builder), file_identifier=IDENTIFIER)
    return Compiled(bytes(builder.Output()), len(split.head), len(split.claimed), len(split.tail))


def _split(model: Any, graph: Any) -> _Split:
    split = _Split([], [], [])
    behind: set[int] = set()  # what depends on an operator that was refused after the part began
    for operator in graph.operators:
        if _suits(model, graph, operator) and behind.isdisjoint(_given(operator)):
            split.claimed.append(operator)
        elif not split.claimed:
            split.head.append(operator)
        else:
            split.tail.append(operator)
            behind.update(int(i) for i in operator.outputs)
    return split


def _suits(model: Any, graph: Any, operator: Any) -> bool:
    _, is_custom = kind_of(model.operatorCodes[operator.opcodeIndex])
    flowing = [*_computed(model, graph, operator), *(int(i) for i in operator.outputs)]
    return not is_custom and all(graph.tensors[i].type in LOWEST for i in flowing)


def _given(operator: Any) -> list[int]:
    return [int(i) for i in operator.inputs if i >= 0]


def _computed(model: Any, graph: Any, operator: Any) -> list[int]:
    return [i for i in _given(operator) if not _is_constant(model, graph.tensors[i])]


def _is_constant(model: Any, tensor: Any) -> bool:
    if tensor.buffer == 0:  # the empty one by convention, and some files leave out even that
        return False
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0


def _leave_out(model: Any, graph: Any, split: _Split) -> None:
    """Put one operator in the place of those claimed; it says of each output what is least."""
    entering, leaving = _borders(model, graph, split)
    least = bytes(LOWEST[graph.tensors[i].type] for i in leaving)
    operator = _custom(_add_custom_code(model), BLANK_OPTIONS + least, entering, leaving)
    graph.operators = [*split.head, operator, *split.tail]


def _borders(model: Any, graph: Any, split: _Split) -> tuple[list[int], list[int]]:
    """Return the tensors that go into the claimed operators, and those that come out of them."""
    made = _ordered(i for operator in split.claimed for i in map(int, operator.outputs))
    read = _ordered(i for operator in split.claimed for i in _computed(model, graph, operator))
    wanted = {i for operator in split.tail for i in _given(operator)}
    wanted.update(int(i) for i in graph.outputs)
    return [i for i in read if i not in set(made)], [i for i in made if i in wanted]


def _bracket(model: Any, graph: Any, split: _Split) -> None:
    """Put the claimed operators between two that copy what goes in and what comes out."""
    entering, leaving = _borders(model, graph, split)
    clones = {i: _clone(graph, i) for i in (*entering, *leaving)}
    for operator in split.claimed:
        operator.inputs = [clones.get(int(i), int(i)) for i in operator.inputs]
        operator.outputs = [clones.get(int(i), int(i)) for i in operator.outputs]
    code = _add_custom_code(model)
    begin = _custom(code, COPY_OPTIONS, entering, [clones[i] for i in entering])
    end = _custom(code, COPY_OPTIONS, [clones[i] for i in leaving], leaving)
    graph.operators = [*split.head, begin, *split.claimed, end, *split.tail]


def _ordered(indexes: Iterable[int]) -> list[int]:
    return list(dict.fromkeys(indexes))


def _clone(graph: Any, index: int) -> int:
    clone = copy.copy(graph.tensors[index])
    clone.name = (clone.name or b"") + b"_sim"
    clone.buffer = 0
    graph.tensors.append(clone)
    return len(graph.tensors) - 1


def _add_custom_code(model: Any) -> int:
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = CUSTOM_BUILTIN
    code.customCode = CUSTOM_CODE
    code.version = 1
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _custom(code: int, options: bytes, sources: list[int], targets: list[int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = sources
    operator.outputs = targets
    operator.customOptions = list(options)
    return operator
