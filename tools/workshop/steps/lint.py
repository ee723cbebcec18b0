"""`lint`: what an Edge TPU makes of a network, predicted; and what the real compiler says."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.workshop.lint import (
    COMPILER,
    CompilerLog,
    Placement,
    Report,
    compile_file,
    disagreements,
    find_compiler,
    lint,
)

MOST_LINES = 12  # of a kind of finding are shown to a person; --json has them all

DESCRIPTION = """Predict which operators an Edge TPU takes, where the graph splits and whether the
weights stay on the chip, without the closed compiler.

Where edgetpu_compiler is on the PATH it is asked as well, and the two are compared."""
EPILOGUE = "exit codes: 0 all runs on the Edge TPU, 1 something stays on the CPU, 2 refused"


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "lint",
        help="predict what an Edge TPU takes of a .tflite file",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a .tflite file")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument(
        "--no-compiler", action="store_true", help=f"do not ask {COMPILER}, even where it is"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Lint every file; 1 if any leaves something to the CPU."""
    compiler = None if arguments.no_compiler else find_compiler()
    stays = False
    documents = []
    for path in arguments.files:
        report = lint(path)
        stays = stays or report.on_cpu > 0
        if not arguments.json:
            print("\n".join(_lines(path, report)))
        log = compile_file(compiler, path) if compiler and not report.is_compiled else None
        if log and not arguments.json:
            print("\n".join(_log_lines(report, log)))
        documents.append(_document(path, report, log))
    if arguments.json:
        print(json.dumps(documents, indent=1))
    return 1 if stays else 0


def _lines(path: Path, report: Report) -> Iterator[str]:
    yield f"{path}: {report.on_device} operators on the Edge TPU, {report.on_cpu} on the CPU"
    if report.is_compiled:
        yield "  compiled already"
        return
    if report.blocker:
        yield f"  the compiler cannot read it: {report.blocker.problem}"
        yield f"    {report.blocker.remedy}"
    megabytes = report.weight_bytes / 1e6
    yield f"  weights on the device: {megabytes:.2f} MB; on-chip cache: {report.cache.value}"
    yield from _refused_lines(report)
    for finding in report.advice:
        yield f"  note: {finding.problem}. {finding.remedy}"
    yield from _doubt_lines(report.placements)


def _refused_lines(report: Report) -> Iterator[str]:
    cuts = report.cuts
    if not cuts:
        return
    yield f"  {'at':>4} {'operator':<24} {'layer':<40} why, and what to do"
    for placement in cuts[:MOST_LINES]:
        finding = placement.finding
        assert finding is not None  # that is what a cut is
        operator = placement.operator
        yield (
            f"  {operator.index:>4} {operator.kind:<24} {_shortened(operator.name, 40):<40} "
            f"[{finding.rule}] {finding.problem}. {finding.remedy}"
        )
    if len(cuts) > MOST_LINES:
        yield f"  … and {len(cuts) - MOST_LINES} more"
    behind = report.on_cpu - len(cuts)
    if behind:
        yield f"  {behind} more stand behind these and stay on the CPU with them"


def _doubt_lines(placements: tuple[Placement, ...]) -> Iterator[str]:
    """Say each doubt once, with how often and where first."""
    seen: dict[str, list[Placement]] = {}
    for placement in placements:
        for finding in placement.doubts:
            seen.setdefault(finding.rule, []).append(placement)
    for rule, found in seen.items():
        first = found[0]
        finding = next(finding for finding in first.doubts if finding.rule == rule)
        yield (
            f"  note: {len(found)} of {first.operator.kind} [{rule}], first at "
            f"{first.operator.name}: {finding.problem}. {finding.remedy}"
        )


def _log_lines(report: Report, log: CompilerLog) -> Iterator[str]:
    wrong = disagreements(report, log)
    yield f"  {COMPILER} {log.version}: {sum(log.mapped.values())} operators mapped"
    for item in wrong:
        yield f"    {item.kind}: predicted {item.predicted}, mapped {item.actual}"
    for (kind, reason), count in log.refused.items():
        yield f"    {count} {kind}: {reason}"
    if not wrong:
        yield "    as predicted"


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else "…" + text[1 - width :]


def _document(path: Path, report: Report, log: CompilerLog | None) -> dict[str, Any]:
    return {
        "file": str(path),
        "on_edgetpu": report.on_device,
        "on_cpu": report.on_cpu,
        "weight_bytes": report.weight_bytes,
        "cache": report.cache.name.lower(),
        "blocker": _finding(report.blocker),
        "advice": [_finding(finding) for finding in report.advice],
        "is_compiled": report.is_compiled,
        "operators": [_placement(placement) for placement in report.placements],
        "compiler": _log(report, log) if log else None,
    }


def _placement(placement: Placement) -> dict[str, Any]:
    operator = placement.operator
    return {
        "index": operator.index,
        "kind": operator.kind,
        "version": operator.version,
        "layer": operator.name,
        "on_edgetpu": placement.is_on_device,
        "finding": _finding(placement.finding),
        "doubts": [_finding(finding) for finding in placement.doubts],
    }


def _finding(finding: Any) -> dict[str, str] | None:
    if finding is None:
        return None
    return {"rule": finding.rule, "problem": finding.problem, "remedy": finding.remedy}


def _log(report: Report, log: CompilerLog) -> dict[str, Any]:
    return {
        "version": log.version,
        "mapped": dict(log.mapped),
        "refused": [
            {"kind": kind, "reason": reason, "count": count}
            for (kind, reason), count in log.refused.items()
        ],
        "disagreements": [
            {"kind": item.kind, "predicted": item.predicted, "mapped": item.actual}
            for item in disagreements(report, log)
        ],
    }
