"""Predicts what Google's compiler would put on an Edge TPU, and reads what it says itself.

The rules for single operators stand in `edgetpu_rules`; here is what follows from them for a
graph: where it splits, what stays on the CPU, and whether the weights stay on the chip.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from tools.workshop.edgetpu_rules import (
    ON_CHIP_BYTES,
    Finding,
    advice,
    doubts,
    refusal,
    unreadable,
)
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_graph import Graph, Operator, read_graph, weights_of

COMPILER = "edgetpu_compiler"
COMPILED_KIND = "edgetpu-custom-op"
COMPILER_TIMEOUT_S = 600.0  # its own limit is 180 s of compiling
MEGABYTE = 2**20
# Of the 8 MiB, 7.2 to 7.9 are left for weights in users' logs: the rest holds the program and what
# flows between layers. Weights are padded there: 5.1 MiB of them took 6.0.
LEAST_CACHE_BYTES = int(7.2 * MEGABYTE)
LARGEST_PADDING = 1.2
SPLIT = Finding(
    "split",
    "supported, but the graph is cut before it: the compiler makes one part for the Edge TPU",
    "Change what cuts the graph, named above",
)


class Cache(Enum):
    """Whether the weights stay on the chip between runs."""

    FITS = "fits"
    DOUBTFUL = "may not fit"
    STREAMED = "does not fit: the rest is sent anew for every picture"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one operator will run.

    Attributes:
        operator: Which.
        finding: Why it stays on the CPU; None if an Edge TPU takes it.
        doubts: What may change that, or what it costs.
    """

    operator: Operator
    finding: Finding | None
    doubts: tuple[Finding, ...]

    @property
    def is_on_device(self) -> bool:
        """Whether an Edge TPU runs it."""
        return self.finding is None


@dataclass(frozen=True, slots=True)
class Report:
    """What an Edge TPU makes of a network.

    Attributes:
        placements: In the order of execution.
        blocker: Why the compiler would not read the file at all; None if it would.
        weight_bytes: Of what runs on the device, as they stand in the file.
        cache: Whether they stay on the chip.
        advice: On the network as a whole.
        is_compiled: The file is the compiler's result already.
    """

    placements: tuple[Placement, ...]
    blocker: Finding | None
    weight_bytes: int
    cache: Cache
    advice: tuple[Finding, ...]
    is_compiled: bool

    @property
    def on_device(self) -> int:
        """How many operators an Edge TPU runs."""
        return sum(placement.is_on_device for placement in self.placements)

    @property
    def on_cpu(self) -> int:
        """How many operators stay on the CPU."""
        return len(self.placements) - self.on_device

    @property
    def cuts(self) -> tuple[Placement, ...]:
        """What does not suit an Edge TPU by itself; the others only stand behind it."""
        others = (None, SPLIT, self.blocker)
        return tuple(placement for placement in self.placements if placement.finding not in others)


@dataclass(frozen=True, slots=True)
class CompilerLog:
    """What the real compiler said of a file.

    Attributes:
        version: Of the compiler.
        mapped: How many operators of a kind it mapped.
        refused: How many it did not, by kind and by its words for the reason.
    """

    version: str
    mapped: Mapping[str, int]
    refused: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where the prediction of one kind was wrong.

    Attributes:
        kind: Of operator.
        predicted: How many were expected on the Edge TPU.
        actual: How many the compiler put there.
    """

    kind: str
    predicted: int
    actual: int


def lint(path: Path) -> Report:
    """Predict what becomes of a file.

    Raises:
        WorkshopError: It cannot be read.
    """
    return lint_graph(read_graph(path))


def lint_graph(graph: Graph) -> Report:
    """Predict what becomes of a graph."""
    if any(operator.kind == COMPILED_KIND for operator in graph.operators):
        return _compiled(graph)
    blocker = unreadable(graph)
    placements = _blocked(graph, blocker) if blocker else _placed(graph)
    weight_bytes = _weight_bytes(placements)
    return Report(
        placements=placements,
        blocker=blocker,
        weight_bytes=weight_bytes,
        cache=_cache(weight_bytes),
        advice=tuple(advice(graph)),
        is_compiled=False,
    )


def _compiled(graph: Graph) -> Report:
    """Report on a compiled file: what is not the compiler's own operator runs on the CPU."""
    left = Finding("compiled", "the compiler left it to the CPU", "Lint the file before compiling")
    placements = tuple(
        Placement(operator, None if operator.kind == COMPILED_KIND else left, ())
        for operator in graph.operators
    )
    return Report(placements, None, 0, Cache.FITS, (), is_compiled=True)


def _blocked(graph: Graph, blocker: Finding) -> tuple[Placement, ...]:
    return tuple(
        Placement(operator, refusal(operator) or blocker, ()) for operator in graph.operators
    )


def _placed(graph: Graph) -> tuple[Placement, ...]:
    refusals = [refusal(operator) for operator in graph.operators]
    claimed = first_part(graph, [finding is None for finding in refusals])
    return tuple(
        Placement(
            operator,
            None if operator.index in claimed else finding or SPLIT,
            tuple(doubts(operator)) if operator.index in claimed else (),
        )
        for operator, finding in zip(graph.operators, refusals, strict=True)
    )


def first_part(graph: Graph, suits: Sequence[bool]) -> frozenset[int]:
    """Return the operators of the first part that a delegate would get.

    TensorFlow Lite cuts a graph into parts that are all for the delegate or all for itself: a
    part takes every operator of its kind whose inputs are ready, again and again until none is
    left. The compiler keeps the first part for the Edge TPU, and leaves later ones to the CPU.

    Args:
        graph: What to cut.
        suits: For each operator, whether the delegate takes it.
    """
    produced = {tensor.index for operator in graph.operators for tensor in operator.outputs}
    waiting = list(graph.operators)
    ready = {tensor.index for tensor in graph.tensors} - produced
    while waiting:
        wanted = suits[next(op.index for op in waiting if _is_ready(op, ready))]
        part, waiting = _take(waiting, ready, [s is wanted for s in suits])
        if wanted:
            return frozenset(operator.index for operator in part)
    return frozenset()


def _take(
    waiting: Sequence[Operator], ready: set[int], is_wanted: Sequence[bool]
) -> tuple[list[Operator], list[Operator]]:
    """Return what is wanted and ready, and what is left; outputs taken become ready."""
    taken, left = [], []
    for operator in waiting:  # they stand in order of execution: one pass finds all
        if is_wanted[operator.index] and _is_ready(operator, ready):
            taken.append(operator)
            ready.update(tensor.index for tensor in operator.outputs)
        else:
            left.append(operator)
    return taken, left


def _is_ready(operator: Operator, ready: set[int]) -> bool:
    return all(tensor.index in ready for tensor in operator.given)


def _weight_bytes(placements: Sequence[Placement]) -> int:
    weights = {
        tensor.index: tensor.byte_count
        for placement in placements
        if placement.is_on_device
        for tensor in weights_of(placement.operator)
    }
    return sum(weights.values())


def _cache(weight_bytes: int) -> Cache:
    if weight_bytes * LARGEST_PADDING <= LEAST_CACHE_BYTES:
        return Cache.FITS
    return Cache.DOUBTFUL if weight_bytes < ON_CHIP_BYTES else Cache.STREAMED


def find_compiler() -> Path | None:
    """Return where the real compiler is installed; None if it is not."""
    found = shutil.which(COMPILER)
    return Path(found) if found else None


def compile_file(compiler: Path, path: Path) -> CompilerLog:
    """Run the real compiler on a file, in a folder that is thrown away.

    Raises:
        WorkshopError: It failed, or took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [str(compiler), "-s", "-o", folder, str(path.resolve())]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=COMPILER_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WorkshopError(f"{COMPILER} did not run: {error}", where=str(path)) from error
    text = done.stdout + done.stderr
    if done.returncode != 0:
        last = text.strip().splitlines()[-1:] or ["it said nothing"]
        raise WorkshopError(
            f"{COMPILER} failed: {last[0]}",
            where=str(path),
            remedy="The prediction above says what it may have stumbled over",
        )
    return read_log(text)


def read_log(text: str) -> CompilerLog:
    """Read what the compiler printed with `-s`: a table of kinds, counts and reasons."""
    version = re.search(r"Compiler version (\S+)", text)
    mapped: Counter[str] = Counter()
    refused: Counter[tuple[str, str]] = Counter()
    for kind, count, status in re.findall(r"^([A-Z0-9_]+) +(\d+) +(\S.*?) *$", text, re.MULTILINE):
        if status == "Mapped to Edge TPU":
            mapped[kind] += int(count)
        else:
            refused[kind, status] += int(count)
    return CompilerLog(version.group(1) if version else "", mapped, refused)


def disagreements(report: Report, log: CompilerLog) -> tuple[Disagreement, ...]:
    """Return where the prediction was wrong, by kind of operator."""
    predicted = Counter(
        _kind_in_log(placement.operator)
        for placement in report.placements
        if placement.is_on_device
    )
    kinds = sorted({*predicted, *log.mapped})
    return tuple(
        Disagreement(kind, predicted[kind], log.mapped.get(kind, 0))
        for kind in kinds
        if predicted[kind] != log.mapped.get(kind, 0)
    )


def _kind_in_log(operator: Operator) -> str:
    return "CUSTOM" if operator.is_custom else operator.kind
