"""`camera-app run`: the service."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from enum import Enum, auto
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

from camera_app.config import load_config
from camera_app.errors import CommandRefused, ConfigError
from camera_app.health import Notifier
from camera_app.logs import begin_logging
from camera_app.memory import give_back_what_is_free
from camera_app.roster import ROSTER
from camera_app.service import Service


class _Wish(Enum):
    """What the main thread is to do next."""

    STOP = auto()
    BEGIN_ANEW = auto()
    RELOAD = auto()


# Its `put` may be called in a signal handler, whatever the thread was doing just then.
_Wishes = SimpleQueue[_Wish]

# What is written belongs to the user of the service. The group may read, so that a person can be
# let in to look at events; all others see nothing.
PRIVATE = 0o027
# EX_CONFIG of <sysexits.h>: the unit says that systemd is not to try again after it.
EXIT_MISCONFIGURED = 78
_ENDINGS = (signal.SIGTERM, signal.SIGINT)
# Cameras are closed and opened, networks loaded, and all of it taken back if it does not succeed.
RELOAD_LIMIT_S = 180.0


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="watch the configured cameras until told to stop",
        description="Watch the configured cameras: detect, follow, keep events, tell the hub. "
        "Ends at SIGTERM or Ctrl-C; a second one ends it at once. At SIGHUP the configuration is "
        "read anew and what differs is applied. A configuration that is wrong is refused whole, "
        "and the last good one runs.",
    )
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="the configuration, TOML"
    )
    parser.add_argument(
        "--state",
        type=Path,
        metavar="FOLDER",
        help="where the last good configuration is kept; without it the folder that systemd gives "
        "(STATE_DIRECTORY), else the data folder, else /var/lib/camera-app",
    )
    parser.set_defaults(run=run, exit_misconfigured=EXIT_MISCONFIGURED)


def run(arguments: argparse.Namespace) -> int:
    """Run until a signal comes; begin anew, with the file as it is then, where that is asked."""
    os.umask(os.umask(PRIVATE) | PRIVATE)  # a stricter one stays
    wishes: _Wishes = SimpleQueue()

    def restart() -> None:
        _refuse_wrong(arguments.config)
        wishes.put(_Wish.BEGIN_ANEW)

    def reload() -> None:
        wishes.put(_Wish.RELOAD)  # also of a wrong one: what is wrong with it is told everywhere
        _refuse_wrong(arguments.config)

    notifier = Notifier.from_environment()
    notifier.feed()  # where this process began anew, whoever did it before has stopped
    service = Service(arguments.config, arguments.state, restart, reload, notifier)
    config = service.choose()
    with begin_logging(level=config.log.level, form=config.log.format):
        _wish_on_signals(wishes)
        last = _watch(service, wishes, notifier)
    if last is _Wish.BEGIN_ANEW and not _is_to_stop(wishes):
        _begin_anew()
    return 0


def _watch(service: Service, wishes: _Wishes, notifier: Notifier) -> _Wish:
    """Watch until told to stop; return how."""
    service.start()
    try:
        _tell_ready(notifier)
        while (wish := wishes.get()) is _Wish.RELOAD:
            print("RELOADING", flush=True)
            notifier.reloading()
            _reload(service)
            _tell_ready(notifier)
        print("STOPPING", flush=True)
        # To systemd it goes on, with the same process: STOPPING would have it killed in the end.
        (notifier.reloading if wish is _Wish.BEGIN_ANEW else notifier.stopping)()
    finally:
        service.stop()
    return wish


def _tell_ready(notifier: Notifier) -> None:
    print("READY", flush=True)
    notifier.ready()
    give_back_what_is_free()  # what it took to become ready


def _reload(service: Service) -> None:
    """Have the configuration read anew; like every thread's work it is missed if it hangs."""
    vital = ROSTER.enter("camera-app reload")
    vital.promise(RELOAD_LIMIT_S)
    service.reload()
    ROSTER.leave(vital)


def _refuse_wrong(path: Path) -> None:
    """Refuse at once to go by a file that is wrong: who asked is told."""
    try:
        load_config(path)
    except ConfigError as error:
        # Where, not what: what stands in the file is nobody's business at the broker.
        problems = ", ".join(problem.where for problem in error.problems)
        raise CommandRefused(f"the configuration file is wrong: {problems}") from error


def _is_to_stop(wishes: _Wishes) -> bool:
    """Say whether a stop was wished for on the way to a new beginning."""
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_DFL)  # one that comes after this look ends the process
    while not wishes.empty():
        if wishes.get() is _Wish.STOP:
            return True
    return False


def _begin_anew() -> None:
    """Put a new process in our place, as it was called: the same id, so that systemd follows."""
    sys.stderr.flush()
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 # nosec B606 # no shell is wanted


def _wish_on_signals(wishes: _Wishes) -> None:
    """Stop at SIGTERM and SIGINT, reload at SIGHUP."""

    def stop(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
        wishes.put(_Wish.STOP)

    def reload(_number: int, _frame: FrameType | None) -> None:
        wishes.put(_Wish.RELOAD)

    for number in _ENDINGS:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, reload)
