"""`camera-app subscribe`: every event change of a fleet, each exactly once, as lines of JSON.

Keeps its place in a file, sees what is missing, and asks the cameras for it. It needs a broker
and nothing of the cameras but what they tell.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, load_config
from camera_app.errors import UsageError
from camera_app.subscriber import (
    BrokerAddress,
    FileSink,
    ForwardSink,
    Sink,
    Subscriber,
    TextSink,
    Wishes,
)

EPILOGUE = """A line is what stands on the `event` topic. A gap (`"type":"gap"`) stands for changes
that nobody can tell any more. With --out the file holds each line exactly once, whenever this
command is killed; a pipe or another topic may get the last lines twice after a kill.
exit codes: 0 all is well, 1 something is wrong and said, 2 not understood"""


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "subscribe",
        help="follow the events of cameras at a broker, and miss none",
        description=__doc__,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--state", required=True, type=Path, metavar="FILE", help="keeps the place; made if absent"
    )
    _add_broker(parser)
    _add_wishes(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="FILE", help="append to it; default: print")
    where.add_argument("--forward", metavar="TOPIC", help="tell each line on this topic instead")
    parser.set_defaults(run=run)


def _add_broker(parser: argparse.ArgumentParser) -> None:
    broker = parser.add_argument_group("the broker")
    broker.add_argument(
        "--config", type=Path, metavar="FILE", help="take broker and base topic from its [mqtt]"
    )
    broker.add_argument("--host", metavar="NAME", help="default: localhost")
    broker.add_argument("--port", type=int, metavar="N", help="default: 1883")
    broker.add_argument("--username", metavar="NAME")
    broker.add_argument("--password-file", type=Path, metavar="FILE", help="holds the password")
    broker.add_argument("--tls", action="store_true", default=None, help="encrypt")
    broker.add_argument("--ca-file", type=Path, metavar="FILE", help="certificates to trust, PEM")
    broker.add_argument("--base-topic", metavar="TOPIC", help="default: camera_app")


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    wishes = parser.add_argument_group("what to follow")
    wishes.add_argument("--device", default="+", metavar="ID", help="this device only")
    wishes.add_argument("--camera", default="+", metavar="NAME", help="cameras of this name only")
    wishes.add_argument(
        "--from",
        dest="begin",
        choices=("now", "start"),
        default="now",
        help="where to begin in a stream that is not in the state: with what happens next, or "
        "with the first change that the camera still has (default: now)",
    )
    wishes.add_argument("--once", action="store_true", help="end when nothing is missing")
    wishes.add_argument(
        "--share",
        default="",
        metavar="GROUP",
        help="share the work with others of this group: each change goes to one of you; nothing "
        "is asked for",
    )


def run(arguments: argparse.Namespace) -> int:
    """Follow until a signal comes."""
    if arguments.share and arguments.once:
        raise UsageError("--once needs the whole stream", remedy="Leave out --share or --once")
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stderr, force=True)
    stopping = threading.Event()
    _stop_on_signals(stopping)
    settings = _settings(arguments)
    subscriber = Subscriber(
        _address(settings),
        _wishes(arguments, settings),
        _sink(arguments),
        arguments.state,
        SystemClock(),
    )
    try:
        subscriber.run(stopping)
    finally:
        stats = subscriber.stats
        sys.stderr.write(
            f"{stats.given} lines; {stats.copies} copies dropped; "
            f"{stats.missing} changes are gone; asked {stats.asked} times\n"
        )
    return 0


def _settings(arguments: argparse.Namespace) -> MqttSettings:
    """Return the broker of a configuration, with the words of the call put over it."""
    settings = MqttSettings() if arguments.config is None else load_config(arguments.config).mqtt
    names = ("host", "port", "username", "password_file", "tls", "ca_file", "base_topic")
    given = {name: getattr(arguments, name) for name in names}
    return settings.model_copy(update={k: v for k, v in given.items() if v is not None})


def _address(settings: MqttSettings) -> BrokerAddress:
    return BrokerAddress(
        host=settings.host,
        port=settings.port,
        username=settings.username,
        password_file=settings.password_file,
        tls=settings.uses_tls,
        ca_file=settings.ca_file,
        client_certificate_file=settings.client_certificate_file,
        client_key_file=settings.client_key_file,
    )


def _wishes(arguments: argparse.Namespace, settings: MqttSettings) -> Wishes:
    return Wishes(
        base_topic=settings.base_topic,
        device=arguments.device,
        camera=arguments.camera,
        from_start=arguments.begin == "start",
        group=arguments.share,
        is_once=arguments.once,
    )


def _sink(arguments: argparse.Namespace) -> Sink:
    if arguments.out is not None:
        return FileSink(arguments.out)
    return TextSink(sys.stdout) if arguments.forward is None else ForwardSink(arguments.forward)


def _stop_on_signals(stopping: threading.Event) -> None:
    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)  # the second one ends the process at once
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
