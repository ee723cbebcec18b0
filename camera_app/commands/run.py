"""`camera-app run`: the service."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from camera_app.app import App
from camera_app.config import Config, load_config
from camera_app.errors import CommandRefused, ConfigError
from camera_app.health import Notifier
from camera_app.logs import begin_logging

# What is written belongs to the user of the service. The group may read, so that a person can be
# let in to look at events; all others see nothing.
PRIVATE = 0o027
# EX_CONFIG of <sysexits.h>: the unit says that systemd is not to try again after it.
EXIT_MISCONFIGURED = 78


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="watch the configured cameras until told to stop",
        description="Watch the configured cameras: detect, follow, keep events, tell the hub. "
        "Ends at SIGTERM or Ctrl-C; a second one ends it at once.",
    )
    parser.add_argument("--config", required=True, type=Path, metavar="FILE")
    parser.set_defaults(run=run, exit_misconfigured=EXIT_MISCONFIGURED)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal comes; begin anew, with the file as it is then, where that is asked."""
    os.umask(os.umask(PRIVATE) | PRIVATE)  # a stricter one stays
    config = load_config(arguments.config)
    with begin_logging(level=config.log.level, form=config.log.format):
        is_to_begin_anew = _watch(config, arguments.config)
    if is_to_begin_anew:
        _begin_anew()
    return 0


def _watch(config: Config, path: Path) -> bool:
    """Watch until told to stop; return whether to begin anew."""
    stop, anew = threading.Event(), threading.Event()
    was_signalled = _stop_on_signals(stop)

    def restart() -> None:
        _refuse_wrong(path)
        anew.set()
        stop.set()

    notifier = Notifier.from_environment()
    notifier.feed()  # where this process began anew, whoever did it before has stopped
    app = App(config, restart=restart, notifier=notifier)
    app.start()
    try:
        print("READY", flush=True)
        notifier.ready()
        stop.wait()
        print("STOPPING", flush=True)
        is_to_begin_anew = anew.is_set() and not was_signalled.is_set()
        # To systemd it goes on, with the same process: STOPPING would have it killed in the end.
        (notifier.reloading if is_to_begin_anew else notifier.stopping)()
    finally:
        app.stop()
    return is_to_begin_anew


def _refuse_wrong(path: Path) -> None:
    """Refuse to begin anew with a file that is wrong: the cameras would stay off."""
    try:
        load_config(path)
    except ConfigError as error:
        # Where, not what: what stands in the file is nobody's business at the broker.
        problems = ", ".join(problem.where for problem in error.problems)
        raise CommandRefused(f"the configuration file is wrong: {problems}") from error


def _begin_anew() -> None:
    """Put a new process in our place, as it was called: the same id, so that systemd follows."""
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 # nosec B606 # no shell is wanted


def _stop_on_signals(stop: threading.Event) -> threading.Event:
    """Set an event when a signal comes; return another that tells it from other reasons."""
    was_signalled = threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
        was_signalled.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return was_signalled
