"""What an ONNX file says of itself, read from its bytes without any library.

ONNX is one protocol-buffers message. Only what this house must know before it hands the file to
a runtime is read: whether the message is whole, whether all weights are inside the file, and how
quantised inputs and outputs are scaled, which ONNX Runtime does not tell.

Field numbers are those of onnx.proto, which never change.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Which fields of a message hold which further messages, down to the tensors.
PARTS = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
MODEL_IR_VERSION, MODEL_GRAPH = 1, 7
GRAPH_NODE, GRAPH_INITIALIZER = 1, 5
NODE_INPUT, NODE_OUTPUT, NODE_KIND = 1, 2, 4
TENSOR_TYPE, TENSOR_FLOATS, TENSOR_INTEGERS = 2, 4, 5
TENSOR_NAME, TENSOR_RAW, TENSOR_PLACE = 8, 9, 14
PLACE_IS_EXTERNAL = 1

WIRE_VARINT, WIRE_64_BIT, WIRE_BYTES, WIRE_32_BIT = 0, 1, 2, 5
LONGEST_VARINT_BYTES = 10
DEEPEST_MESSAGE = 100  # a graph within a graph is four deeper; real files have two or three

# How the one number of a tensor is read from its raw bytes, by the tensor's type.
FORMATS = {1: "<f", 2: "<B", 3: "<b"}
FLOAT = 1


class NotOnnx(ValueError):
    """The bytes are no whole ONNX file; the text says why."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What an integer of a tensor means: real = (value - zero_point) * scale."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a message: its number, and an integer or the bytes that it holds."""

    number: int
    integer: int
    content: memoryview


def fault_of_onnx(content: bytes) -> str:
    """Return in a sentence why these bytes are no ONNX file that can be used; empty if they are."""
    try:
        _graph(content)
        tensors = _tensors(memoryview(content), "model", DEEPEST_MESSAGE)
        if any(_is_elsewhere(tensor) for tensor in tensors):
            return (
                "some of its weights lie in another file, which a pack cannot vouch for; "
                "export it into one file (torch.onnx.export: external_data=False)"
            )
    except NotOnnx as error:
        return str(error)
    return ""


def scalings(path: Path) -> dict[str, Scaling]:
    """Return how inputs and outputs of integers are scaled, by name.

    An input is scaled as the DequantizeLinear says that reads it, an output as the QuantizeLinear
    that makes it. Those scaled by channel, or by what is known only in a run, are left out.

    Raises:
        NotOnnx: The file is damaged.
        OSError: It cannot be read.
    """
    graph = _graph(path.read_bytes())
    constants = _constants(graph)
    found: dict[str, Scaling] = {}
    for field in _fields(graph):
        if field.number == GRAPH_NODE:
            found.update(_scaling_of_node(field.content, constants))
    return found


# --- the message ----------------------------------------------------------------------------


def _graph(content: bytes) -> memoryview:
    """Return the one graph of a model, the whole message walked once."""
    graph, has_version = None, False
    for field in _fields(memoryview(content)):
        if field.number == MODEL_GRAPH:
            graph = field.content
        elif field.number == MODEL_IR_VERSION:
            has_version = True
    if graph is None or not has_version:
        raise NotOnnx("no ONNX file: there is no graph in it")
    return graph


def _fields(message: memoryview) -> Iterator[_Field]:
    """Yield the fields of a message; groups, which ONNX has none of, are damage."""
    position, end = 0, len(message)
    while position < end:
        key, position = _varint(message, position)
        number, wire = key >> 3, key & 7
        integer, length = 0, 0
        if wire == WIRE_VARINT:
            integer, position = _varint(message, position)
        elif wire == WIRE_BYTES:
            length, position = _varint(message, position)
        elif wire in (WIRE_64_BIT, WIRE_32_BIT):
            length = 8 if wire == WIRE_64_BIT else 4
        else:
            raise NotOnnx(f"no ONNX file, or a damaged one: field type {wire}")
        if number == 0 or position + length > end:
            raise NotOnnx("no ONNX file, or one that was cut short: a field ends past its end")
        yield _Field(number, integer, message[position : position + length])
        position += length


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """Return an integer of seven bits a byte, and where the next field goes on."""
    value = 0
    for index, byte in enumerate(message[position : position + LONGEST_VARINT_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, position + index + 1
    raise NotOnnx("no ONNX file, or one that was cut short: a number does not end")


def _text(content: memoryview) -> str:
    return bytes(content).decode("utf-8", "replace")


# --- weights --------------------------------------------------------------------------------


def _tensors(message: memoryview, kind: str, deepest: int) -> Iterator[memoryview]:
    """Yield every tensor below a message, those of graphs within graphs too."""
    if kind == "tensor":
        yield message
        return
    if deepest == 0:
        raise NotOnnx("no ONNX file that can be used: its graphs are nested too deep")
    parts = PARTS[kind]
    for field in _fields(message):
        if field.number in parts:
            yield from _tensors(field.content, parts[field.number], deepest - 1)


def _is_elsewhere(tensor: memoryview) -> bool:
    return any(
        field.number == TENSOR_PLACE and field.integer == PLACE_IS_EXTERNAL
        for field in _fields(tensor)
    )


# --- scales ---------------------------------------------------------------------------------


def _constants(graph: memoryview) -> dict[str, float]:
    """Return the initializers that are a single number, by name."""
    found: dict[str, float] = {}
    for field in _fields(graph):
        if field.number == GRAPH_INITIALIZER:
            found.update(_single_number(field.content))
    return found


def _single_number(tensor: memoryview) -> dict[str, float]:
    """Return name and value of a tensor of one number; nothing if it is another one."""
    by_number = {field.number: field for field in _fields(tensor)}
    name = _text(by_number[TENSOR_NAME].content) if TENSOR_NAME in by_number else ""
    kind = by_number[TENSOR_TYPE].integer if TENSOR_TYPE in by_number else 0
    form = FORMATS.get(kind, "")
    # Writers put numbers into raw bytes or into a list, as they like.
    content = by_number.get(TENSOR_RAW) or by_number.get(TENSOR_FLOATS)
    if form and content is not None and len(content.content) == struct.calcsize(form):
        return {name: float(struct.unpack(form, content.content)[0])}
    if kind != FLOAT and form and TENSOR_INTEGERS in by_number:
        return _single_integer(name, by_number[TENSOR_INTEGERS])
    return {}


def _single_integer(name: str, field: _Field) -> dict[str, float]:
    """Return an integer that was written alone or as a list of one."""
    value, length = field.integer, 0
    if len(field.content):
        value, length = _varint(field.content, 0)
    if length != len(field.content):
        return {}
    # A negative number stands there as 64 bits, two's complement.
    return {name: float(value - (1 << 64) if value >> 63 else value)}


def _scaling_of_node(node: memoryview, constants: dict[str, float]) -> dict[str, Scaling]:
    kind, inputs, outputs = _node(node)
    names = {"DequantizeLinear": inputs[:1], "QuantizeLinear": outputs[:1]}.get(kind, [])
    if not names or len(inputs) < 2:
        return {}
    scale = constants.get(inputs[1])
    zero_point = constants.get(inputs[2]) if inputs[2:] else 0.0
    if scale is None or zero_point is None:
        return {}
    return {names[0]: Scaling(scale, int(zero_point))}


def _node(node: memoryview) -> tuple[str, list[str], list[str]]:
    """Return operator, inputs and outputs of a node."""
    texts: dict[int, list[str]] = {NODE_KIND: [], NODE_INPUT: [], NODE_OUTPUT: []}
    for field in _fields(node):
        if field.number in texts:
            texts[field.number].append(_text(field.content))
    return "".join(texts[NODE_KIND]), texts[NODE_INPUT], texts[NODE_OUTPUT]
