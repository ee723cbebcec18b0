"""A broker written in Python, run as `python -m camera_app.demo.embedded_broker HOST PORT`.

For the demo on a machine without mosquitto. Ends on SIGTERM, or when its standard input closes:
so it never outlives the demo, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys


def broker_settings(host: str, port: int) -> dict[str, object]:
    """Return the settings of a broker that lets everybody in and keeps nothing."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{host}:{port}"}},
        "plugins": {
            "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
        },
    }


async def serve(host: str, port: int) -> None:
    """Serve until SIGTERM comes or standard input ends."""
    from amqtt.broker import Broker

    loop, finished = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, finished.set)
    loop.add_reader(sys.stdin.fileno(), finished.set)
    broker = Broker(broker_settings(host, port))
    await broker.start()
    await finished.wait()
    loop.remove_reader(sys.stdin.fileno())
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(broker.shutdown(), 3.0)


def main() -> int:
    """Serve at the host and port that the command line names."""
    logging.basicConfig(level=logging.ERROR)
    host, port = sys.argv[1:]
    try:
        asyncio.run(serve(host, int(port)))
    except ImportError:
        sys.stderr.write("neither mosquitto nor the Python package amqtt is installed\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
