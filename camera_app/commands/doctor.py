"""`camera-app doctor`: what is wrong here, and the line to type."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from camera_app.clock import SystemClock, iso_utc
from camera_app.doctor import (
    CHECKS,
    LIMIT_S,
    Check,
    Severity,
    as_json,
    as_lines,
    borrowed_credentials,
    examined,
    subject_of,
)
from camera_app.logs import CREDENTIALS_VARIABLE

DESCRIPTION = """Looks at everything that the camera needs, and says of what is wrong what it is,
what to do, and the line to type.

Without --config it examines the configuration of the service that runs, or the one in
/etc/camera-app, or does without. It disturbs no service that runs: nothing is taken from it."""

EXIT_WRONG = 1


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "doctor",
        help="find out what is wrong, and what to type",
        description=DESCRIPTION,
        epilog=_epilogue(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration")
    parser.add_argument(
        "--only",
        type=_checks,
        default=CHECKS,
        metavar="NAMES",
        help="do these checks alone, with commas between",
    )
    parser.add_argument("--strict", action="store_true", help="warnings count as errors, too")
    parser.add_argument(
        "--deadline",
        type=_positive,
        default=LIMIT_S,
        metavar="SECONDS",
        help=f"time that each check has; default: {LIMIT_S:g}",
    )
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Examine, and print what was found."""
    _borrow_credentials(arguments.config)
    subject = subject_of(arguments.config, limit_s=arguments.deadline)
    reports = examined(subject, arguments.only)
    if arguments.json:
        path = str(subject.config_path) if subject.config_path is not None else None
        at = iso_utc(SystemClock().wall_ns())
        sys.stdout.write(json.dumps(as_json(reports, path, at), indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in as_lines(reports))
    severities = {report.severity for report in reports}
    bad = {Severity.ERROR, Severity.WARNING} if arguments.strict else {Severity.ERROR}
    return EXIT_WRONG if severities & bad else 0


def _borrow_credentials(config: Path | None) -> None:
    """Let the configuration find what systemd has handed to the running service, where we may."""
    folder = borrowed_credentials(config)
    if folder is not None:
        os.environ.setdefault(CREDENTIALS_VARIABLE, str(folder))


def _checks(text: str) -> tuple[Check, ...]:
    by_name = {check.name: check for check in CHECKS}
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in wanted if name not in by_name]
    if unknown or not wanted:
        raise argparse.ArgumentTypeError(f"{text!r}: the checks are {', '.join(by_name)}")
    return tuple(check for check in CHECKS if check.name in wanted)


def _positive(text: str) -> float:
    seconds = float(text)
    if not 1.0 <= seconds <= 600.0:
        raise argparse.ArgumentTypeError("expected seconds between 1 and 600")
    return seconds


def _epilogue() -> str:
    checks = "".join(f"  {check.name:14} {check.about}\n" for check in CHECKS)
    return (
        f"checks:\n{checks}\n"
        "exit codes: 0 nothing is wrong, though there may be warnings; 1 something is wrong, with\n"
        "--strict warnings too; 2 not understood"
    )
