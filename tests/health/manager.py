"""A service manager's end of the notify socket, for tests: hears, and waits for what it wants."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

LIMIT_S = 30.0


class Manager:
    """Hears what a service says, in order; to be closed."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.words: list[str] = []
        self._heard = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._thread = threading.Thread(target=self._listen, name="manager", daemon=True)
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self.address)
        self._thread.join(LIMIT_S)
        self._socket.close()

    def wait_for(self, holds: Callable[[list[str]], bool], limit_s: float = LIMIT_S) -> bool:
        """Wait until it holds of the words so far; return whether it does."""
        with self._heard:
            return self._heard.wait_for(lambda: holds(self.words), limit_s)

    def is_fed(self, times: int = 3) -> bool:
        """Wait for so many signs for the watchdog from now on."""
        since = len(self.words)
        return self.wait_for(lambda words: words[since:].count("WATCHDOG=1") >= times)

    def starves(self, for_s: float) -> bool:
        """Say whether the watchdog gets nothing for so long, of what is said from now on."""
        self._hear_out()
        since = len(self.words)
        return not self.wait_for(lambda words: "WATCHDOG=1" in words[since:], for_s)

    @property
    def status(self) -> str:
        return next((w[7:] for w in reversed(self.words) if w.startswith("STATUS=")), "")

    def _hear_out(self) -> None:
        """Hear what was said so far: a word of our own comes last."""
        mark = f"MARK={len(self.words)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(mark.encode(), self.address)
        assert self.wait_for(lambda words: mark in words)

    def _listen(self) -> None:
        while datagram := self._socket.recv(65536):
            with self._heard:
                self.words += datagram.decode().split("\n")
                self._heard.notify_all()
