"""Put fleets of simulated cameras at a real mosquitto, and make the table of what it takes.

    python -m tools.fleet --cameras 1,10,100,1000,10000 [--json FILE] [--page docs/delivery.md]

Each camera is a device with a connection, a will, retained state, Home Assistant discovery and a
ledger; topics, payloads and MQTT 5 properties are made by the product, only the sockets are not.
Where the machine does not allow a connection for each, several cameras share one, and a second row
says what a connection for each would take: extrapolated, and marked so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tools.bench.drain import start_broker
from tools.docs.marked import put_into
from tools.fleet.cameras import Wishes
from tools.fleet.figures import Figures, table
from tools.fleet.limits import raise_limits, room
from tools.fleet.trial import try_fleet


def main() -> None:
    """Try each size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    _add_words(parser)
    arguments = parser.parse_args()
    for line in raise_limits(max(arguments.cameras)):
        sys.stderr.write(f"{line}\n")
    figures = [_try(cameras, arguments) for cameras in arguments.cameras]
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in figures], indent=2) + "\n")
    lines = table(figures)
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.page:
        put_into(arguments.page, "fleet", lines)


def _add_words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cameras", type=sizes, default="1,10,100,1000,10000", metavar="N,…")
    parser.add_argument(
        "--events-per-camera-per-minute",
        type=positive,
        default=2.0,
        metavar="N",
        help="visits, of four changes each (default: 2)",
    )
    parser.add_argument(
        "--seconds", type=positive, default=30.0, metavar="S", help="of visits (default: 30)"
    )
    parser.add_argument(
        "--backlog",
        type=int,
        default=50_000,
        metavar="N",
        help="changes that all cameras together tell late, at once; one a camera at least "
        "(default: 50000)",
    )
    parser.add_argument(
        "--connections", type=int, metavar="N", help="at most (default: what the machine allows)"
    )
    parser.add_argument(
        "--no-discovery", action="store_true", help="the cameras are not announced to a hub"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page")


def sizes(text: str) -> list[int]:
    """Return the numbers of a list such as `1,10,100`.

    Raises:
        ValueError: One of them is none, or not positive.
    """
    found = sorted({int(word) for word in text.split(",")})
    if found[0] < 1:
        raise ValueError(f"{found[0]} is no fleet")
    return found


def positive(text: str) -> float:
    """Return a number above zero.

    Raises:
        ValueError: It is none.
    """
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(f"{text} is not above zero")
    return value


def _try(cameras: int, arguments: argparse.Namespace) -> Figures:
    connections, reason = room().connections(min(cameras, arguments.connections or cameras))
    if connections < cameras:
        why = reason or "as asked"
        sys.stderr.write(f"{cameras} cameras share {connections} connections: {why}\n")
    wishes = Wishes(
        cameras=cameras,
        connections=connections,
        events_per_minute=arguments.events_per_camera_per_minute,
        live_s=arguments.seconds,
        backlog=max(cameras, arguments.backlog),
        with_discovery=not arguments.no_discovery,
    )
    with tempfile.TemporaryDirectory() as folder:
        broker = start_broker(Path(folder) / "broker")
        try:
            found = try_fleet(broker.port, broker.pid, wishes)
        finally:
            broker.stop()
    sys.stderr.write(f"{found}\n")
    return found


if __name__ == "__main__":
    main()
