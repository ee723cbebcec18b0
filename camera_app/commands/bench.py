"""`camera-app bench`: a replay, the devices, and the whole service on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median

from camera_app.bench import (
    DeviceBench,
    LoadedLatency,
    ReplayBench,
    ServiceBench,
    Wishes,
    bench_devices,
    bench_latency,
    bench_replay,
    bench_service,
)
from camera_app.bench.costs import OTHERS_SHARE, Costs
from camera_app.config import InferenceSettings, load_config
from camera_app.errors import BrokerUnreachable, UsageError
from camera_app.models import find_models, find_pack

DEVICES, SERVICE, LATENCY = Path("devices"), Path("service"), Path("latency")
DEVICES_S, SERVICE_S, CALIBRATION_S = 3.0, 60.0, 4.0
LOAD = 0.7
OTHER_LOAD = 0.25  # a broker and a subscriber take less


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the replay of a clip, the devices, or the service on this machine",
        description="Measure, interleaved in one run: the bare network, bare decoding, and the "
        "whole replay of a clip with every frame looked at. Prints the ratio of the replay to the "
        "ceiling: cores / (processor time of decoding + processor time of the network). With the "
        "word `devices` in place of a clip: what the CPU and each Edge TPU do alone, and what they "
        "do together. With the word `service`: the time from `run` to the first object, memory and "
        "a still scene's processor time of all processes, and what `latency` measures alone: how "
        "late a change of an event is at a subscriber beyond its network, with the CPU's seats "
        "loaded as --load says. Both need --clip. With --calibrate: what the camera costs here.",
    )
    parser.add_argument(
        "clip",
        type=Path,
        nargs="?",
        metavar="CLIP|devices|service|latency",
        help="a film file, or the word",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="measure what the camera costs on this machine, for `camera-app config plan`; takes "
        "about four minutes, in which nothing else should be busy",
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="with --calibrate: measure its sources and models, too",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="with --calibrate: where to; default: the cache"
    )
    parser.add_argument(
        "--clip",
        dest="film",
        type=Path,
        metavar="FILM",
        help="for service and latency: a film that shows somebody from its first pictures",
    )
    parser.add_argument(
        "--broker",
        default="",
        metavar="HOST:PORT",
        help="for service, latency and --calibrate; default: one that runs as long as that takes",
    )
    parser.add_argument(
        "--cameras", type=int, default=4, metavar="N", help="for latency; default: 4"
    )
    parser.add_argument(
        "--load",
        type=float,
        default=LOAD,
        metavar="SHARE",
        help=f"for latency: of all processor time that the service takes; default: {LOAD}",
    )
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
        "--seconds",
        type=float,
        metavar="S",
        help=f"a measurement; default: {DEVICES_S:.0f}, {SERVICE_S:.0f} for service and "
        f"latency, {CALIBRATION_S:.0f} with --calibrate",
    )
    parser.add_argument(
        "--memory-after",
        type=float,
        metavar="S",
        help="for service: how long it has run when its memory is looked at; default: as --seconds",
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="default: 5")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    if arguments.calibrate:
        return run_calibration(arguments)
    if arguments.clip is None:
        raise UsageError(
            "there is nothing to measure", remedy="Name a clip, or `devices`, or --calibrate"
        )
    if arguments.clip == DEVICES:
        return run_devices(arguments)
    if arguments.clip in (SERVICE, LATENCY):
        return run_service(arguments)
    models = find_models(arguments.model or InferenceSettings().model)
    bench = bench_replay(
        arguments.clip,
        models,
        rounds=max(1, arguments.rounds),
        progress=_say,
    )
    print_as(arguments, bench.record(), lambda: print_table(bench))
    return 0


def run_calibration(arguments: argparse.Namespace) -> int:
    """Measure what the camera costs here, and keep it."""
    # Imported here: it draws in the whole service, which the other benches do without.
    from camera_app.bench.calibration import calibrate, costs_path, write_costs

    config = None if arguments.config is None else load_config(arguments.config)
    with ExitStack() as stack:
        costs = calibrate(
            config,
            span_s=max(1.0, CALIBRATION_S if arguments.seconds is None else arguments.seconds),
            progress=_say,
            broker=_broker(arguments.broker, stack),
        )
    path = arguments.out or costs_path()
    write_costs(path, costs)
    print_as(arguments, asdict(costs), lambda: print_costs(costs, path))
    return 0


def _broker(named: str, stack: ExitStack) -> tuple[str, int] | None:
    """Return the broker that is named, or one that runs for a while; None: there can be none."""
    from camera_app.demo import demo_broker, parse_address

    try:
        broker = parse_address(named) if named else stack.enter_context(demo_broker())
    except BrokerUnreachable as error:
        _say(f"what it costs to tell a broker is not measured: {error}")
        return None
    return broker.host, broker.port


def print_costs(costs: Costs, path: Path) -> None:
    """Print for a person what was measured, and where it is kept."""
    print(f"{costs.machine['processor']}, {costs.cores} cores")
    print(f"  a service that sees nothing   {costs.base_cores:.4f} cores")
    print(f"  telling a broker              {costs.telling.cores:.4f} cores more")
    for source in (*costs.sizes, *costs.sources.values()):
        print(
            f"  {source.width}x{source.height} {source.codec:22} {source.decode_ms:.2f} ms a "
            f"picture to decode, {source.frame_ms:.2f} ms to take, "
            f"{source.memory_bytes / 1e6:.0f} MB"
        )
    looks_ms = " to ".join(f"{one.look_ms:.2f}" for one in (costs.sizes[0], costs.sizes[-1]))
    print(
        f"  a frame that is looked at     {looks_ms} ms beyond its networks, and "
        f"{costs.rare_look_ms:.2f} if that is rare"
    )
    print(f"  a second stream for films     {costs.stream.picture_ms:.2f} ms a picture")
    for name, model in costs.models.items():
        memory = f"{model.memory_bytes / 1e6:.0f} MB a seat"
        print(f"  {name:29} {model.cpu_ms:.2f} ms a region on the processor, {memory}")
    for place, models in costs.sticks.items():
        for name, stick in models.items():
            print(
                f"  {name} on {place}: {stick.service_ms:.2f} ms a region, "
                f"{stick.change_ms:.2f} after another model"
            )
    print(
        f"  an event change               {costs.change_ms:.2f} ms, "
        f"{costs.change_written_bytes / 1e3:.1f} kB written, "
        f"{costs.telling.change_written_bytes / 1e3:.1f} once a broker has it"
    )
    print(f"  everything else meanwhile     {costs.others_cores:.2f} cores")
    if costs.others_cores > costs.cores * OTHERS_SHARE:
        print("This machine was busy with other things: each figure may be too high for it.")
    print(f"kept in {path}")


def run_devices(arguments: argparse.Namespace) -> int:
    """Measure the devices and print."""
    names = arguments.model or InferenceSettings().model
    bench = bench_devices(
        find_pack(names[0]),
        seats=max(0, arguments.seats),
        rounds=max(1, arguments.rounds),
        round_s=max(0.1, DEVICES_S if arguments.seconds is None else arguments.seconds),
        progress=_say,
    )
    print_as(arguments, bench.record(), lambda: print_devices(bench))
    return 0


def run_service(arguments: argparse.Namespace) -> int:
    """Measure the service, or its latency alone, and print."""
    from camera_app.demo import demo_broker, parse_address  # the other measurements do without

    if arguments.film is None or not arguments.film.is_file():
        raise UsageError(
            f"`bench {arguments.clip}` needs a film",
            remedy="Give --clip FILM; `camera-app demo --out DIR` makes one, DIR/scene.mp4.",
        )
    if not 0.05 <= arguments.load <= 0.95:
        raise UsageError(f"--load {arguments.load} is not between 0.05 and 0.95")
    model = (arguments.model or InferenceSettings().model)[0]
    find_pack(model)  # refused here, where it can be told
    with ExitStack() as stack:
        named = arguments.broker
        broker = parse_address(named) if named else stack.enter_context(demo_broker())
        seconds = max(1.0, SERVICE_S if arguments.seconds is None else arguments.seconds)
        after_s = seconds if arguments.memory_after is None else arguments.memory_after
        wishes = Wishes(
            clip=arguments.film,
            host=broker.host,
            port=broker.port,
            model=str(Path(model).resolve()) if Path(model).exists() else model,
            seconds=seconds,
            memory_after_s=max(1.0, after_s),
            cameras=max(1, arguments.cameras),
            load=arguments.load,
        )
        if arguments.clip == LATENCY:
            late = bench_latency(wishes, _say)
            print_as(arguments, asdict(late), lambda: print_latency(late))
        else:
            bench = bench_service(wishes, _say)
            print_as(arguments, bench.record(), lambda: print_service(bench))
    return 0


def print_as(
    arguments: argparse.Namespace, record: dict[str, object], for_a_person: Callable[[], None]
) -> None:
    """Print figures as JSON where that is asked for, else for a person."""
    if arguments.json:
        print(json.dumps(record, indent=2))
    else:
        for_a_person()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def print_service(bench: ServiceBench) -> None:
    """Print the figures of the service for a person."""
    print(f"{bench.model}, {bench.seconds:.0f} s a measurement")
    print(f"  from `run` to the first object   {bench.start_s} s")
    print(
        f"  memory of all processes (PSS)    {bench.pss_mb} MB after {bench.memory_after_s:.0f} s"
    )
    print(f"  had nobody else their libraries  {bench.alone_mb} MB")
    idle, bare = bench.idle_cpu_s_per_minute, bench.bare_cpu_s_per_minute
    print(f"  still scene                      {idle} CPU s a minute")
    print(f"  a bare loop beside it            {bare}; the service takes {idle / bare:.2f} of that")
    print_latency(bench.latency)


def print_latency(late: LoadedLatency) -> None:
    """Print how late changes are at a subscriber for a person."""
    print(
        f"{late.changes} changes at a subscriber: half come before the first figure, all but one in"
    )
    print("100 before the second, from capture; that is stamped when a picture is decoded")
    rows = {"beyond the network": late.above_network, "with the network": late.whole}
    for name, spread in (rows | {f"  {name}": one for name, one in late.stages.items()}).items():
        print(f"  {name:22} {spread.p50_ms:7.2f} {spread.p99_ms:7.2f} ms")
    loads = f"{late.load:.0%} of all processor time, all else {late.other_load:.0%}"
    print(f"  load                   {loads}")
    print(f"  seats of the CPU       {late.seats}, busy {late.seats_load:.0%} of the time")
    print(f"  frames of each camera  {late.fps} a second, {late.looked_at_share:.1%} looked at")
    if late.unmatched:
        print(f"  left out               {late.unmatched} changes: their frames are not in the log")
    if late.other_load > OTHER_LOAD:
        print("This machine was busy with other things: the figures are theirs as much as ours.")


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
