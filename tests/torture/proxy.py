"""A TCP proxy between a camera and its broker that does to the connection what networks do.

Bytes are passed on as they come; only to duplicate packets does it look where one ends.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Self

from camera_app.demo.broker import free_port

CHUNK = 65536
TICK_S = 0.01
FINISH_LIMIT_S = 1.0


@dataclass
class Faults:
    """What is done to connections; set from outside while they run, read at every chunk.

    Attributes:
        delay_s: Bytes of either way arrive this much later.
        answer_delay_s: The same for what the broker says.
        cut_after: The next connection is reset after so many bytes of the camera were passed on;
            then this is None again.
        swallows: What the camera says disappears, and so does what the broker says; both
            connections stay up.
        swallows_publishes: Connections come about, and every publish disappears.
        duplicates: Each PUBLISH is passed on twice.
    """

    delay_s: float = 0.0
    answer_delay_s: float = 0.0
    cut_after: int | None = None
    swallows: bool = False
    swallows_publishes: bool = False
    duplicates: bool = False


class FaultProxy:
    """Listens on a port of its own and passes on to a broker's; a context manager.

    Attributes:
        port: Where to connect.
        faults: What to do.
        connections: How many were accepted.
        passed: Bytes of the camera that were passed on in the newest connection.
    """

    def __init__(self, target_port: int) -> None:
        self.faults = Faults()
        self.connections = 0
        self.passed = 0
        self._target_port = target_port
        self._server: socket.socket | None = socket.create_server(("127.0.0.1", free_port()))
        self.port: int = self._server.getsockname()[1]
        self._lock = threading.Lock()  # guards the two fields below
        self._relays: set[_Relay] = set()
        self._is_over = False
        self._accepting: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.refuse()
        self.drop()

    def refuse(self) -> None:
        """Let nobody in any more, until `accept`; those who are in stay."""
        server, self._server = self._server, None
        if server is not None:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
            server.close()
        if self._accepting is not None:
            self._accepting.join()

    def accept(self) -> None:
        """Let new ones in again, on the same port."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        self._listen()

    def drop(self) -> None:
        """Reset every connection."""
        with self._lock:
            relays = list(self._relays)
        for relay in relays:
            relay.reset()
        for relay in relays:
            relay.thread.join()

    def _listen(self) -> None:
        assert self._server is not None
        self._accepting = threading.Thread(target=self._accept, args=(self._server,))
        self._accepting.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                camera, _ = server.accept()
            except OSError:
                return  # closed: we refuse, or it is over
            try:
                broker = socket.create_connection(("127.0.0.1", self._target_port), 2.0)
            except OSError:
                _reset(camera)  # the broker is down, and looks so
                continue
            self.connections += 1
            self.passed = 0
            relay = _Relay(self, camera, broker)
            with self._lock:
                self._relays.add(relay)
                relay.thread.start()  # within: who takes it from there may join it

    def forget(self, relay: _Relay) -> None:
        with self._lock:
            self._relays.discard(relay)


@dataclass
class _Way:
    """One direction of a connection: bytes wait here until they are due."""

    source: socket.socket
    sink: socket.socket
    is_from_camera: bool
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    packets: bytes = b""  # what is not yet a whole packet
    is_ended: bool = False


class _Relay:
    """One connection and its thread, which alone touches the sockets but for `reset`."""

    def __init__(self, proxy: FaultProxy, camera: socket.socket, broker: socket.socket) -> None:
        self._proxy = proxy
        self._faults = proxy.faults
        self._cut_after, proxy.faults.cut_after = proxy.faults.cut_after, None
        self._ways = (_Way(camera, broker, True), _Way(broker, camera, False))
        self._wish_to_reset = threading.Event()
        self.thread = threading.Thread(target=self._run, name="torture proxy")

    def reset(self) -> None:
        self._wish_to_reset.set()

    def _run(self) -> None:
        try:
            while not self._wish_to_reset.is_set() and self._turn():
                pass
        except OSError:
            pass  # one side is gone: so is the other
        finally:
            camera, broker = (way.source for way in self._ways)
            _reset(camera)
            _finish(broker)
            self._proxy.forget(self)

    def _turn(self) -> bool:
        """Read what came, write what is due; return whether the connection goes on."""
        ready, _, _ = select.select([way.source for way in self._ways], [], [], self._wait_s())
        for way in self._ways:
            if way.source in ready:
                data = way.source.recv(CHUNK)
                if not data:
                    self._write_due(way, at_once=True)
                    return False
                self._take(way, data)
            if not self._write_due(way):
                return False
        return True

    def _wait_s(self) -> float:
        dues = [way.waiting[0][0] for way in self._ways if way.waiting]
        return min([TICK_S, *(max(0.0, due - time.monotonic()) for due in dues)])

    def _take(self, way: _Way, data: bytes) -> None:
        if self._faults.swallows:
            return
        if way.is_from_camera and (self._faults.duplicates or self._faults.swallows_publishes):
            data = self._tampered(way, data)
        later_s = self._faults.delay_s
        later_s += 0.0 if way.is_from_camera else self._faults.answer_delay_s
        way.waiting.append((time.monotonic() + later_s, data))

    def _tampered(self, way: _Way, data: bytes) -> bytes:
        """Return whole packets: each PUBLISH twice, or none of them."""
        way.packets += data
        out = b""
        while (end := packet_end(way.packets)) is not None and end <= len(way.packets):
            packet, way.packets = way.packets[:end], way.packets[end:]
            is_publish = packet[0] >> 4 == 3
            if not is_publish:
                out += packet
            elif not self._faults.swallows_publishes:
                out += packet * (2 if self._faults.duplicates else 1)
        return out

    def _write_due(self, way: _Way, *, at_once: bool = False) -> bool:
        while way.waiting and (at_once or way.waiting[0][0] <= time.monotonic()):
            _, data = way.waiting.popleft()
            if way.is_from_camera and not self._pass(way, data):
                return False
            if not way.is_from_camera:
                way.sink.sendall(data)
        return True

    def _pass(self, way: _Way, data: bytes) -> bool:
        """Pass on what the camera says, up to the cut; return whether there was none."""
        room = None if self._cut_after is None else self._cut_after - self._proxy.passed
        way.sink.sendall(data if room is None else data[:room])
        self._proxy.passed += len(data if room is None else data[:room])
        return room is None or len(data) < room


def _finish(opened: socket.socket) -> None:
    """Close so that the other side gets all that was written before; a reset might overtake it."""
    with contextlib.suppress(OSError):
        opened.shutdown(socket.SHUT_WR)
        opened.settimeout(FINISH_LIMIT_S)
        while opened.recv(CHUNK):
            pass  # what is left unread would make a reset of it
    opened.close()


def _reset(opened: socket.socket) -> None:
    """Close without a goodbye: the other side gets a reset."""
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


def packet_end(data: bytes) -> int | None:
    """Return where the first MQTT packet ends; None: its length is not known yet."""
    length = 0
    for index, byte in enumerate(data[1:5]):
        length |= (byte & 127) << 7 * index
        if byte < 128:
            return index + 2 + length
    return None
