"""A socket that gathers what paho writes in small pieces, and reads ahead of what it asks for.

paho sends each message with a call of its own and reads each acknowledgement with three. While a
backlog drains that is most of the work; here it is one call a burst either way. One thread.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

READ_SIZE = 65536
# A bound for what the network does not take; then paho is told to wait, as by a full socket.
UNSENT_LIMIT = 1 << 20


class BufferedSocket:
    """Stands before a connected socket, plain or TLS, and behaves as a non-blocking one."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened
        self._unsent = bytearray()
        self._unread = b""
        self._position = 0  # in `_unread`: what lies before it was handed out
        self._is_broken = False

    def recv(self, size: int) -> bytes:
        """Return up to so many bytes, from what was read ahead if there is some; b"": the end.

        Raises:
            BlockingIOError: Nothing has come.
        """
        if self._position >= len(self._unread):
            self._read_ahead()
        start = self._position
        self._position = min(start + size, len(self._unread))
        return self._unread[start : self._position]

    def _read_ahead(self) -> None:
        if self._is_broken:
            self._unread, self._position = b"", 0
            return
        try:
            self._unread, self._position = self._opened.recv(READ_SIZE), 0
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            raise BlockingIOError from error

    def send(self, data: bytes | bytearray) -> int:
        """Take bytes to be written by `flush`; returns their number.

        Raises:
            BlockingIOError: Too much waits already.
        """
        if len(self._unsent) >= UNSENT_LIMIT:
            raise BlockingIOError
        self._unsent += data
        return len(data)

    def flush(self) -> None:
        """Write what waits, as far as the network takes it now.

        A connection that broke is told by the next `recv`, which says that it has ended.
        """
        while self._unsent:
            try:
                sent = self._opened.send(self._unsent)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            except OSError:
                self._is_broken = True
                self._unsent.clear()
                return
            del self._unsent[:sent]

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def pending(self) -> int:
        """Return how many bytes can be had without the network: no wait would see them."""
        behind = self._opened.pending() if isinstance(self._opened, ssl.SSLSocket) else 0
        ahead = len(self._unread) - self._position
        return ahead + behind or int(self._is_broken)

    @property
    def certificate_ends_s(self) -> float | None:
        """When the other side's certificate is over, seconds since 1970; None: it showed none."""
        told = self._opened.getpeercert() if isinstance(self._opened, ssl.SSLSocket) else None
        return float(ssl.cert_time_to_seconds(str(told["notAfter"]))) if told else None

    def fileno(self) -> int:
        return self._opened.fileno()

    def setblocking(self, flag: bool) -> None:
        self._opened.setblocking(flag)

    def close(self) -> None:
        """Write what can still be written, a goodbye for one, and close."""
        self.flush()
        self._opened.close()

    def cut(self) -> None:
        """End the connection without a goodbye; for tests of what happens then."""
        with contextlib.suppress(OSError):
            self._opened.shutdown(socket.SHUT_RDWR)
