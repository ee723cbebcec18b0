"""`camera-app bench`: a replay, and the devices, against what this machine could do at best."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from camera_app.bench import DeviceBench, ReplayBench, bench_devices, bench_replay
from camera_app.config import InferenceSettings
from camera_app.models import find_models, find_pack

DEVICES = Path("devices")


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the replay of a clip, or the devices, against the machine's best",
        description="Measure, interleaved in one run: the bare network, bare decoding, and the "
        "whole replay of a clip with every frame looked at. Prints the ratio of the replay to the "
        "ceiling: cores / (processor time of decoding + processor time of the network). With the "
        "word `devices` in place of a clip: what the CPU and each Edge TPU do alone, and what they "
        "do together.",
    )
    parser.add_argument("clip", type=Path, metavar="CLIP|devices", help="a film file, or the word")
    parser.add_argument(
        "--model",
        action="append",
        metavar="PACK",
        help=f"may be given often; default: {' '.join(InferenceSettings().model)}",
    )
    parser.add_argument(
        "--seats",
        type=int,
        default=0,
        metavar="N",
        help="of the CPU, for devices; default: as live",
    )
    parser.add_argument(
        "--seconds", type=float, default=3.0, metavar="S", help="a measurement; default: 3"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.clip == DEVICES:
        return run_devices(arguments)
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


def run_devices(arguments: argparse.Namespace) -> int:
    """Measure the devices and print."""
    names = arguments.model or InferenceSettings().model
    bench = bench_devices(
        find_pack(names[0]),
        seats=max(0, arguments.seats),
        rounds=max(1, arguments.rounds),
        round_s=max(0.1, arguments.seconds),
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if arguments.json:
        print(json.dumps(bench.record(), indent=2))
    else:
        print_devices(bench)
    return 0


def print_devices(bench: DeviceBench) -> None:
    """Print the figures of the devices for a person."""
    figures = bench.record()
    alone = {name: median(one.alone_per_s[name] for one in bench.rounds) for name in _names(bench)}
    print(f"{bench.model}, {bench.seats} CPU seats, {len(bench.rounds)} rounds")
    for name, per_s in alone.items():
        print(f"  {name + ' alone':21} {per_s:.1f} answers a second")
    print(f"  {'together':21} {figures['together_per_s']} answers a second")
    print(f"  {'ratio':21} {figures['ratio']} of the sum")
    if figures["parent_ms"] is None:
        print("  no Edge TPU took part: none is plugged in, or the model has no file for one")
        return
    print(f"  {'hand-over and the like':21} {figures['parent_ms']} ms an answer, half are quicker")
    print(f"  {'picture to tensor':21} {figures['prepare_ms']} ms an answer, half are quicker")
    print(f"  {'processor time here':21} {figures['parent_cpu_ms']} ms an answer of a stick")


def _names(bench: DeviceBench) -> list[str]:
    return list(bench.rounds[0].alone_per_s)


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
