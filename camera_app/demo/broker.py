"""A broker for the demo: the one the owner names, or a child process that ends with the demo.

mosquitto is taken where it is installed, else a broker written in Python. Both listen on a free
port of the loopback interface alone, let everybody in and keep nothing.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.errors import BrokerUnreachable, UsageError
from camera_app.threads import Deadline

LOOPBACK = "127.0.0.1"
START_LIMIT_S = 15.0
STOP_LIMIT_S = 5.0
_RETRY_S = 0.05
_ATTEMPTS = 3  # a free port can be taken by somebody else before the broker has it
_PORTS_GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")  # the first and the last
_FIRST_PORT = 10_000  # below are those of known services
_PORT_TRIES = 20


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker listens.

    Attributes:
        host: Name or address.
        port: TCP port.
        kind: Which broker it is, in words.
    """

    host: str
    port: int
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} at {self.host}:{self.port}"


def parse_address(text: str) -> BrokerAddress:
    """Return the broker that an owner names as HOST or HOST:PORT.

    Raises:
        UsageError: It is neither.
    """
    host, _, port = text.rpartition(":") if ":" in text else (text, "", "1883")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"{text!r} is no broker", remedy="Write HOST or HOST:PORT.")
    return BrokerAddress(host, int(port), "your broker")


@contextlib.contextmanager
def demo_broker(*, prefer_embedded: bool = False) -> Iterator[BrokerAddress]:
    """Run a broker as long as the context lasts.

    Args:
        prefer_embedded: Take the one written in Python even where mosquitto is installed.

    Raises:
        BrokerUnreachable: None could be started.
    """
    mosquitto = None if prefer_embedded else find_mosquitto()
    with tempfile.TemporaryDirectory(prefix="camera-app-broker-") as folder:
        for attempt in range(1, _ATTEMPTS + 1):
            port = free_port()
            command = _command(mosquitto, port, Path(folder))
            child = _start(command)
            try:
                if _answers(child, port):
                    yield BrokerAddress(LOOPBACK, port, "mosquitto" if mosquitto else "amqtt")
                    return
            finally:
                complaint = _stop(child)
            if attempt == _ATTEMPTS:
                raise BrokerUnreachable(
                    f"the demo's broker did not start: {complaint or 'it said nothing'}",
                    where=command[0],
                    remedy="Name a broker of yours with --broker HOST:PORT.",
                )


def find_mosquitto() -> str | None:
    """Return the path of mosquitto, which Debian keeps where only root's PATH leads."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _command(mosquitto: str | None, port: int, folder: Path) -> list[str]:
    if mosquitto is None:
        return [sys.executable, "-m", "camera_app.demo.embedded_broker", LOOPBACK, str(port)]
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} {LOOPBACK}\nallow_anonymous true\npersistence false\nlog_type error\n"
        # Else a change waits up to 40 ms where the one before it is not acknowledged by TCP yet.
        "set_tcp_nodelay true\n",
        encoding="ascii",
    )
    return [mosquitto, "-c", str(settings)]


def free_port() -> int:
    """Return a port of this machine that nobody listens on, and that no client is given.

    The kernel has ports of its own for whoever connects. One of those may be a client's before
    the broker has it, or while the broker starts again; and a client that asks for it again and
    again can even be connected with itself.
    """
    ports = range(_FIRST_PORT, _first_given())
    tries = random.SystemRandom().sample(ports, min(_PORT_TRIES, len(ports)))
    return next(port for port in map(_bindable, [*tries, 0]) if port)


def _first_given() -> int:
    try:
        return int(_PORTS_GIVEN.read_text(encoding="ascii").split()[0])
    except OSError:
        return 0  # a container that hides it: then any port has to do


def _bindable(port: int) -> int:
    """Return a port if it can be had, 0 if not; for port 0 any that the kernel gives."""
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((LOOPBACK, port))
        bound: int = probe.getsockname()[1]
        return bound
    return 0


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    # The embedded broker ends when its standard input does; mosquitto outlives a killed demo.
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _answers(child: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the child accepts a connection; False when it ended or the time is over."""
    deadline, pause = Deadline(START_LIMIT_S), threading.Event()
    while child.poll() is None and not deadline.is_over:
        try:
            with socket.create_connection((LOOPBACK, port), timeout=1.0):
                return True
        except OSError:
            pause.wait(_RETRY_S)
    return False


def _stop(child: subprocess.Popen[bytes]) -> str:
    """End the child and return the last line that it wrote on standard error."""
    child.terminate()
    try:
        _, errors = child.communicate(timeout=STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        _, errors = child.communicate()
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
