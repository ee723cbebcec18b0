"""`camera-app health`: whether the running service can see and deliver."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camera_app.clock import SystemClock
from camera_app.readiness import ReadinessReport, read_readiness, runtime_folder

DESCRIPTION = """Whether the service that runs here can see and can deliver, and if not, why.

Reads the file that the service keeps true in its runtime folder, second by second, and asks nobody
else: quick enough for a container's health check."""

EPILOGUE = "exit codes: 0 ready, 1 not ready, no service, or one that hangs, 2 not understood"

DEFAULT_FOLDER = Path("/run/camera-app")


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "health",
        help="show whether the running service can see and deliver",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runtime-folder",
        type=Path,
        metavar="DIR",
        default=None,
        help=f"where the service writes it; default: $RUNTIME_DIRECTORY, else {DEFAULT_FOLDER}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print what the service says of itself; 1 unless it is ready."""
    folder = arguments.runtime_folder or runtime_folder() or DEFAULT_FOLDER
    report = read_readiness(folder, SystemClock().monotonic_ns())
    if arguments.json:
        sys.stdout.write(json.dumps(_record(report), indent=2) + "\n")
    else:
        sys.stdout.writelines(_lines(report))
    return 0 if report.is_ready else 1


def _record(report: ReadinessReport) -> dict[str, Any]:
    return {
        "ready": report.is_ready,
        "stale": report.is_stale,
        "age_s": round(report.age_s, 1),
        "shortfalls": [asdict(one) for one in report.readiness.shortfalls],
    }


def _lines(report: ReadinessReport) -> list[str]:
    if report.is_stale:
        return ["not ready: the service has stopped telling; it hangs, or was killed\n"]
    if report.is_ready:
        return ["ready: it sees and delivers\n"]
    return [f"cannot {one.ability}: {one}\n" for one in report.readiness.shortfalls]
