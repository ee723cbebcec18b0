"""Measures what it costs to hand a network's run over to the child of a stick.

    python -m tools.bench.edgetpu_handover [--model person_small] [--latency-ms 7] [--json]

The stick is simulated. The hand-over is the time from the call to the answer, less the time that
the child was inside the network; median and 99th percentile over runs one after the other. Then
two askers at once, as the camera does it: answers a second, against what one stick can give at
most (a second through its latency).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from camera_app.inference.edgetpu import Stick
from camera_app.inference.runtime import Array
from camera_app.models import ModelPack, find_pack, new_private_key
from camera_app.models.signature import TRUSTED_VARIABLE
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import SimulatedSticks

PLACE = "usb:9-1"
LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        open_s: From nothing to a stick whose known answers are right.
        handover_us_p50: Call to answer less the time inside the network.
        handover_us_p99: The same.
        call_ms_p50: Call to answer.
        per_second: Answers a second with two askers.
        most_per_second: What the stick could give.
    """

    open_s: float
    handover_us_p50: float
    handover_us_p99: float
    call_ms_p50: float
    per_second: float
    most_per_second: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        figures = _measured(Path(name), options)
    if options.json:
        sys.stdout.write(json.dumps(asdict(figures), indent=2) + "\n")
        return 0
    for key, value in asdict(figures).items():
        sys.stdout.write(f"{key:18} {value:.2f}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools.bench.edgetpu_handover", description=__doc__)
    parser.add_argument("--model", default="person_small", help="pack, without a twin of its own")
    parser.add_argument("--latency-ms", type=float, default=7.0, help="of the simulated stick")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    return parser


def _measured(folder: Path, options: argparse.Namespace) -> Figures:
    key = new_private_key(folder / "key")
    os.environ[TRUSTED_VARIABLE] = key.public
    pack = make_twin_pack(find_pack(options.model), folder / "pack", key)
    with SimulatedSticks(folder / "sticks", latency_ms=options.latency_ms) as sticks:
        os.environ.update(sticks.environment())
        stick = Stick(PLACE, [pack])
        began_s = time.monotonic()
        stick.open(LIMIT_S)
        open_s = time.monotonic() - began_s
        try:
            calls_s, inside_s = _one_by_one(stick, pack, options.runs)
            per_second = _two_at_once(stick, pack, options.runs)
        finally:
            stick.close()
    above_us = (calls_s - inside_s) * 1e6
    return Figures(
        open_s=open_s,
        handover_us_p50=float(np.percentile(above_us, 50)),
        handover_us_p99=float(np.percentile(above_us, 99)),
        call_ms_p50=float(np.percentile(calls_s, 50)) * 1000,
        per_second=per_second,
        most_per_second=1000 / options.latency_ms if options.latency_ms else float("inf"),
    )


def _one_by_one(stick: Stick, pack: ModelPack, runs: int) -> tuple[Array, Array]:
    """Return, for each run, the seconds from call to answer and those inside the network."""
    inputs = _inputs(stick, pack)
    calls_s, inside_s = np.empty(runs), np.empty(runs)
    inside_ns = stick.stats.invoke_ns
    for run in range(runs):
        began_s = time.perf_counter()
        stick.invoke(pack.name, inputs, LIMIT_S)
        calls_s[run] = time.perf_counter() - began_s
        before_ns, inside_ns = inside_ns, stick.stats.invoke_ns
        inside_s[run] = (inside_ns - before_ns) / 1e9
    return calls_s, inside_s


def _two_at_once(stick: Stick, pack: ModelPack, runs: int) -> float:
    inputs = _inputs(stick, pack)

    def ask() -> None:
        for _ in range(runs // 2):
            stick.invoke(pack.name, inputs, LIMIT_S)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return 2 * (runs // 2) / (time.perf_counter() - began_s)


def _inputs(stick: Stick, pack: ModelPack) -> list[Array]:
    random = np.random.default_rng(1)
    return [
        random.integers(-100, 100, spec.shape, np.int8).astype(spec.dtype)
        for spec in stick.inputs(pack.name)
    ]


if __name__ == "__main__":
    sys.exit(main())
