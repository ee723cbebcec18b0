"""What a `.tflite` file says, as frozen values: operators, tensors, and who feeds whom.

Reads only, and runs nothing. Which operators suit an Edge TPU is the business of `edgetpu_rules`;
taking single operators out of a file that of `tflite_cut`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tools.workshop.errors import WorkshopError

Array = npt.NDArray[Any]

# What the reader of a damaged file raises: it follows offsets without looking.
DAMAGE = (
    struct.error,
    ValueError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)
# Not every type has a counterpart in NumPy: values of the others are not offered.
NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT64": np.dtype("<i8"),
    "INT32": np.dtype("<i4"),
    "INT16": np.dtype("<i2"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
# Beyond this much a file keeps buffers behind its tree, at an offset and not in it.
FIRST_REAL_OFFSET = 2
MULTIPLIERS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How whole numbers stand for real ones: real = (value - zero point) * scale.

    Attributes:
        scales: One for the tensor, or one a channel.
        zero_points: As many.
        axis: Along which the channels lie.
    """

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def is_per_channel(self) -> bool:
        """Whether channels have scales of their own."""
        return len(self.scales) > 1


@dataclass(frozen=True, slots=True, eq=False)
class GraphTensor:
    """What flows between operators, or a constant.

    Attributes:
        index: In the file.
        name: As the file says; converters join the names of fused layers by semicolons.
        shape: Dimensions; a scalar has none.
        open_axes: Dimensions that the caller may choose; the shape has a stand-in of 1 for them.
        dtype: As the schema names it, such as `INT8`.
        quantisation: None for a tensor without.
        byte_count: Of the values of a constant in the file; 0 for what is computed.
        values: Of a constant, as they stand in the file; None if computed, or of a rare type.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    open_axes: tuple[int, ...]
    dtype: str
    quantisation: Quantisation | None
    byte_count: int
    values: Array | None = field(repr=False)

    @property
    def is_constant(self) -> bool:
        """Whether its values stand in the file."""
        return self.byte_count > 0

    @property
    def element_count(self) -> int:
        """How many values it has."""
        return math.prod(self.shape)

    @property
    def short_name(self) -> str:
        """The name of the layer that it comes from, without those that were fused into it."""
        parts = self.name.split(";", 1)[0].removesuffix(":0").split("/")
        return "/".join(_unqualified(part) for part in parts)


@dataclass(frozen=True, slots=True, eq=False)
class Operator:
    """One step of the network.

    Attributes:
        index: In the order of execution.
        kind: As the schema names it, such as `CONV_2D`; a custom one as its author did.
        version: Of the operator, as the file asks for it.
        is_custom: It is none of the schema's.
        inputs: Tensors in order; None for one left out.
        outputs: Tensors in order.
        options: Of the kind, as the schema names them, such as `strideW`.
    """

    index: int
    kind: str
    version: int
    is_custom: bool
    inputs: tuple[GraphTensor | None, ...]
    outputs: tuple[GraphTensor, ...]
    options: Mapping[str, Any]

    @property
    def name(self) -> str:
        """What its layer is called: the name of what comes out."""
        return self.outputs[0].short_name if self.outputs else self.kind

    @property
    def given(self) -> tuple[GraphTensor, ...]:
        """The inputs that are there."""
        return tuple(tensor for tensor in self.inputs if tensor is not None)

    @property
    def computed(self) -> tuple[GraphTensor, ...]:
        """The inputs that other operators, or the caller, fill."""
        return tuple(tensor for tensor in self.given if not tensor.is_constant)

    @property
    def constants(self) -> tuple[GraphTensor, ...]:
        """The inputs whose values stand in the file."""
        return tuple(tensor for tensor in self.given if tensor.is_constant)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network as its file describes it; its first subgraph.

    Attributes:
        size_bytes: Of the file.
        subgraph_count: More than one means branches or loops.
        tensors: By index.
        operators: In the order of execution.
        inputs: What the caller fills.
        outputs: What the caller reads.
    """

    size_bytes: int
    subgraph_count: int
    tensors: tuple[GraphTensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]

    @property
    def producers(self) -> dict[int, Operator]:
        """Which operator fills a tensor, by the tensor's index."""
        return {
            tensor.index: operator for operator in self.operators for tensor in operator.outputs
        }

    @property
    def consumers(self) -> dict[int, tuple[Operator, ...]]:
        """Which operators read a tensor, by the tensor's index."""
        found: dict[int, list[Operator]] = {}
        for operator in self.operators:
            for tensor in operator.given:
                found.setdefault(tensor.index, []).append(operator)
        return {index: tuple(operators) for index, operators in found.items()}

    @property
    def parameter_count(self) -> int:
        """Learnt values: constants that are no shapes, axes or indices."""
        weights = {
            tensor.index: tensor.element_count
            for operator in self.operators
            for tensor in weights_of(operator)
        }
        return sum(weights.values())

    @property
    def mac_count(self) -> int:
        """Multiplications with additions of one run, of the kinds that do nearly all of them."""
        return sum(macs_of(operator) for operator in self.operators)


def weights_of(operator: Operator) -> Iterator[GraphTensor]:
    """Yield the constants of an operator that were learnt."""
    for position, tensor in enumerate(operator.inputs):
        if tensor is None or not tensor.is_constant:
            continue
        is_bias = operator.kind in MULTIPLIERS and position >= 1
        if is_bias or tensor.dtype not in ("INT32", "INT64", "BOOL", "STRING"):
            yield tensor


def macs_of(operator: Operator) -> int:
    """Return the multiplications with additions of one operator; 0 for kinds that do few."""
    if operator.kind not in MULTIPLIERS or len(operator.given) < 2:
        return 0
    output = operator.outputs[0].element_count
    first, second = operator.given[0], operator.given[1]
    match operator.kind:
        case "CONV_2D":
            return output * math.prod(second.shape[1:])
        case "DEPTHWISE_CONV_2D":
            return output * math.prod(second.shape[1:3])
        case "FULLY_CONNECTED":
            return output * second.shape[-1]
        case _:  # TRANSPOSE_CONV: shape, filter, input
            source = operator.given[2] if len(operator.given) > 2 else first
            return source.element_count * math.prod(second.shape[:3])


def read_graph(path: Path) -> Graph:
    """Read a file.

    Raises:
        WorkshopError: There is none, or it is no TFLite file, or a damaged one.
    """
    content = read_content(path)
    model = parse(content, where=str(path))
    try:
        return _graph(model, len(content))
    except DAMAGE as error:
        raise _damaged(str(path), error) from error


def read_content(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        WorkshopError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise WorkshopError(
            f"cannot be read: {error.strerror or error}", where=str(path)
        ) from error


def parse(content: bytes, *, where: str) -> Any:
    """Return the schema's own tree (`ModelT`) of a file's bytes.

    Raises:
        WorkshopError: They are no TFLite file, or a damaged one.
    """
    if content[4:8] != b"TFL3":
        raise WorkshopError(
            "is no TFLite file",
            where=where,
            remedy="Give a .tflite file; other forms are turned into one by the step `convert`",
        )
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        if not model.subgraphs or model.subgraphs[0].operators is None:
            raise ValueError("it holds no operators")
        _pull_in(model.buffers, content)
    except DAMAGE as error:
        raise _damaged(where, error) from error
    return model


def _pull_in(buffers: Any, content: bytes) -> None:
    """Put the buffers of a large file, which stand behind its tree, into the tree."""
    for buffer in buffers:
        if buffer.offset >= FIRST_REAL_OFFSET:
            outside = content[buffer.offset : buffer.offset + buffer.size]
            buffer.data = np.frombuffer(outside, dtype=np.uint8)
            buffer.offset = buffer.size = 0


def _damaged(where: str, error: Exception) -> WorkshopError:
    return WorkshopError(
        f"is a damaged TFLite file: {error}",
        where=where,
        remedy="Make it or fetch it again, and compare its SHA-256",
    )


def _graph(model: Any, size_bytes: int) -> Graph:
    subgraph = model.subgraphs[0]
    tensors = tuple(_tensor(index, tensor, model) for index, tensor in enumerate(subgraph.tensors))
    return Graph(
        size_bytes=size_bytes,
        subgraph_count=len(model.subgraphs),
        tensors=tensors,
        operators=tuple(
            _operator(index, operator, model, tensors)
            for index, operator in enumerate(subgraph.operators)
        ),
        inputs=tuple(tensors[index] for index in subgraph.inputs),
        outputs=tuple(tensors[index] for index in subgraph.outputs),
    )


def _tensor(index: int, tensor: Any, model: Any) -> GraphTensor:
    shape = _numbers(tensor.shape)
    signature = _numbers(tensor.shapeSignature) or shape
    dtype = TENSOR_TYPES[tensor.type]
    # Buffer 0 is the empty one by convention; a file without constants may leave out even that.
    data = _data(model.buffers[tensor.buffer]) if tensor.buffer else b""
    return GraphTensor(
        index=index,
        name=(tensor.name or b"").decode(errors="replace"),
        shape=shape,
        open_axes=tuple(axis for axis, size in enumerate(signature) if size < 0),
        dtype=dtype,
        quantisation=_quantisation(tensor.quantization),
        byte_count=len(data),
        values=_values(data, dtype, shape),
    )


def _data(buffer: Any) -> bytes:
    return b"" if buffer.data is None else bytes(memoryview(buffer.data))


def _values(data: bytes, dtype: str, shape: tuple[int, ...]) -> Array | None:
    known = NUMPY_TYPES.get(dtype)
    if known is None or not data or len(data) != known.itemsize * math.prod(shape):
        return None
    return np.frombuffer(data, dtype=known).reshape(shape)


def _quantisation(quantisation: Any) -> Quantisation | None:
    if quantisation is None or quantisation.scale is None or len(quantisation.scale) == 0:
        return None
    scales = tuple(float(scale) for scale in quantisation.scale)
    zero_points = _numbers(quantisation.zeroPoint) or (0,) * len(scales)
    return Quantisation(scales, zero_points, int(quantisation.quantizedDimension))


def _operator(index: int, operator: Any, model: Any, tensors: tuple[GraphTensor, ...]) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    kind, is_custom = kind_of(code)
    options = operator.builtinOptions
    return Operator(
        index=index,
        kind=kind,
        version=int(code.version),
        is_custom=is_custom,
        inputs=tuple(tensors[i] if i >= 0 else None for i in _numbers(operator.inputs)),
        outputs=tuple(tensors[i] for i in _numbers(operator.outputs)),
        options=MappingProxyType({} if options is None else dict(vars(options))),
    )


def kind_of(code: Any) -> tuple[str, bool]:
    """Return the name of an operator code of the schema, and whether it is a custom one."""
    # Files from before 2020 have only the old, one-byte field; later ones fill both.
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    if number == schema.BuiltinOperator.CUSTOM:
        return (code.customCode or b"").decode(errors="replace"), True
    return OPERATOR_KINDS[number], False


def _numbers(vector: Any) -> tuple[int, ...]:
    return () if vector is None else tuple(int(number) for number in vector)


def _unqualified(part: str) -> str:
    """Return a part of a name without the module that PyTorch's converter puts before it."""
    return part.rsplit(".", 1)[-1] if part.startswith(("torch.", "litert_torch.")) else part


def _names(enumeration: Any) -> dict[int, str]:
    return {number: name for name, number in vars(enumeration).items() if not name.startswith("_")}


OPERATOR_KINDS = _names(schema.BuiltinOperator)
TENSOR_TYPES = _names(schema.TensorType)
