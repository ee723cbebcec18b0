"""The wire to systemd: datagrams of `sd_notify` and the watchdog that it asks for. No rule.

The protocol is a few lines: words as `KEY=value`, a line each, in one datagram to the socket that
`NOTIFY_SOCKET` names. Where nobody gave us one, nothing is said.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping

_log = logging.getLogger(__name__)

SOCKET_VARIABLE = "NOTIFY_SOCKET"
INTERVAL_VARIABLE = "WATCHDOG_USEC"
PROCESS_VARIABLE = "WATCHDOG_PID"

# systemd reads at once; one that does not must not hold us up, and misses one sign of many.
SEND_LIMIT_S = 1.0


class Notifier:
    """Tells the service manager how the service does; from any thread.

    Attributes:
        watchdog_s: Within so many seconds it wants a sign, again and again; None: it wants none.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        """Remember whom to tell.

        Args:
            address: Path of a socket, or its name with `@` before it; empty: nobody.
            watchdog_s: As the attribute.
        """
        self.watchdog_s = watchdog_s if address else None
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, pid: int | None = None
    ) -> Notifier:
        """Return one that tells whoever started this process, if that wants to be told."""
        address = environ.get(SOCKET_VARIABLE, "")
        if address and address[0] not in "/@":
            _log.warning("%s is not understood: %s", SOCKET_VARIABLE, address)
            address = ""
        return cls(address, _wanted_watchdog_s(environ, os.getpid() if pid is None else pid))

    def ready(self) -> None:
        """Say that everything is started, or that what `reloading` announced is done."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is read anew, or the whole service begins anew."""
        # The same clock as `Clock.monotonic_ns`, but asked for by the protocol: systemd compares.
        # The watchdog gets its sign, too: whoever fed it may stop and start meanwhile.
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "WATCHDOG=1")

    def stopping(self) -> None:
        """Say that this is the end."""
        self._tell("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in one line how things are, for `systemctl status`."""
        self._tell(f"STATUS={' '.join(text.split())}")

    def feed(self) -> None:
        """Give the watchdog its sign."""
        self._tell("WATCHDOG=1")

    def _tell(self, *words: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.settimeout(SEND_LIMIT_S)
                notify.sendto("\n".join(words).encode(), self._address)
        except OSError as error:
            _log.warning("the service manager cannot be told %s: %s", words[0], error)


def _wanted_watchdog_s(environ: Mapping[str, str], pid: int) -> float | None:
    """Return how often a sign is wanted of this process; None: not of this one, or never."""
    interval, whose = environ.get(INTERVAL_VARIABLE, ""), environ.get(PROCESS_VARIABLE, "")
    if whose and whose != str(pid):
        return None  # meant for the process that started us
    with contextlib.suppress(ValueError):
        return int(interval) / 1e6 or None
    return None
