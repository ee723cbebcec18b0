"""The process that reads the ledger of the whole fleet, and when."""

from __future__ import annotations

import select
import time
from multiprocessing.connection import Connection as Pipe

from tools.fleet.figures import Key
from tools.fleet.messages import BASE, CAMERA
from tools.fleet.packets import delivered
from tools.fleet.wire import Connection

# What has not come so long after the last that came does not come any more.
PATIENCE_S = 20.0
_WAIT_S = 0.1
_SEQ = b'"seq":'


def listen(pipe: Pipe, port: int) -> None:
    """Read; each number that comes through the pipe is answered when so many changes were heard.

    Answers are dicts: (camera, seq) -> monotonic moment in nanoseconds. None ends it.
    """
    listener = Listener(port)
    pipe.send(None)
    while (expected := _asked(pipe, listener)) is not None:
        pipe.send(listener.hear(expected))
    listener.close()


def _asked(pipe: Pipe, listener: Listener) -> int | None:
    while not pipe.poll(0):
        listener.turn()
    expected: int | None = pipe.recv()
    return expected


class Listener:
    """One connection that is subscribed to every ledger."""

    def __init__(self, port: int) -> None:
        self._connection = Connection(port, "fleet-listener", [f"{BASE}/+/{CAMERA}/event"])
        self._heard_ns: dict[Key, int] = {}
        self._poll = select.poll()  # select itself fails beyond 1024 open files
        self._poll.register(self._connection.socket, select.POLLIN)
        while not self._connection.is_greeted:
            self.turn()

    def turn(self) -> None:
        """Wait a moment for what comes, note when, and acknowledge it."""
        if self._connection.has_unsent:
            self._connection.flush()
        if not self._poll.poll(_WAIT_S * 1000):
            return
        self._connection.read()
        now_ns = time.monotonic_ns()
        arrived, self._connection.arrived = self._connection.arrived, []
        message_ids = []
        for kind, body in arrived:
            topic, message_id, payload = delivered(kind, body)
            self._heard_ns.setdefault(key_of(topic, payload), now_ns)
            if message_id:
                message_ids.append(message_id)
        self._connection.acknowledge(message_ids)

    def hear(self, expected: int) -> dict[Key, int]:
        """Return what was heard since the last call, once it is enough or nothing comes."""
        count, progress_s = len(self._heard_ns), time.monotonic()
        while count < expected and time.monotonic() - progress_s < PATIENCE_S:
            self.turn()
            if len(self._heard_ns) > count:
                count, progress_s = len(self._heard_ns), time.monotonic()
        heard_ns, self._heard_ns = self._heard_ns, {}
        return heard_ns

    def close(self) -> None:
        self._connection.close()


def key_of(topic: str, payload: bytes) -> Key:
    """Return number of the camera and of the change; `seq` stands before the record."""
    device = topic.split("/", 2)[1]
    begin = payload.index(_SEQ) + len(_SEQ)
    return int(device.removeprefix("cam")), int(payload[begin : payload.index(b",", begin)])
