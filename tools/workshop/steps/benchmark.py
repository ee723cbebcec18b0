"""`benchmark`: latency, memory, size and the dearest operators of networks on this machine."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tools.workshop.benchmark import (
    OperatorTime,
    Ratio,
    Result,
    by_kind,
    find_subject,
    measure,
    profile,
)
from tools.workshop.words import positive

DEAREST = 8  # operators of a profile are shown to a person; --json has them all

DESCRIPTION = """Measure networks side by side on this machine, on one thread each.

Rounds go through all of them in turn, so what else the machine does falls on each alike; a ratio is
the median over the rounds. Give --against to compare with a network that you know."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "benchmark",
        help="measure latency, memory and single operators",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="FILE_OR_PACK",
        help="a .tflite file, a pack's name or folder",
    )
    parser.add_argument("--against", metavar="FILE_OR_PACK", help="what to compare with")
    parser.add_argument("--rounds", type=positive, default=40, help="default 40")
    parser.add_argument("--runs", type=positive, default=5, help="of each in a round; default 5")
    parser.add_argument("--picture", type=Path, help="what to feed; default: noise")
    parser.add_argument("--seed", type=int, default=1, help="of the noise; default 1")
    parser.add_argument("--profile", action="store_true", help="time every operator as well")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, and print."""
    results = measure(
        [find_subject(text) for text in arguments.networks],
        baseline=find_subject(arguments.against) if arguments.against else None,
        rounds=arguments.rounds,
        runs=arguments.runs,
        picture=arguments.picture,
        seed=arguments.seed,
    )
    profiles = [
        profile(result.subject.path, seed=arguments.seed) if arguments.profile else ()
        for result in results
    ]
    if arguments.json:
        documents = [_document(*pair) for pair in zip(results, profiles, strict=True)]
        print(json.dumps(documents, indent=1))
        return 0
    print("\n".join(_table(results)))
    for result, times in zip(results, profiles, strict=True):
        if times:
            print("\n".join(_profile_lines(result, times)))
    return 0


def _table(results: Sequence[Result]) -> Iterator[str]:
    yield (
        f"{'network':<30} {'p50':>7} {'p90':>7} {'p99':>7} {'best':>7} ms {'ratio':>20} "
        f"{'load':>6} ms {'memory':>7} MB {'file':>5} MB {'params':>6} M {'MACs':>6} M"
    )
    for result in results:
        latency = result.latency
        yield (
            f"{result.subject.name:<30} {latency.p50_ms:>7.2f} {latency.p90_ms:>7.2f} "
            f"{latency.p99_ms:>7.2f} {latency.best_ms:>7.2f}    {_ratio(result.ratio):>20} "
            f"{result.loading.load_ms:>6.1f}    {result.loading.rss_rise_bytes / 1e6:>7.1f}    "
            f"{result.size_bytes / 1e6:>5.2f}    {result.parameters / 1e6:>6.3f}   "
            f"{result.macs / 1e6:>6.1f}"
        )


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio.median:.2f} ({ratio.p10:.2f}-{ratio.p90:.2f})"


def _profile_lines(result: Result, times: Sequence[OperatorTime]) -> Iterator[str]:
    total = sum(item.ms or 0.0 for item in times)
    yield ""
    yield (
        f"{result.subject.name}: operators one by one take {total:.2f} ms together, "
        f"the whole {result.latency.p50_ms:.2f} ms"
    )
    for kind, (count, ms) in by_kind(times).items():
        yield f"  {kind:<28} {count:>4} {ms:>8.3f} ms {_share(ms, total)}"
    yield "  dearest:"
    for item in sorted(times, key=lambda item: -(item.ms or 0.0))[:DEAREST]:
        ms = item.ms or 0.0
        yield (
            f"  {item.index:>4} {item.kind:<23} {ms:>8.3f} ms {_share(ms, total)} "
            f"{item.macs / 1e6:>7.2f} M MACs  {item.name}"
        )
    alone = sum(item.ms is None for item in times)
    if alone:
        yield f"  {alone} operators do not run alone and are not counted"


def _share(ms: float, total: float) -> str:
    return f"{ms / total:>6.1%}" if total else ""


def _document(result: Result, times: Sequence[OperatorTime]) -> dict[str, Any]:
    return {
        "network": result.subject.name,
        "file": str(result.subject.path),
        "size_bytes": result.size_bytes,
        "parameters": result.parameters,
        "macs": result.macs,
        "latency": asdict(result.latency),
        "loading": asdict(result.loading),
        "ratio": asdict(result.ratio) if result.ratio else None,
        "profile": [asdict(item) for item in times],
    }
