"""A connection of the fleet: a socket, what waits for it, and what it waits for."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Sequence

from tools.fleet.messages import Message
from tools.fleet.packets import (
    CONNACK,
    FAILURE_FROM,
    MESSAGE_IDS,
    PUBACK,
    PUBLISH,
    SUBACK,
    PacketReader,
    connect,
    puback,
    subscribe,
)

LOOPBACK = "127.0.0.1"
READ_SIZE = 65536
# As the product's own: messages that may be unacknowledged.
WINDOW = 100
# Longer than any run: pings are no part of what is simulated.
KEEPALIVE_S = 3600


class FleetError(RuntimeError):
    """The broker did what no run can go on with."""


class Connection:
    """One connection to the broker; everything on the thread that owns it.

    Attributes:
        socket: Non-blocking.
        is_greeted: The broker has let us in and taken our subscription.
        acknowledged: Messages that the broker has.
        arrived: What was delivered: kind and body, until somebody takes it.
    """

    __slots__ = (
        "_in_flight",
        "_next_id",
        "_reader",
        "_unsent",
        "_waiting",
        "acknowledged",
        "arrived",
        "is_greeted",
        "socket",
    )

    def __init__(
        self,
        port: int,
        client_id: str,
        filters: Sequence[str],
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), 30.0)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.is_greeted = False
        self.acknowledged = 0
        self.arrived: list[tuple[int, bytes]] = []
        self._reader = PacketReader()
        self._unsent = bytearray(connect(client_id, KEEPALIVE_S, will) + subscribe(1, filters))
        self._next_id = 1
        self._in_flight = 0
        self._waiting: deque[Message | bytes] = deque()
        self.flush()

    @property
    def is_idle(self) -> bool:
        """Everything that was told is acknowledged."""
        return not (self._waiting or self._in_flight or self._unsent)

    @property
    def has_unsent(self) -> bool:
        return bool(self._unsent)

    def tell(self, message: Message) -> None:
        """Send it as soon as the window has room."""
        self._waiting.append(message)
        self._fill()

    def load(self, messages: Sequence[Message]) -> None:
        """Make packets ready to be sent by `begin`: so that making them takes none of its time."""
        for message in messages:
            self._waiting.append(message.packet(self._take_id()))

    def begin(self) -> None:
        """Send what was loaded."""
        self._fill()

    def _take_id(self) -> int:
        # Far more numbers than the window is wide: none is still in use when it comes again.
        self._next_id = self._next_id % MESSAGE_IDS + 1
        return self._next_id

    def _fill(self) -> None:
        while self._waiting and self._in_flight < WINDOW:
            one = self._waiting.popleft()
            if isinstance(one, bytes):
                self._unsent += one
                self._in_flight += 1
            else:
                self._unsent += one.packet(self._take_id())
                self._in_flight += one.qos
        self.flush()

    def flush(self) -> None:
        """Write what the network takes now."""
        if not self._unsent:
            return
        try:
            sent = self.socket.send(self._unsent)
        except BlockingIOError:
            return
        del self._unsent[:sent]

    def read(self) -> None:
        """Take what has come; there must be something.

        Raises:
            FleetError: The broker refuses something or hangs up.
        """
        try:
            data = self.socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        if not data:
            raise FleetError("the broker hung up")
        for kind, body in self._reader.take(data):
            self._take(kind, body)
        self._fill()

    def _take(self, kind: int, body: bytes) -> None:
        if kind == PUBACK:
            if len(body) > 2 and body[2] >= FAILURE_FROM:
                raise FleetError(f"the broker refused a message with 0x{body[2]:02x}")
            self._in_flight -= 1
            self.acknowledged += 1
        elif kind & 0xF0 == PUBLISH:
            self.arrived.append((kind, body))
        elif kind == CONNACK and body[1] >= FAILURE_FROM:
            raise FleetError(f"the broker refused a connection with 0x{body[1]:02x}")
        elif kind == SUBACK:
            if body[-1] >= FAILURE_FROM:
                raise FleetError(f"the broker refused a subscription with 0x{body[-1]:02x}")
            self.is_greeted = True

    def acknowledge(self, message_ids: Sequence[bytes]) -> None:
        """Tell the broker that we have what it delivered."""
        self._unsent += b"".join(map(puback, message_ids))
        self.flush()

    def close(self) -> None:
        """Hang up without a goodbye: the broker tells the will."""
        self.socket.close()
