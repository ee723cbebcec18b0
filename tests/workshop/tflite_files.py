"""Writes small `.tflite` files, tensor by tensor, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


@dataclass
class NetWriter:
    """Collects tensors and operators, and writes them."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    codes: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "INT8",
        *,
        scales: Sequence[float] = (0.05,),
        zero_point: int = 0,
        axis: int = 0,
        values: Any = None,
        signature: Sequence[int] | None = None,
    ) -> int:
        """Add a tensor, a constant if it has values; return its index."""
        tensor = schema.TensorT()
        tensor.name = name.encode()
        tensor.shape = list(shape)
        tensor.shapeSignature = None if signature is None else list(signature)
        tensor.type = getattr(schema.TensorType, dtype)
        if scales:
            quantisation = schema.QuantizationParametersT()
            quantisation.scale = list(scales)
            quantisation.zeroPoint = [zero_point] * len(scales)
            quantisation.quantizedDimension = axis
            tensor.quantization = quantisation
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, name: str, values: Any, **more: Any) -> int:
        """Add a constant of the values' own shape and type."""
        array = np.asarray(values)
        more.setdefault("scales", ())
        return self.tensor(name, array.shape, array.dtype.name.upper(), values=array, **more)

    def operator(
        self,
        kind: str,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: str = "",
        *,
        version: int = 1,
        **fields: Any,
    ) -> None:
        """Add an operator; a kind that the schema does not know becomes a custom one."""
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, kind, schema.BuiltinOperator.CUSTOM)
        code.builtinCode = number
        code.deprecatedBuiltinCode = min(number, 127)
        code.version = version
        if number == schema.BuiltinOperator.CUSTOM:
            code.customCode = kind.encode()
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes)
        operator.inputs = list(inputs)
        operator.outputs = list(outputs)
        if options:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            operator.builtinOptions = _options(options, fields)
        self.codes.append(code)
        self.operators.append(operator)

    def conv(
        self,
        name: str,
        source: int,
        shape: Sequence[int],
        filters: Any,
        *,
        scale: float = 0.05,
        **options: Any,
    ) -> int:
        """Add an int8 convolution, 3x3 or whatever the filters are; return its output."""
        count = len(filters)
        weights = self.constant(f"{name}/weights", np.asarray(filters, np.int8), scales=(0.01,))
        bias = self.constant(f"{name}/bias", np.zeros(count, np.int32), scales=(0.0005,))
        result = self.tensor(name, shape, scales=(scale,))
        fields = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
        self.operator(
            "CONV_2D",
            [source, weights, bias],
            [result],
            "Conv2DOptions",
            version=3,
            **{**fields, **options},
        )
        return result

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """Write the file."""
        subgraph = schema.SubGraphT()
        subgraph.tensors = self.tensors
        subgraph.operators = self.operators
        subgraph.inputs = list(inputs)
        subgraph.outputs = list(outputs)
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes = self.codes
        model.subgraphs = [subgraph]
        model.buffers = self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def _options(name: str, fields: Mapping[str, Any]) -> Any:
    options = getattr(schema, f"{name}T")()
    for key, value in fields.items():
        assert hasattr(options, key), f"{name} has no {key}"
        setattr(options, key, value)
    return options


def write_two_layers(path: Path) -> Path:
    """Write an int8 network: a convolution of 4 filters 3x3 over 8x8x3, then LOGISTIC."""
    net = NetWriter()
    picture = net.tensor("picture", [1, 8, 8, 3], scales=(1 / 127,))
    weights = np.random.default_rng(1).integers(-127, 127, (4, 3, 3, 3))
    features = net.conv("features;norm", picture, [1, 8, 8, 4], weights)
    scores = net.tensor("scores:0", [1, 8, 8, 4], scales=(1 / 256,), zero_point=-128)
    net.operator("LOGISTIC", [features], [scores], version=2)
    return net.write(path, [picture], [scores])
