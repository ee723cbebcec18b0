"""Full-integer quantization of a float TFLite file, by ai-edge-quantizer.

Activations and tensors in and out become int8, weights int8 with a scale a channel. What range
each tensor needs is measured on calibration pictures, prepared as the camera prepares them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_app.commands.detect import read_picture
from camera_app.errors import SourceUnsupported
from tools.workshop.candidates import load_model
from tools.workshop.dataset import DataSet
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_bytes
from tools.workshop.tflite_graph import Graph, GraphTensor, read_graph

Array = npt.NDArray[np.float32]

# With fewer, one unusual picture sets the ranges; the field uses a hundred and more.
FEWEST_PICTURES = 64
LEAST_BYTE, MOST_BYTE = 0.0, 255.0
# The sigmoid of 8 is 0.9997: more is the same in 256 steps.
MOST_LOGIT = 8.0
# The running mean of the widest box is not the widest.
BOX_MARGIN = 1.4
LOGISTIC = "LOGISTIC"
GATHERING = frozenset({"CONCATENATION", "RESHAPE"})


@dataclass(frozen=True, slots=True)
class Quantized:
    """What quantization did to a file.

    Attributes:
        float_bytes: Size before.
        int8_bytes: Size after.
        pictures: How many it was calibrated on.
    """

    float_bytes: int
    int8_bytes: int
    pictures: int


def calibration_inputs(float_path: Path, data: DataSet, count: int) -> list[Array]:
    """Return pictures to train on, spread over the data set, as the network takes them.

    Raises:
        WorkshopError: There are too few.
    """
    images = data.split("train")
    count = min(count, len(images))
    if count < FEWEST_PICTURES:
        raise WorkshopError(
            f"{count} of {len(images)} pictures are too few to calibrate on, at least "
            f"{FEWEST_PICTURES} are needed",
            where="the data set's split train",
            remedy="Give --pictures 200 to 500, and pictures from the camera it is for",
        )
    network = load_model(str(float_path))
    # Spread evenly: a data set is in order of its sources.
    places = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    return [_prepared(network, str(images[place].path)) for place in places]


def _prepared(network: Any, path: str) -> Array:
    try:
        return np.asarray(network.prepare(read_picture(path)).tensor, np.float32)
    except SourceUnsupported as error:
        raise WorkshopError(
            f"a calibration picture cannot be read: {error}",
            remedy="Run `prepare` again; it leaves such pictures out",
        ) from error


def quantize(float_path: Path, int8_path: Path, inputs: Sequence[Array]) -> Quantized:
    """Write the int8 file.

    Raises:
        WorkshopError: The quantizer refuses the file, or left some of it in real numbers.
    """
    from ai_edge_quantizer import quantizer, recipe

    try:
        with _quiet():
            worker = quantizer.Quantizer(str(float_path), recipe.static_wi8_ai8())
            name, argument = _signature(float_path)
            ranges = worker.calibrate({name: [{argument: picture} for picture in inputs]})
            widen(ranges, read_graph(float_path))
            result = worker.quantize(ranges)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise WorkshopError(
            f"the quantizer refuses the network: {error}",
            where=str(float_path),
            remedy="`lint` says which of its operators have no integer form",
        ) from error
    content = bytes(result.quantized_model)
    write_bytes(int8_path, content)
    _expect_integers(int8_path)
    return Quantized(float_path.stat().st_size, len(content), len(inputs))


def widen(ranges: dict[str, Any], graph: Graph) -> None:
    """Give the ends of a network the ranges that they need, not those that are usual.

    The quantizer takes a running mean of each picture's least and greatest value. Within the
    network that is well: what is rare is cut. At its ends it is not: a face larger than the usual
    one has larger logits, and all large faces got the same low score. So the input gets the whole
    of a byte, scores as much as a sigmoid can tell apart in 256 steps, and boxes the widest seen,
    and some more. Tensors that meet in one output get one range, and need no requantization.

    Args:
        ranges: By name of the tensor, changed in place.
        graph: Of the float file.
    """
    for tensor in graph.inputs:
        _set(ranges, tensor.name, LEAST_BYTE, MOST_BYTE)
    for tensor in cut_on_purpose(graph):
        _set(ranges, tensor.name, -MOST_LOGIT, MOST_LOGIT)
    for output in graph.outputs:
        if graph.producers[output.index].kind != LOGISTIC:
            gathered = list(_gathered(graph, output))
            low = min(float(ranges[one.name]["min"].min()) for one in gathered)
            high = max(float(ranges[one.name]["max"].max()) for one in gathered)
            for tensor in gathered:
                # Zero is always within: without it the margin would narrow what it should widen.
                _set(ranges, tensor.name, min(low, 0.0) * BOX_MARGIN, max(high, 0.0) * BOX_MARGIN)


def cut_on_purpose(graph: Graph) -> tuple[GraphTensor, ...]:
    """Return the tensors of which all is cut that a sigmoid would not tell apart: its logits."""
    producers = graph.producers
    last = (producers[output.index] for output in graph.outputs)
    return tuple(
        tensor
        for producer in last
        if producer.kind == LOGISTIC
        for tensor in _gathered(graph, producer.computed[0])
    )


def _gathered(graph: Graph, tensor: GraphTensor) -> Iterator[GraphTensor]:
    """Yield a tensor and all that it was only put together from."""
    yield tensor
    producer = graph.producers.get(tensor.index)
    if producer is not None and producer.kind in GATHERING:
        for part in producer.computed:
            yield from _gathered(graph, part)


def _set(ranges: dict[str, Any], name: str, low: float, high: float) -> None:
    for key, value in (("min", low), ("max", high)):
        ranges[name][key] = np.full_like(ranges[name][key], value)


def _expect_integers(path: Path) -> None:
    """Remove and refuse a file in which a layer has stayed in real numbers."""
    left = [
        operator
        for operator in read_graph(path).operators
        if any(tensor.dtype.startswith("FLOAT") for tensor in (*operator.given, *operator.outputs))
    ]
    if left:
        path.unlink()
        raise WorkshopError(
            f"{len(left)} operators have no integer form and stay in real numbers, such as "
            f"{left[0].kind} ({left[0].name})",
            where=str(path),
            remedy="`lint` says what to write instead",
        )


def _signature(path: Path) -> tuple[str, str]:
    """Return the names of a file's only signature and of its only input."""
    from ai_edge_litert.interpreter import Interpreter

    signatures = Interpreter(model_path=str(path)).get_signature_list()
    if len(signatures) != 1:
        raise ValueError(f"expected one signature, the file has {len(signatures)}")
    ((name, signature),) = signatures.items()
    if len(signature["inputs"]) != 1:
        raise ValueError(f"expected one input, the file has {len(signature['inputs'])}")
    return name, signature["inputs"][0]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the quantizer's own progress bars out of the way: it has three, and no switch."""
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        yield
