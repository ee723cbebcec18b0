"""The thread that serves two pages over HTTP, `/metrics` and `/ready`, and nothing else.

One thread, a few clients, a time limit for each, so many rounds a second: whoever is slow, many or
malicious costs a fixed little, and the cameras nothing. Whether somebody may read is decided by the
address it listens on.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from camera_app.capture.backoff import BackOff
from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.config import MetricsSettings
from camera_app.health.metrics.catalogue import Scrape
from camera_app.health.metrics.http import Exchange, Page
from camera_app.health.metrics.page import CONTENT_TYPE, metrics_page
from camera_app.health.metrics.process import our_processes
from camera_app.health.readiness import readiness_of
from camera_app.health.status import DeviceFigures
from camera_app.logs import counts, redact
from camera_app.threads import Worker

_log = logging.getLogger(__name__)

CLIENTS_AT_MOST = 8
CLIENT_LIMIT_S = 5.0
# Whoever asks oftener gets the same page again: strangers decide how often, and it takes time.
PAGE_AGE_S = 0.5
TICK_S = 1.0
# Between two rounds in which somebody wanted something: strangers decide how many come, and in how
# small pieces they ask, and each round takes from the time that cameras are looked at.
ROUND_REST_S = 0.01
_CHUNK_BYTES = 64 * 1024
# What waits in the kernel for one who takes nothing; by itself it would let that grow to megabytes.
_SEND_BUFFER_BYTES = 64 * 1024
# Callers that the kernel keeps until we have a look: a crowd would make it refuse the next one.
_BACKLOG = 64
# Nobody can be let in, and the next one cannot either: he stands at the door until it is over.
_NO_ROOM = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(slots=True)
class _Client:
    """Somebody who asks.

    Attributes:
        socket: To him.
        exchange: What he has said, and what he is told.
        ends_ns: Until when he may take.
    """

    socket: socket.socket
    exchange: Exchange
    ends_ns: int


class _Kept:
    """A page that is not made anew for everybody who asks."""

    def __init__(self, make: Callable[[], Page], clock: Clock) -> None:
        self._make = make
        self._clock = clock
        self._made: tuple[int, Page] | None = None  # when, and what

    def __call__(self) -> Page:
        now_ns = self._clock.monotonic_ns()
        if self._made is None or now_ns - self._made[0] >= nanoseconds(PAGE_AGE_S):
            self._made = now_ns, self._make()
        return self._made[1]


class MetricsServer(Worker):
    """Serves metrics and readiness: a part that is started and stopped.

    An address that cannot be had is told and tried again; the cameras do not care.

    Args:
        settings: Where to listen; that it does is decided by whoever makes it.
        figures: Reads every part's figures; called on this thread.
        clock: Time.
        back_off: When to try again.

    Attributes:
        address: Host and port that it listens on; None while it does not.
        trouble: Why it does not; empty: it does, or has not tried yet.
    """

    def __init__(
        self,
        settings: MetricsSettings,
        figures: Callable[[], DeviceFigures],
        clock: Clock,
        *,
        back_off: BackOff | None = None,
    ) -> None:
        super().__init__("camera-app metrics")
        self._host, self._port = settings.address
        self._is_open_to_others = not settings.is_loopback
        self._figures = figures
        self._clock = clock
        self._back_off = back_off or BackOff(random=lambda: 0.5)
        self._pages = {"/metrics": _Kept(self._metrics, clock), "/ready": _Kept(self._ready, clock)}
        self._wake = -1  # owned by the caller of start and stop
        # Owned by this thread.
        self._listener: socket.socket | None = None
        self._clients: dict[int, _Client] = {}  # by descriptor, the one that came first first
        self.address: tuple[str, int] | None = None
        self.trouble = ""

    def start(self) -> None:
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        super().start()

    def stop(self) -> None:
        super().stop()
        if self._wake >= 0:
            os.close(self._wake)
            self._wake = -1

    def wake(self) -> None:
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def run_once(self) -> None:
        """Get hold of the address, or serve whoever comes, for a second at most."""
        if self._listener is None:
            self._listen()
        else:
            self._serve(self._listener)

    def closed(self) -> None:
        self.address = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()

    # Listening

    def _listen(self) -> None:
        try:
            listener = _listening(self._host, self._port)
        except OSError as error:
            wait_s = self._back_off.after(0.0)
            place = _shown(self._host, self._port)
            self.trouble = f"nothing can listen on {place}: {error.strerror or error}"
            _log.warning(
                "metrics: %s; trying again in %.0f s. Give listen in [metrics] an address of this "
                "machine and a port that nobody uses",
                self.trouble,
                wait_s,
            )
            self.rest(wait_s)
            return
        self._listener, self.trouble = listener, ""
        host, port = listener.getsockname()[:2]
        self.address = (str(host), int(port))
        _log.info("metrics are at http://%s/metrics", _shown(host, port))
        if self._is_open_to_others:
            _log.warning(
                "metrics: everybody who reaches %s can read them: names of cameras, when somebody "
                "was there; 127.0.0.1 keeps them on this machine",
                _shown(host, port),
            )

    # Serving

    def _serve(self, listener: socket.socket) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        for descriptor, client in self._clients.items():
            is_answered = client.exchange.is_answered
            poll.register(descriptor, select.POLLOUT if is_answered else select.POLLIN)
        ready = poll.poll(self._wait_s() * 1000)
        for descriptor, _ in ready:
            if descriptor == listener.fileno():
                self._welcome(listener)
            elif descriptor == self._wake:
                with suppress(BlockingIOError):
                    os.eventfd_read(self._wake)
            elif descriptor in self._clients:  # one that came since may have taken its place
                self._attend(self._clients[descriptor])
        self._dismiss_slow()
        if ready:
            self.rest(ROUND_REST_S)

    def _wait_s(self) -> float:
        if not self._clients:
            return TICK_S
        ends_ns = min(client.ends_ns for client in self._clients.values())
        return min(TICK_S, max(0.0, seconds(ends_ns - self._clock.monotonic_ns())))

    def _welcome(self, listener: socket.socket) -> None:
        try:
            opened, _ = listener.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self.rest(TICK_S)  # other parts say that too many files are open
            return  # else he was gone before we looked
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        if len(self._clients) >= CLIENTS_AT_MOST:
            # The one that has taken longest goes, so that no crowd of slow ones keeps others out.
            self._dismiss(next(iter(self._clients.values())))
        ends_ns = self._clock.monotonic_ns() + nanoseconds(CLIENT_LIMIT_S)
        self._clients[opened.fileno()] = _Client(opened, Exchange(self._pages), ends_ns)

    def _attend(self, client: _Client) -> None:
        exchange = client.exchange
        try:
            if not exchange.is_answered:
                data = client.socket.recv(_CHUNK_BYTES)
                if not data:
                    self._dismiss(client)
                    return
                exchange.receive(data)
            if exchange.is_answered:
                sent = client.socket.send(exchange.unsent)
                exchange.unsent = exchange.unsent[sent:]
        except BlockingIOError:
            return
        except OSError:
            self._dismiss(client)  # he has hung up
            return
        if exchange.is_answered and not exchange.unsent:
            self._dismiss(client)

    def _dismiss_slow(self) -> None:
        now_ns = self._clock.monotonic_ns()
        for client in [one for one in self._clients.values() if now_ns >= one.ends_ns]:
            self._dismiss(client)

    def _dismiss(self, client: _Client) -> None:
        del self._clients[client.socket.fileno()]
        with suppress(OSError):
            # Says goodbye before what he still sends makes the kernel take the answer back.
            client.socket.shutdown(socket.SHUT_WR)
        client.socket.close()

    # The pages

    def _metrics(self) -> Page:
        try:
            return Page(200, metrics_page(self._scrape()), CONTENT_TYPE)
        except Exception:
            # The safety net of the page: who asks must hear that there is none, and not why.
            _log.exception("the metrics cannot be put together")
            return Page(500, b"the metrics cannot be put together; the log says why\n")

    def _scrape(self) -> Scrape:
        figures, now_ns = self._figures(), self._clock.monotonic_ns()
        return Scrape(
            figures=figures,
            readiness=readiness_of(figures, now_ns),
            processes=our_processes(),
            log=counts(),
            now_ns=now_ns,
            wall_s=seconds(self._clock.wall_ns()),
        )

    def _ready(self) -> Page:
        readiness = readiness_of(self._figures(), self._clock.monotonic_ns())
        if readiness.is_ready:
            return Page(200, b"ready\n")
        lines = "".join(f"{redact(str(one))}\n" for one in readiness.shortfalls)
        return Page(503, f"not ready\n{lines}".encode())


def _listening(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        # A restart must not wait until the kernel has forgotten the last connection.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
