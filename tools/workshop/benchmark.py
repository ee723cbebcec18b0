"""How fast, how large and how hungry a network is on this machine, and which operators cost most.

Latency is taken in rounds that go through all networks in turn, so that what else the machine does
falls on each alike; ratios are of such pairs. Load time and memory are measured in a process of
their own, which runs this module.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from camera_app.errors import CameraAppError
from camera_app.inference import Interpreter, TensorSpec, choose_runtime
from camera_app.models import find_pack, locate_weights
from tools.workshop.errors import WorkshopError
from tools.workshop.tflite_cut import Cutter
from tools.workshop.tflite_graph import Graph, Operator, macs_of, read_graph

Array = npt.NDArray[Any]
Now = Callable[[], float]

MODULE = "tools.workshop.benchmark"  # the name of this file, also where it is run
WARM_UP_RUNS = 5
OPERATOR_RUNS = 20
CHILD_LIMIT_S = 120.0
GREY = 128


@dataclass(frozen=True, slots=True)
class Latency:
    """How long a run took, input and outputs copied.

    Attributes:
        best_ms: The least.
        p50_ms: Half of the runs took no longer, and so on.
        runs: How many there were.
    """

    best_ms: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    runs: int


@dataclass(frozen=True, slots=True)
class Loading:
    """What it costs to have a network ready.

    Attributes:
        load_ms: Until it could run.
        first_ms: Of the first run, which prepares what later ones find.
        rss_rise_bytes: By how much the process grew, file included.
    """

    load_ms: float
    first_ms: float
    rss_rise_bytes: int


@dataclass(frozen=True, slots=True)
class Ratio:
    """Latency of a network over that of the baseline, of rounds that ran one after the other.

    Attributes:
        median: Of the rounds; below 1 is faster than the baseline.
        p10: One round in ten is below.
        p90: One round in ten is above.
    """

    median: float
    p10: float
    p90: float


@dataclass(frozen=True, slots=True)
class OperatorTime:
    """What one operator takes, standing alone.

    Attributes:
        index: In the order of execution.
        kind: Of operator.
        name: Of its layer.
        macs: Multiplications with additions.
        ms: Median; None where it cannot run alone.
    """

    index: int
    kind: str
    name: str
    macs: int
    ms: float | None


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to measure.

    Attributes:
        name: As the caller gave it.
        path: Of its file.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Result:
    """All that was measured of a network.

    Attributes:
        subject: Which.
        size_bytes: Of the file.
        parameters: Learnt values.
        macs: Multiplications with additions of a run.
        latency: Of whole runs.
        loading: Time and memory.
        ratio: To the baseline; None without one.
    """

    subject: Subject
    size_bytes: int
    parameters: int
    macs: int
    latency: Latency
    loading: Loading
    ratio: Ratio | None


def find_subject(text: str) -> Subject:
    """Return what a person meant by a file, a pack's folder, or the name of a pack.

    Raises:
        CameraAppError: There is no such thing.
    """
    path = Path(text).expanduser()
    if path.is_file():
        return Subject(path.stem, path)
    pack = find_pack(text)
    return Subject(pack.name, locate_weights(pack))


def measure(
    subjects: Sequence[Subject],
    *,
    baseline: Subject | None = None,
    rounds: int = 40,
    runs: int = 5,
    picture: Path | None = None,
    seed: int = 1,
    now: Now = time.perf_counter,
) -> tuple[Result, ...]:
    """Measure networks side by side, one thread each.

    Args:
        subjects: Which.
        baseline: What to compare with; measured in the same rounds.
        rounds: How often to go through all of them.
        runs: Of each network in a round.
        picture: What to feed; noise without one.
        seed: Of the noise.
        now: Where time comes from, in seconds.

    Raises:
        CameraAppError: A network cannot be read or run.
    """
    graphs = [read_graph(subject.path) for subject in subjects]  # refuse early
    loadings = [measure_loading(subject.path) for subject in subjects]
    everyone = [*subjects, *([baseline] if baseline else [])]
    runners = [_Runner(subject, picture, seed, now) for subject in everyone]
    times = _interleaved(runners, rounds, runs)
    return tuple(
        Result(
            subject=subject,
            size_bytes=graph.size_bytes,
            parameters=graph.parameter_count,
            macs=graph.mac_count,
            latency=latency_of(times[position].ravel()),
            loading=loading,
            ratio=ratio_of(times[position], times[-1]) if baseline else None,
        )
        for position, (subject, graph, loading) in enumerate(
            zip(subjects, graphs, loadings, strict=True)
        )
    )


class _Runner:
    """A loaded network and its input."""

    def __init__(self, subject: Subject, picture: Path | None, seed: int, now: Now) -> None:
        self._interpreter = choose_runtime().load(subject.path)
        self._inputs = make_inputs(self._interpreter.inputs, picture, seed)
        self._now = now
        for _ in range(WARM_UP_RUNS):
            self.run_s()

    def run_s(self) -> float:
        """Run once, and return how long it took."""
        began = self._now()
        self._interpreter.invoke(self._inputs)
        return self._now() - began


def _interleaved(runners: Sequence[_Runner], rounds: int, runs: int) -> Array:
    """Return seconds by network, round and run."""
    times = np.empty((len(runners), rounds, runs))
    for number in range(rounds):
        # Every other round backwards: who comes first finds a cooler machine.
        order = range(len(runners))[:: -1 if number % 2 else 1]
        for position in order:
            times[position, number] = [runners[position].run_s() for _ in range(runs)]
    return times


def latency_of(seconds: Array) -> Latency:
    """Summarise the times of runs."""
    p50, p90, p99 = np.percentile(seconds, (50, 90, 99)) * 1e3
    return Latency(float(seconds.min()) * 1e3, float(p50), float(p90), float(p99), seconds.size)


def ratio_of(mine: Array, baseline: Array) -> Ratio:
    """Compare two networks round by round; arrays are of seconds by round and run."""
    ratios = np.median(mine, axis=1) / np.median(baseline, axis=1)
    p10, median, p90 = np.percentile(ratios, (10, 50, 90))
    return Ratio(float(median), float(p10), float(p90))


def make_inputs(specs: Sequence[TensorSpec], picture: Path | None, seed: int) -> list[Array]:
    """Return something to feed: a picture into every input that takes one, noise into others.

    Raises:
        WorkshopError: The picture cannot be read.
    """
    noise = np.random.default_rng(seed)
    image = _read_picture(picture) if picture else None
    return [
        _from_picture(image, spec)
        if image is not None and len(spec.shape) == 4 and spec.shape[-1] in (1, 3)
        else make_noise(spec.shape, spec.dtype, noise)
        for spec in specs
    ]


def make_noise(shape: Sequence[int], dtype: str, noise: np.random.Generator) -> Array:
    """Return values that a tensor of this type may well have."""
    kind = np.dtype(dtype)
    if kind in (np.int8, np.uint8):
        limits = np.iinfo(kind)
        return noise.integers(limits.min, limits.max, shape, dtype=kind, endpoint=True)
    if np.issubdtype(kind, np.floating):
        return noise.random(shape).astype(kind)
    return np.zeros(shape, kind)  # indices and sizes: anything else may point outside


def _read_picture(path: Path) -> Array:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise WorkshopError("is no picture that can be read", where=str(path))
    return np.asarray(image)


def _from_picture(image: Array, spec: TensorSpec) -> Array:
    height, width, channels = spec.shape[1:]
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    if channels == 1:
        resized = cv2.cvtColor(resized, cv2.COLOR_BGR2GRAY)[:, :, np.newaxis]
    pixels = np.asarray(resized)[np.newaxis]
    if spec.dtype == "uint8":
        return np.ascontiguousarray(pixels)
    if spec.dtype == "int8":
        return (pixels.astype(np.int16) - GREY).astype(np.int8)
    return (pixels / 255.0).astype(spec.dtype)


def profile(
    path: Path, *, runs: int = OPERATOR_RUNS, seed: int = 1, now: Now = time.perf_counter
) -> tuple[OperatorTime, ...]:
    """Time every operator of a network, each cut out and fed with noise.

    Their sum is not the whole: alone, an operator finds its input in the cache of the processor
    and pays for a call of its own, and the runtime fuses some with their neighbours.

    Raises:
        WorkshopError: The file cannot be read.
    """
    graph, cutter = read_graph(path), Cutter(path)
    return tuple(
        OperatorTime(
            index=operator.index,
            kind=operator.kind,
            name=operator.name,
            macs=macs_of(operator),
            ms=_alone_ms(cutter, operator, graph, runs, seed, now),
        )
        for operator in graph.operators
    )


def _alone_ms(
    cutter: Cutter, operator: Operator, graph: Graph, runs: int, seed: int, now: Now
) -> float | None:
    cut = cutter.operator(operator.index)
    noise = np.random.default_rng(seed)
    inputs = [
        make_noise(graph.tensors[index].shape, graph.tensors[index].dtype.lower(), noise)
        for index in cut.inputs
    ]
    try:
        interpreter = cut.load()
        for _ in range(WARM_UP_RUNS):
            interpreter.invoke(inputs)
        return _median_ms(interpreter, inputs, runs, now)
    except CameraAppError:
        return None  # of a kind that does not run alone; the report says so


def _median_ms(interpreter: Interpreter, inputs: Sequence[Array], runs: int, now: Now) -> float:
    times = []
    for _ in range(runs):
        began = now()
        interpreter.invoke(inputs)
        times.append(now() - began)
    return float(np.median(times)) * 1e3


def by_kind(profile: Sequence[OperatorTime]) -> Mapping[str, tuple[int, float]]:
    """Return how many operators of a kind there are and what they take in ms, dearest first."""
    found: dict[str, tuple[int, float]] = {}
    for item in profile:
        count, ms = found.get(item.kind, (0, 0.0))
        found[item.kind] = (count + 1, ms + (item.ms or 0.0))
    return dict(sorted(found.items(), key=lambda pair: -pair[1][1]))


def measure_loading(path: Path) -> Loading:
    """Load a network in a process of its own, and return what that took.

    Raises:
        WorkshopError: It cannot be loaded.
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", MODULE, str(path.resolve())]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=CHILD_LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise WorkshopError(
            f"was not loaded within {CHILD_LIMIT_S:.0f} s", where=str(path)
        ) from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise WorkshopError(f"cannot be loaded: {last[0]}", where=str(path))
    return Loading(**json.loads(done.stdout.strip().splitlines()[-1]))


def _load_here(path: Path) -> Loading:
    """Load a network in this process, in which nothing was loaded before."""
    runtime = choose_runtime()  # imports the library: not the network's cost
    before = _rss_bytes()
    began = time.perf_counter()
    interpreter = runtime.load(path)
    loaded = time.perf_counter()
    inputs = make_inputs(interpreter.inputs, None, 1)
    started = time.perf_counter()
    interpreter.invoke(inputs)
    ended = time.perf_counter()
    return Loading((loaded - began) * 1e3, (ended - started) * 1e3, _rss_bytes() - before)


def _rss_bytes() -> int:
    """Return how much memory this process holds."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise WorkshopError("the system does not tell how much memory a process holds")


def main(words: Sequence[str]) -> int:
    """Print what loading a network costs, for the process that asked."""
    try:
        loading = _load_here(Path(words[0]))
    except CameraAppError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(asdict(loading)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
