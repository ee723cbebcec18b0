"""What quantization did to each layer: an int8 network beside the float one that it came from.

Two errors are told apart. The *total* error of a layer is what comes out of it in the int8 network
against what came out of the float one: it grows on the way, and shows where a network is ruined,
not by whom. The *own* error is what the layer adds by itself: the int8 operator and the float one
are cut out and fed with the very same values, those that 8 bits can tell at the layer's input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter as LiteRtInterpreter
from ai_edge_litert.interpreter import OpResolverType

from camera_app.errors import CameraAppError
from camera_app.inference import Interpreter
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_cut import Cutter
from tools.workshop.tflite_graph import Graph, GraphTensor, Operator, read_graph

Array = npt.NDArray[Any]

GLUE = ("QUANTIZE", "DEQUANTIZE")  # what a quantizer puts between layers
WHOLE_NUMBERS = ("INT8", "UINT8", "INT16")
# Channels are compared by their lower quartile: one ruined channel of sixteen may not matter, four
# do, and a mean over the tensor is blind to all but the loudest.
QUARTILE = 25
# Uniform values over the whole range have 48 dB in 8 bits, well quantized layers 30 to 45.
SUSPICIOUS_DB = 15.0
WIDE_SPREAD = 32.0  # leaves a quiet channel 3 of the 8 bits
POORLY_USED = 0.25  # of the range: two bits are wasted
MUCH_CLIPPED = 0.01
BEST_DB = 120.0  # stands for no error at all
DEAD_CHANNEL = 1e-12  # of the variance of the loudest one


@dataclass(frozen=True, slots=True)
class LayerError:
    """How one layer fares.

    Attributes:
        index: In the int8 network's order of execution.
        kind: Of operator.
        name: Of the layer.
        own_snr_db: Signal over the noise that the layer adds itself, in its lower quartile of
            channels; lower is worse.
        total_snr_db: Signal over all the noise that comes out of it.
        mean_error: Absolute, total, in real units.
        max_error: As `mean_error`.
        low: Least value of the float layer.
        high: Largest value of the float layer.
        range_used: Share of what int8 can hold that the values take; above 1 some are clipped.
        clipped: Share of the values outside of what int8 can hold.
        channel_spread: Range of the widest channel over that of the lower quartile.
    """

    index: int
    kind: str
    name: str
    own_snr_db: float
    total_snr_db: float
    mean_error: float
    max_error: float
    low: float
    high: float
    range_used: float
    clipped: float
    channel_spread: float

    @property
    def is_suspect(self) -> bool:
        """Whether this layer by itself may ruin the network."""
        return self.own_snr_db < SUSPICIOUS_DB

    @property
    def reason(self) -> str:
        """What is probably wrong with a suspect; empty for others."""
        if not self.is_suspect:
            return ""
        if self.channel_spread > WIDE_SPREAD:
            return (
                f"its widest channel spans {self.channel_spread:.0f} times a narrow one and all "
                "share one scale: split the layer by range, or even the channels out in the "
                "weights around it"
            )
        if self.clipped > MUCH_CLIPPED:
            return f"{self.clipped:.1%} of its values are clipped: calibrate with more pictures"
        if self.range_used < POORLY_USED:
            return (
                f"its values use {self.range_used:.0%} of its range: an outlier in the "
                "calibration pictures stretched it"
            )
        return "its weights lose too much in 8 bits: look at their ranges"


def compare(
    float_path: Path,
    int8_path: Path,
    pictures: Iterable[Array],
    *,
    progress: Callable[[], None] | None = None,
) -> tuple[LayerError, ...]:
    """Return the error of every layer, the worst own one first.

    Args:
        float_path: The network before quantization.
        int8_path: After it; layers are matched by order, or by name where the order differs.
        pictures: What to feed, as the float network takes it. A few dozen are enough.
        progress: Called after each picture.

    Raises:
        WorkshopError: A file cannot be read or run, the networks do not match, or there are no
            pictures.
    """
    comparison = _Comparison(float_path, int8_path)
    count = 0
    for picture in pictures:
        comparison.add(picture)
        count += 1
        if progress is not None:
            progress()
    if not count:
        raise WorkshopError(
            "no pictures to compare the layers on",
            where=str(int8_path),
            remedy="Give the calibration pictures",
        )
    return tuple(sorted(comparison.errors(), key=lambda error: error.own_snr_db))


def report_lines(errors: Sequence[LayerError], most: int = 12) -> Iterator[str]:
    """Yield a table of the worst layers, for a person."""
    yield (
        f"{'at':>4} {'operator':<20} {'own dB':>7} {'total dB':>8} {'range used':>10} "
        f"{'clipped':>7} {'spread':>7}  layer"
    )
    for error in errors[:most]:
        yield (
            f"{error.index:>4} {error.kind:<20} {error.own_snr_db:>7.1f} "
            f"{error.total_snr_db:>8.1f} {error.range_used:>10.0%} {error.clipped:>7.2%} "
            f"{error.channel_spread:>7.1f}  {error.name}"
        )
    for error in errors:
        if error.is_suspect:
            yield f"  suspect: {error.name} ({error.kind}): {error.reason}"


class _Sums:
    """Sums over pictures, by channel, from which signal and noise follow."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: Array = np.zeros(1)
        self._squares: Array = np.zeros(1)
        self._noise: Array = np.zeros(1)

    def add(self, expected: Array, actual: Array) -> None:
        """Take in what should come out, and what did."""
        wanted = by_channel(expected).astype(np.float64)
        found = by_channel(actual).astype(np.float64)
        self._count += len(wanted)
        self._sum = self._sum + wanted.sum(axis=0)
        self._squares = self._squares + (wanted**2).sum(axis=0)
        self._noise = self._noise + ((wanted - found) ** 2).sum(axis=0)

    def channel_snr_db(self) -> float:
        """Return the lower quartile over the channels that say anything."""
        signal = self._variances()
        alive = signal > max(signal.max() * DEAD_CHANNEL, 0.0)
        if not alive.any():
            return BEST_DB
        ratios = decibels(signal[alive], self._noise[alive] / self._count)
        return float(np.percentile(ratios, QUARTILE))

    def snr_db(self) -> float:
        """Return signal over noise of the tensor as a whole."""
        return float(
            decibels(
                np.array([self._variances().sum()]), np.array([self._noise.sum()]) / self._count
            )[0]
        )

    def _variances(self) -> Array:
        # A constant carries no signal: variance, not power.
        return np.maximum(self._squares / self._count - (self._sum / self._count) ** 2, 0.0)


class _Layer:
    """One layer in both networks, alone and as part of the whole."""

    def __init__(self, pair: tuple[Operator, Operator], cutters: tuple[Cutter, Cutter]) -> None:
        self._before, self._after = pair
        self._result = self._after.outputs[0]
        self._float_inputs, self._float_alone = _alone(cutters[0], self._before)
        self._int8_inputs, self._int8_alone = _alone(cutters[1], self._after)
        self._own, self._total = _Sums(), _Sums()
        self._absolute_sum, self._absolute_max, self._count, self._clipped = 0.0, 0.0, 0, 0
        self._lows: Array = np.array([np.inf])
        self._highs: Array = np.array([-np.inf])

    def add(self, floats: Mapping[int, Array], ints: Mapping[int, Array]) -> None:
        """Take in one picture: the values of all tensors in both networks, by index."""
        expected = floats[self._before.outputs[0].index]
        actual = real(ints[self._result.index], self._result)
        self._total.add(expected, actual)
        self._add_absolute(expected, actual)
        self._add_range(expected)
        self._own.add(*self._run_alone(floats))

    def error(self) -> LayerError:
        """Return what was seen."""
        low, high = float(self._lows.min()), float(self._highs.max())
        bottom, top = limits(self._result)
        return LayerError(
            index=self._after.index,
            kind=self._after.kind,
            name=self._after.name,
            own_snr_db=self._own.channel_snr_db(),
            total_snr_db=self._total.snr_db(),
            mean_error=self._absolute_sum / self._count,
            max_error=self._absolute_max,
            low=low,
            high=high,
            range_used=(high - low) / (top - bottom),
            clipped=self._clipped / self._count,
            channel_spread=_spread(self._highs - self._lows),
        )

    def _add_absolute(self, expected: Array, actual: Array) -> None:
        errors = np.abs(expected - actual)
        self._absolute_sum += float(errors.sum())
        self._absolute_max = max(self._absolute_max, float(errors.max()))
        self._count += errors.size

    def _add_range(self, expected: Array) -> None:
        channels = by_channel(expected)
        self._lows = np.minimum(self._lows, channels.min(axis=0))
        self._highs = np.maximum(self._highs, channels.max(axis=0))
        bottom, top = limits(self._result)
        step = (top - bottom) / 255  # half of it is rounding, not clipping
        self._clipped += int(((expected < bottom - step) | (expected > top + step)).sum())

    def _run_alone(self, floats: Mapping[int, Array]) -> tuple[Array, Array]:
        """Return what the float and the int8 operator make of the same values."""
        # Both operators list their inputs in the same order: the position leads from one to other.
        whole: dict[int, Array] = {}
        rounded: dict[int, Array] = {}
        for before, after in zip(self._before.inputs, self._after.inputs, strict=False):
            if before is None or after is None or after.is_constant:
                continue
            values = floats[before.index]
            whole[after.index] = quantized(values, after)
            rounded[before.index] = real(whole[after.index], after)
        expected = self._float_alone.invoke(
            [rounded.get(index, floats[index]) for index in self._float_inputs]
        )
        actual = self._int8_alone.invoke([whole[index] for index in self._int8_inputs])
        return expected[0].values, real(actual[0].values, self._result)


class _Comparison:
    """Both networks, and what was seen of their layers."""

    def __init__(self, float_path: Path, int8_path: Path) -> None:
        self._float, self._int8 = _Whole(float_path), _Whole(int8_path)
        pairs = matched(self._float.graph, self._int8.graph)
        if not pairs:
            raise WorkshopError(
                f"has no layer in common with {float_path}",
                where=str(int8_path),
                remedy="Give the float file that it was quantized from",
            )
        cutters = Cutter(float_path), Cutter(int8_path)
        self._layers = [layer for pair in pairs if (layer := _layer(pair, cutters)) is not None]

    def add(self, picture: Array) -> None:
        """Run both on a picture."""
        floats = self._float.run(picture)
        source = self._int8.graph.inputs[0]
        ints = self._int8.run(quantized(picture, source))
        for layer in self._layers:
            layer.add(floats, ints)

    def errors(self) -> Iterator[LayerError]:
        """Yield what was seen, layer by layer."""
        for layer in self._layers:
            yield layer.error()


class _Whole:
    """A network that shows every tensor after a run."""

    def __init__(self, path: Path) -> None:
        self._where = str(path)
        self.graph = read_graph(path)
        if len(self.graph.inputs) != 1:
            raise WorkshopError("takes more than one input", where=self._where)
        try:
            # The default delegate would keep to itself what flows between its operators.
            self._interpreter = LiteRtInterpreter(
                model_path=str(path),
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise WorkshopError(f"cannot be run: {error}", where=self._where) from error

    def run(self, values: Array) -> dict[int, Array]:
        """Run, and return every tensor that is computed, by index."""
        try:
            self._interpreter.set_tensor(self.graph.inputs[0].index, values)
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise WorkshopError(
                f"does not run on this picture: {error}",
                where=self._where,
                remedy=f"It takes {self.graph.inputs[0].shape} {self.graph.inputs[0].dtype}",
            ) from error
        computed = [tensor for operator in self.graph.operators for tensor in operator.outputs]
        return {
            tensor.index: np.array(self._interpreter.get_tensor(tensor.index))
            for tensor in (*self.graph.inputs, *computed)
        }


def matched(before: Graph, after: Graph) -> list[tuple[Operator, Operator]]:
    """Pair the layers of a float network with those of its int8 one.

    Quantizers keep the order, so it decides where the kinds agree all along; else names do.
    """
    floats = [operator for operator in before.operators if operator.kind not in GLUE]
    ints = [operator for operator in after.operators if operator.kind not in GLUE]
    if [operator.kind for operator in floats] == [operator.kind for operator in ints]:
        pairs = list(zip(floats, ints, strict=True))
    else:
        named = {operator.outputs[0].name: operator for operator in floats}
        pairs = [
            (named[operator.outputs[0].name], operator)
            for operator in ints
            if operator.outputs[0].name in named
        ]
    return [pair for pair in pairs if _is_comparable(*pair)]


def _is_comparable(before: Operator, after: Operator) -> bool:
    first, second = before.outputs[0], after.outputs[0]
    return (
        before.kind == after.kind
        and first.dtype == "FLOAT32"
        and second.dtype in WHOLE_NUMBERS
        and second.quantisation is not None
        and first.shape == second.shape
        and all(tensor.dtype in WHOLE_NUMBERS for tensor in after.computed)
    )


def _layer(pair: tuple[Operator, Operator], cutters: tuple[Cutter, Cutter]) -> _Layer | None:
    try:
        return _Layer(pair, cutters)
    except CameraAppError:
        return None  # an operator that does not run alone has no error of its own to show


def _alone(cutter: Cutter, operator: Operator) -> tuple[tuple[int, ...], Interpreter]:
    cut = cutter.operator(operator.index)
    return cut.inputs, cut.load()


def by_channel(values: Array) -> Array:
    """Return values as rows of channels; a vector has a single one."""
    return values.reshape(-1, values.shape[-1] if values.ndim > 2 else 1)


def decibels(signal: Array, noise: Array) -> Array:
    """Return signal over noise, both of power, within what means anything."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = 10 * np.log10(signal / noise)
    known = np.nan_to_num(ratios, nan=BEST_DB, posinf=BEST_DB, neginf=-BEST_DB)
    return np.asarray(np.clip(known, -BEST_DB, BEST_DB))


def quantized(values: Array, tensor: GraphTensor) -> Array:
    """Return real values as a tensor of the int8 network holds them."""
    kind = np.dtype(tensor.dtype.lower())
    if tensor.quantisation is None or tensor.dtype not in WHOLE_NUMBERS:
        return values.astype(kind)
    scale, zero = tensor.quantisation.scales[0], tensor.quantisation.zero_points[0]
    numbers = np.round(values / scale) + zero
    bounds = np.iinfo(kind)
    return np.clip(numbers, bounds.min, bounds.max).astype(kind)


def real(values: Array, tensor: GraphTensor) -> Array:
    """Return what the numbers of a tensor stand for."""
    if tensor.quantisation is None or tensor.dtype not in WHOLE_NUMBERS:
        return values.astype(np.float32)
    scale, zero = tensor.quantisation.scales[0], tensor.quantisation.zero_points[0]
    return ((values.astype(np.float32) - zero) * scale).astype(np.float32)


def limits(tensor: GraphTensor) -> tuple[float, float]:
    """Return the least and the largest real value that a tensor can hold."""
    bounds = np.iinfo(np.dtype(tensor.dtype.lower()))
    edges = real(np.array([bounds.min, bounds.max]), tensor)
    return float(edges[0]), float(edges[1])


def _spread(ranges: Array) -> float:
    alive = ranges[ranges > 0]
    if not len(alive):
        return 1.0
    return float(alive.max() / np.percentile(alive, QUARTILE))
