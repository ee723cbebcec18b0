"""`camera-app bench`: how near the replay of a clip comes to what this machine could do."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from camera_app.bench import ReplayBench, bench_replay
from camera_app.config import InferenceSettings
from camera_app.models import find_models


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the replay of a clip against the machine's ceiling",
        description="Measure, interleaved in one run: the bare network, bare decoding, and the "
        "whole replay of a clip with every frame looked at. Prints the ratio of the replay to the "
        "ceiling: cores / (processor time of decoding + processor time of the network).",
    )
    parser.add_argument("clip", type=Path, metavar="CLIP", help="a film file")
    parser.add_argument(
        "--model",
        action="append",
        metavar="PACK",
        help=f"may be given often; default: {' '.join(InferenceSettings().model)}",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    models = find_models(arguments.model or InferenceSettings().model)
    bench = bench_replay(
        arguments.clip,
        models,
        rounds=max(1, arguments.rounds),
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if arguments.json:
        print(json.dumps(bench.record(), indent=2))
    else:
        print_table(bench)
    return 0


def print_table(bench: ReplayBench) -> None:
    """Print the figures for a person."""
    figures = bench.record()
    print(f"{bench.clip} with {bench.model}, {bench.cores} cores, {len(bench.rounds)} rounds")
    print(f"  network alone         {figures['invoke_ms']} ms of processor time a frame")
    print(f"  decoding alone        {figures['decode_ms']} ms a frame")
    print(f"  ceiling               {figures['ceiling_fps']} frames a second")
    print(f"  replay                {figures['replay_fps']} frames a second")
    print(f"  ratio                 {figures['ratio']}")
    print(f"  all but the network   {figures['other_cpu_ms']} ms of processor time a frame")
