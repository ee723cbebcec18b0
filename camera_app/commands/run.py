"""`camera-app run`: the service."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from camera_app.app import App
from camera_app.config import LogSettings, load_config


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="watch the configured cameras until told to stop",
        description="Watch the configured cameras: detect, follow, keep events, tell the hub. "
        "Ends at SIGTERM or Ctrl-C; a second one ends it at once.",
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal comes."""
    config = load_config(arguments.config)
    begin_logging(config.log)
    stop = threading.Event()
    _stop_on_signals(stop)
    app = App(config)
    app.start()
    try:
        print("READY", flush=True)
        stop.wait()
        print("STOPPING", flush=True)
    finally:
        app.stop()
    return 0


def begin_logging(settings: LogSettings) -> None:
    """Write log lines of that importance to standard error."""
    logging.basicConfig(
        level=settings.level.upper(),
        format="%(asctime)s %(levelname)-7s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
