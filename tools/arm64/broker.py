"""A mosquitto of this machine, with a password, for the emulated camera to deliver to."""

from __future__ import annotations

import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tools.arm64.errors import ProofFailed

USER = "camera"
PASSWORD = secrets.token_hex()
_SEARCHED = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
_START_LIMIT_S = 10.0


class Broker:
    """One broker on a free port of the loopback, stopped and started at will.

    Args:
        folder: For its files.
    """

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it for a while."""
        self._write_settings()
        self.start()
        try:
            yield
        finally:
            self.stop()

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        settings = self._folder / "mosquitto.conf"
        with (self._folder / "mosquitto.log").open("ab") as log:
            words = [_program("mosquitto"), "-c", str(settings)]
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        ends_s = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < ends_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0):
                return
            time.sleep(0.05)
        raise ProofFailed(f"mosquitto does not start; see {self._folder}")

    def stop(self) -> None:
        """Stop it."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait()

    def _write_settings(self) -> None:
        self._folder.mkdir(parents=True)
        passwords = self._folder / "passwords"
        passwords.touch(mode=0o600)
        subprocess.run(
            [_program("mosquitto_passwd"), "-b", str(passwords), USER, PASSWORD], check=True
        )
        (self._folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\npassword_file {passwords}\n",
            encoding="utf-8",
        )


def _program(name: str) -> str:
    found = shutil.which(name, path=_SEARCHED)
    if found is None:
        raise ProofFailed("first: apt-get install mosquitto")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
