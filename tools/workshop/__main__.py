"""`python -m tools.workshop STEP`: words in, one call out."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

import tools.workshop
from camera_app.errors import CameraAppError
from tools.workshop.steps import STEPS

EXIT_CODES = "exit codes: 0 done, 1 done but something is wrong with it, 2 refused, 130 stopped"


def main(words: Sequence[str] | None = None) -> int:
    """Run one step and return its exit code."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except CameraAppError as error:
        print(f"workshop: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("workshop: stopped; the same command goes on from here", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.workshop", description=tools.workshop.__doc__, epilog=EXIT_CODES
    )
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name in STEPS:
        importlib.import_module(f"tools.workshop.steps.{name}").configure(steps)
    return parser


if __name__ == "__main__":
    sys.exit(main())
