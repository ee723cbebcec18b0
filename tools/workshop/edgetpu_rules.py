"""Which operators an Edge TPU takes, as far as is known without its closed compiler.

Pure: an operator in, a finding out. How refusals split a graph is the business of `lint`.

Sources: Coral's table of supported operations for runtime 14 (compiler 16.0, the last one) and
its requirements of tensors; TensorFlow's table of the release in which each version of an operator
appeared; compiler logs in the threads of google-coral/edgetpu; compiled files beside their CPU
twins. Where those leave a limit open, its comment says what the number here rests on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tools.workshop.tflite_graph import Graph, GraphTensor, Operator

QUANTISED = ("INT8", "UINT8")
ON_CHIP_BYTES = 8 * 2**20
# Nothing public says where the limit lies: compiled files show a factor of 2 taken and one of 33
# refused, for want of precision. A guess between the two.
LARGEST_RESIZE_FACTOR = 8.0
LARGEST_SOFTMAX = 16_000
# One user's series of a detector at growing sizes has its reshapes refused from somewhere between
# 260 and 590 kB on (google-coral/edgetpu#512); no rule is known.
SUSPICIOUS_RESHAPE_BYTES = 2**19
DEPTH_MULTIPLE = 4  # of the channels, where a mean is taken along them

ACTIVATIONS: dict[int, str] = {
    number: name
    for name, number in vars(schema.ActivationFunctionType).items()
    if not name.startswith("_")
}
FUSABLE = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with an operator, for an Edge TPU.

    Attributes:
        rule: Its short name; stands in reports and in the guide.
        problem: What is wrong, without a full stop.
        remedy: What to do about it.
    """

    rule: str
    problem: str
    remedy: str


Check = Callable[[Operator], Finding | None]


def refusal(operator: Operator) -> Finding | None:
    """Return why an Edge TPU does not take this operator by itself; None if it does."""
    if operator.is_custom or operator.kind not in SUPPORTED:
        return _unsupported(operator)
    for check in (*COMMON, *SUPPORTED[operator.kind]):
        finding = check(operator)
        if finding is not None:
            return finding
    return None


def doubts(operator: Operator) -> list[Finding]:
    """Return what costs time there, or has made the compiler refuse it for some users."""
    checks = (_open_batch, *DOUBTS.get(operator.kind, ()))
    findings = (check(operator) for check in checks)
    return [finding for finding in findings if finding is not None]


def advice(graph: Graph) -> list[Finding]:
    """Return what an Edge TPU takes, but what a network for one had better not have."""
    producers = graph.producers
    count = sum(_is_silu(operator, producers) for operator in graph.operators)
    if not count:
        return []
    return [
        Finding(
            "silu",
            f"{count} times x * sigmoid(x): two passes of their own behind a convolution each, "
            "and two more roundings",
            "Train with ReLU or ReLU6, which fold into the convolution",
        )
    ]


def _is_silu(operator: Operator, producers: dict[int, Operator]) -> bool:
    if operator.kind != "MUL" or len(operator.given) != 2:
        return False
    for value, gate in (operator.given, operator.given[::-1]):
        source = producers.get(gate.index)
        if source is not None and source.kind == "LOGISTIC":
            return source.given[0].index == value.index
    return False


def unreadable(graph: Graph) -> Finding | None:
    """Return why the compiler would not even read the file; None if it would.

    It is built on TensorFlow 2.5 and gives up on a file with one operator that it does not know,
    whether or not an Edge TPU would have to run it.
    """
    if graph.subgraph_count > 1:
        return Finding(
            "control-flow",
            f"{graph.subgraph_count} subgraphs: branches or loops",
            "Unroll loops and resolve branches before converting",
        )
    for operator in graph.operators:
        newest = NEWEST_VERSIONS.get(operator.kind, _newest_unlisted(operator))
        if operator.version > newest:
            return Finding(
                "operator-version",
                f"{operator.kind} version {operator.version} at {operator.name}; "
                f"the compiler knows {_up_to(newest)}",
                "Convert with options or a converter of the time of TensorFlow 2.5, "
                "or write the layer with older operators",
            )
    return None


def _newest_unlisted(operator: Operator) -> int:
    return 0 if operator.kind in BORN_LATER and not operator.is_custom else operator.version


def _up_to(newest: int) -> str:
    return f"versions up to {newest}" if newest else "no such operator"


def _unsupported(operator: Operator) -> Finding:
    remedy = REPLACEMENTS.get(
        operator.kind, "Move it behind the network's outputs, or build the layer otherwise"
    )
    kind = "custom operator" if operator.is_custom else "operator"
    return Finding("operator", f"{kind} {operator.kind} is not supported", remedy)


def _data_type(operator: Operator) -> Finding | None:
    for tensor in (*operator.computed, *operator.outputs):
        if tensor.dtype in QUANTISED:
            continue
        if operator.kind == LSTM and tensor.dtype == "INT16":  # its state
            continue
        remedy = "Quantize fully, with int8 or uint8 inputs and outputs (step `quantize`)"
        if tensor.dtype in ("INT32", "INT64"):
            remedy = "Do arithmetic with indices behind the outputs"
        return Finding(
            "data-type", f"{tensor.short_name} is {tensor.dtype.lower()}, not int8 or uint8", remedy
        )
    return None


def _quantised(operator: Operator) -> Finding | None:
    for tensor in (*operator.computed, *operator.outputs):
        if tensor.quantisation is None:
            return Finding(
                "no-scale",
                f"{tensor.short_name} has no scale",
                "Quantize with a calibration set, so that every tensor has a range",
            )
    return None


def _static(operator: Operator) -> Finding | None:
    for tensor in (*operator.given, *operator.outputs):
        if any(axis != 0 for axis in tensor.open_axes):
            return Finding(
                "dynamic-shape",
                f"{tensor.short_name} has a dimension that is known only when it runs",
                "Convert with a fixed input shape",
            )
    return None


def _rank(operator: Operator) -> Finding | None:
    for tensor in (*operator.computed, *operator.outputs):
        outer = tensor.shape[:-3]
        if all(size == 1 for size in outer):
            continue
        if len(tensor.shape) == 4:
            return Finding(
                "batch",
                f"{tensor.short_name} {list(tensor.shape)} has a batch of {outer[0]}",
                "Convert with batch 1",
            )
        return Finding(
            "rank",
            f"{tensor.short_name} {list(tensor.shape)}: only the three innermost dimensions "
            "may be larger than 1",
            "Reshape into three dimensions, or do this step behind the outputs",
        )
    return None


def _constant_parameters(operator: Operator) -> Finding | None:
    """Weights, sizes and axes must stand in the file; what is computed is one or more inputs."""
    for tensor in operator.inputs[CONSTANT_INPUTS.get(operator.kind, NOTHING)]:
        if tensor is not None and not tensor.is_constant:
            return Finding(
                "computed-parameter",
                f"{tensor.short_name} is computed while running, not a constant",
                "Fold it into a constant when converting",
            )
    return None


def _per_channel(operator: Operator) -> Finding | None:
    for tensor in operator.given:
        if tensor.quantisation is None or not tensor.quantisation.is_per_channel:
            continue
        if operator.kind not in PER_CHANNEL_AXES:
            return Finding(
                "per-channel",
                f"{tensor.short_name} is quantized by channel",
                f"Quantize {operator.kind} with one scale a tensor",
            )
        # A bias has one dimension, and so axis 0, whatever its operator.
        expected = PER_CHANNEL_AXES[operator.kind] if len(tensor.shape) > 1 else 0
        if tensor.quantisation.axis != expected:
            return Finding(
                "per-channel",
                f"{tensor.short_name} is quantized along dimension {tensor.quantisation.axis}, "
                f"not {expected}",
                "Quantize anew: the runtimes refuse such a file as well",
            )
    return None


def _fits_on_chip(operator: Operator) -> Finding | None:
    for tensor in (*operator.computed, *operator.outputs):
        if tensor.element_count > ON_CHIP_BYTES:
            return Finding(
                "activation-size",
                f"{tensor.short_name} {list(tensor.shape)} is larger than the chip's memory",
                "Use a smaller input, or stop before this layer and do it behind the outputs",
            )
    return None


def _activation(operator: Operator) -> str:
    return ACTIVATIONS.get(int(operator.options.get("fusedActivationFunction", 0)), "unknown")


def _fusable_activation(operator: Operator) -> Finding | None:
    name = _activation(operator)
    if name in FUSABLE:
        return None
    return Finding(
        "activation", f"fused activation {name}", "Use ReLU or ReLU6, or a layer of its own"
    )


def _no_activation(operator: Operator) -> Finding | None:
    name = _activation(operator)
    if name == "NONE":
        return None
    return Finding(
        "activation",
        f"fused activation {name}; this kind must have none",
        "Put the activation into a layer of its own, or into the convolution before",
    )


def _same_dilation(operator: Operator) -> Finding | None:
    across = int(operator.options.get("dilationWFactor", 1))
    down = int(operator.options.get("dilationHFactor", 1))
    if across == down:
        return None
    return Finding(
        "dilation",
        f"dilation {down} down and {across} across",
        "Use the same dilation in both directions",
    )


def _concatenation(operator: Operator) -> Finding | None:
    constants = operator.constants
    if not constants:
        return None
    if len(operator.given) == 2 and all(_is_zero(tensor) for tensor in constants):
        return None  # padding by another name
    return Finding(
        "concatenation",
        f"constant input {constants[0].short_name}",
        "Concatenate computed tensors only; a constant is allowed as the second of two inputs "
        "and must be all zeros",
    )


def _is_zero(tensor: GraphTensor) -> bool:
    zero = tensor.quantisation.zero_points[0] if tensor.quantisation else 0
    return tensor.values is not None and bool(np.all(tensor.values == zero))


def _fully_connected(operator: Operator) -> Finding | None:
    if int(operator.options.get("weightsFormat", 0)) != 0:
        return Finding(
            "weights-format", "shuffled weights", "Convert without shuffling the weights"
        )
    shape = operator.outputs[0].shape
    if all(size == 1 for size in shape[:-1]):
        return None
    return Finding(
        "fully-connected",
        f"output {list(shape)} has more than one row",
        "Write it as a 1x1 convolution",
    )


def _axes(operator: Operator) -> tuple[int, ...]:
    """Return the axes of a reduction, counted from the front; empty if they are not known."""
    values = operator.given[1].values if len(operator.given) > 1 else None
    rank = len(operator.given[0].shape)
    return () if values is None else tuple(int(axis) % rank for axis in values.ravel())


def _not_over_batch(operator: Operator) -> Finding | None:
    if len(operator.given[0].shape) == 4 and 0 in _axes(operator):
        return Finding(
            "batch-axis", "works along the batch dimension", "Leave dimension 0 out of the axes"
        )
    return None


def _mean_depth(operator: Operator) -> Finding | None:
    shape = operator.given[0].shape
    depth = shape[-1] if shape else 1
    if len(shape) - 1 not in _axes(operator) or depth % DEPTH_MULTIPLE == 0:
        return None
    return Finding(
        "mean-depth",
        f"mean along {depth} channels",
        f"Make the number of channels a multiple of {DEPTH_MULTIPLE}",
    )


def _axis_not_batch(operator: Operator) -> Finding | None:
    rank = max(len(tensor.shape) for tensor in (*operator.given, *operator.outputs))
    axis = operator.options.get("axis")
    if axis is None:  # SPLIT names it by its first input
        values = operator.given[0].values
        axis = 0 if values is None else int(values.ravel()[0])
    if rank == 4 and int(axis) % rank == 0:
        return Finding("batch-axis", "works along the batch dimension", "Use another axis")
    return None


def _pad(operator: Operator) -> Finding | None:
    values = operator.given[1].values if len(operator.given) > 1 else None
    if values is None or len(operator.given[0].shape) < 4 or not values[0].any():
        return None
    return Finding("batch-axis", "pads the batch dimension", "Pad height, width or channels only")


def _prelu(operator: Operator) -> Finding | None:
    shape = operator.given[1].shape
    if all(size == 1 for size in shape[:-1]):
        return None
    return Finding(
        "prelu",
        f"slopes {list(shape)} differ within a channel",
        "Share the slopes over height and width (Keras: shared_axes=[1, 2])",
    )


def _resize(operator: Operator) -> Finding | None:
    before, after = operator.given[0].shape, operator.outputs[0].shape
    pairs = zip(before[1:3], after[1:3], strict=True)
    factor = max((max(new / old, old / new) for old, new in pairs), default=1.0)
    if factor <= LARGEST_RESIZE_FACTOR:
        return None
    return Finding(
        "resize",
        f"{before[1]}x{before[2]} to {after[1]}x{after[2]}, {factor:.0f} times, is not precise "
        "enough in 8 bits",
        "Resize in steps of 2, or behind the outputs",
    )


def _softmax(operator: Operator) -> Finding | None:
    shape = operator.given[0].shape
    if any(size != 1 for size in shape[:-1]):
        return Finding(
            "softmax",
            f"input {list(shape)} has more than one row",
            "Leave it out of the network and compute it from the outputs, or use LOGISTIC",
        )
    if operator.given[0].element_count > LARGEST_SOFTMAX:
        return Finding(
            "softmax",
            f"{operator.given[0].element_count} values, more than {LARGEST_SOFTMAX}",
            "Compute it from the outputs",
        )
    return None


def _strided_slice(operator: Operator) -> Finding | None:
    values = operator.given[3].values if len(operator.given) > 3 else None
    if values is not None and (values != 1).any():
        return Finding(
            "strided-slice",
            f"strides {values.tolist()}",
            "Take every second pixel with a strided convolution or SPACE_TO_DEPTH instead",
        )
    if operator.options.get("ellipsisMask", 0) or operator.options.get("newAxisMask", 0):
        return Finding(
            "strided-slice",
            "ellipsis or new axis in the slice",
            "Spell every dimension out, and reshape in a layer of its own",
        )
    return None


def _transpose(operator: Operator) -> Finding | None:
    values = operator.given[1].values if len(operator.given) > 1 else None
    if values is None or len(values) < 4 or int(values.ravel()[0]) == 0:
        return None
    return Finding("batch-axis", "moves the batch dimension", "Keep dimension 0 in front")


def _open_batch(operator: Operator) -> Finding | None:
    for tensor in operator.computed:
        if tensor.open_axes:
            return Finding(
                "open-batch",
                f"the batch of {tensor.short_name} is left open",
                "Convert with batch 1: what computes shapes from it is refused",
            )
    return None


def _large_reshape(operator: Operator) -> Finding | None:
    size = operator.outputs[0].element_count
    if size < SUSPICIOUS_RESHAPE_BYTES:
        return None
    return Finding(
        "large-reshape",
        f"{size} values; some reshapes of that size are refused",
        "Give the unreshaped tensor out, and reshape behind the outputs",
    )


def _any_transpose(_: Operator) -> Finding | None:
    return Finding(
        "transpose",
        "some transpositions are refused, and all cost time",
        "Convert with channels last, so that none is needed",
    )


def _padding_pass(_: Operator) -> Finding | None:
    return Finding(
        "pad",
        "a pass over the whole tensor",
        "Pad so that it folds into SAME of the convolution behind it",
    )


def _requantise(operator: Operator) -> Finding | None:
    source, result = operator.given[0], operator.outputs[0]
    if source.dtype != result.dtype:
        return None
    return Finding(
        "requantize",
        "changes the scale only, at the price of a pass and of precision",
        "Give the tensors that meet behind it one range",
    )


LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
COMMON: tuple[Check, ...] = (
    _data_type,
    _quantised,
    _static,
    _constant_parameters,
    _rank,
    _per_channel,
    _fits_on_chip,
)
ARITHMETIC: tuple[Check, ...] = (_fusable_activation,)
CONVOLUTION: tuple[Check, ...] = (_fusable_activation, _same_dilation)
POOLING: tuple[Check, ...] = (_no_activation,)
REDUCTION: tuple[Check, ...] = (_not_over_batch,)
SUPPORTED: dict[str, tuple[Check, ...]] = {
    "ADD": ARITHMETIC,
    "AVERAGE_POOL_2D": POOLING,
    "CONCATENATION": (_no_activation, _concatenation),
    "CONV_2D": CONVOLUTION,
    "DEPTHWISE_CONV_2D": CONVOLUTION,
    "EXPAND_DIMS": (),
    "FULLY_CONNECTED": (_fusable_activation, _fully_connected),
    "L2_NORMALIZATION": (_fusable_activation,),
    "LOGISTIC": (),
    LSTM: (),
    "MAXIMUM": (),
    "MAX_POOL_2D": POOLING,
    "MEAN": (_not_over_batch, _mean_depth),
    "MINIMUM": (),
    "MUL": ARITHMETIC,
    "PACK": (_axis_not_batch,),
    "PAD": (_pad,),
    "PRELU": (_prelu,),
    "QUANTIZE": (),
    "REDUCE_MAX": REDUCTION,
    "REDUCE_MIN": REDUCTION,
    "RELU": (),
    "RELU6": (),
    "RELU_N1_TO_1": (),
    "RESHAPE": (),
    "RESIZE_BILINEAR": (_resize,),
    "RESIZE_NEAREST_NEIGHBOR": (_resize,),
    "RSQRT": (),
    "SLICE": (),
    "SOFTMAX": (_softmax,),
    "SPACE_TO_DEPTH": (),
    "SPLIT": (_axis_not_batch,),
    "SQUARED_DIFFERENCE": (),
    "SQUEEZE": (),
    "STRIDED_SLICE": (_strided_slice,),
    "SUB": ARITHMETIC,
    "SUM": REDUCTION,
    "TANH": (),
    "TRANSPOSE": (_transpose,),
    "TRANSPOSE_CONV": (_fusable_activation,),
}
DOUBTS: dict[str, tuple[Check, ...]] = {
    "PAD": (_padding_pass,),
    "QUANTIZE": (_requantise,),
    "RESHAPE": (_large_reshape,),
    "TRANSPOSE": (_any_transpose,),
}
NOTHING = slice(0, 0)
ALL_BUT_FIRST = slice(1, None)
# Which inputs must be constants.
CONSTANT_INPUTS = {
    "CONV_2D": ALL_BUT_FIRST,
    "DEPTHWISE_CONV_2D": ALL_BUT_FIRST,
    "EXPAND_DIMS": ALL_BUT_FIRST,
    "FULLY_CONNECTED": ALL_BUT_FIRST,
    "MEAN": ALL_BUT_FIRST,
    "PAD": ALL_BUT_FIRST,
    "PRELU": ALL_BUT_FIRST,
    "REDUCE_MAX": ALL_BUT_FIRST,
    "REDUCE_MIN": ALL_BUT_FIRST,
    "RESHAPE": ALL_BUT_FIRST,
    "RESIZE_BILINEAR": ALL_BUT_FIRST,
    "RESIZE_NEAREST_NEIGHBOR": ALL_BUT_FIRST,
    "SLICE": ALL_BUT_FIRST,
    "SPLIT": slice(0, 1),
    "STRIDED_SLICE": ALL_BUT_FIRST,
    "SUM": ALL_BUT_FIRST,
    "TRANSPOSE": ALL_BUT_FIRST,
    "TRANSPOSE_CONV": slice(0, 2),
}
PER_CHANNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "TRANSPOSE_CONV": 0}
REPLACEMENTS = {
    "ARG_MAX": "Give out the scores, and take the largest behind the outputs",
    "BATCH_TO_SPACE_ND": "Convert so that a dilated convolution stays one operator, "
    "or do without dilation",
    "CAST": "Feed int8 or uint8 directly, so that nothing is cast",
    "DEQUANTIZE": "Leave the outputs int8 or uint8, and dequantize behind them",
    "DIV": "Multiply by the reciprocal",
    "ELU": "Train with ReLU or ReLU6",
    "GATHER": "Gather behind the outputs",
    "GATHER_ND": "Gather behind the outputs",
    "GELU": "Train with ReLU or ReLU6",
    "HARD_SWISH": "Train with ReLU6, or write x * ReLU6(x + 3) / 6 with MUL and ADD",
    "LEAKY_RELU": "Train with ReLU, or write it as PRELU or as MAXIMUM(x, slope * x)",
    "SPACE_TO_BATCH_ND": "Convert so that a dilated convolution stays one operator, "
    "or do without dilation",
    "SPLIT_V": "Split into equal parts (SPLIT), or use SLICE",
    "TFLite_Detection_PostProcess": "Cut it off and decode on the CPU: boxes and scores "
    "come out of the network as they are",
    "UNPACK": "Split with SPLIT or SLICE and reshape",
    "edgetpu-custom-op": "It is compiled already",
}
# The newest version of each kind that TensorFlow 2.5 knew, where there are newer ones today.
NEWEST_VERSIONS = {
    "ABS": 3,
    "ADD": 3,
    "ARG_MAX": 2,
    "ARG_MIN": 2,
    "AVERAGE_POOL_2D": 3,
    "BATCH_MATMUL": 4,
    "BATCH_TO_SPACE_ND": 3,
    "BROADCAST_TO": 3,
    "CAST": 1,
    "CONCATENATION": 3,
    "CONV_2D": 5,
    "DEPTHWISE_CONV_2D": 6,
    "DEQUANTIZE": 4,
    "DIV": 2,
    "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 9,
    "GATHER": 5,
    "GATHER_ND": 3,
    "HARD_SWISH": 1,
    "L2_NORMALIZATION": 2,
    "LEAKY_RELU": 2,
    "LOGISTIC": 3,
    "MAXIMUM": 4,
    "MAX_POOL_2D": 3,
    "MEAN": 3,
    "MINIMUM": 4,
    "MUL": 4,
    "PACK": 3,
    "PAD": 3,
    "PADV2": 3,
    "PRELU": 1,
    "QUANTIZE": 2,
    "REDUCE_MAX": 3,
    "REDUCE_MIN": 3,
    "RELU": 3,
    "RELU6": 3,
    "RELU_N1_TO_1": 1,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 4,
    "RESIZE_NEAREST_NEIGHBOR": 4,
    "RSQRT": 2,
    "SLICE": 5,
    "SOFTMAX": 3,
    "SPACE_TO_BATCH_ND": 3,
    "SPACE_TO_DEPTH": 2,
    "SPLIT": 4,
    "SPLIT_V": 2,
    "SQUARED_DIFFERENCE": 2,
    "SQUEEZE": 2,
    "STRIDED_SLICE": 5,
    "SUB": 5,
    "SUM": 2,
    "TANH": 3,
    "TILE": 2,
    "TRANSPOSE": 5,
    "TRANSPOSE_CONV": 3,
    LSTM: 3,
    "UNPACK": 4,
}
# Kinds that came after TensorFlow 2.5.
BORN_LATER = (
    "ASSIGN_VARIABLE",
    "ATAN2",
    "BROADCAST_ARGS",
    "BUCKETIZE",
    "CONV_3D_TRANSPOSE",
    "DILATE",
    "DYNAMIC_UPDATE_SLICE",
    "GELU",
    "MULTINOMIAL",
    "RANDOM_STANDARD_NORMAL",
    "RANDOM_UNIFORM",
    "READ_VARIABLE",
    "REDUCE_ALL",
    "RELU_0_TO_1",
    "RIGHT_SHIFT",
    "SIGN",
    "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_MIN",
    "UNSORTED_SEGMENT_PROD",
    "UNSORTED_SEGMENT_SUM",
    "VAR_HANDLE",
)
