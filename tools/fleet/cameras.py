"""The process that plays all cameras of a fleet: many connections, one loop, one thread."""

from __future__ import annotations

import heapq
import select
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from tools.fleet.figures import Key
from tools.fleet.limits import process_memory_mb
from tools.fleet.messages import STATUS_INTERVAL_S, Message, SimulatedCamera
from tools.fleet.timetable import VISIT_S, Due, timetable
from tools.fleet.wire import Connection, FleetError

# Connections that may be waiting for their greeting: brokers let only so many queue at the door.
AT_THE_DOOR = 50
# Nothing acknowledged for so long is the end of a run.
PATIENCE_S = 60.0
_BUSY_WAIT_S = 0.002
_IDLE_WAIT_S = 0.05


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a fleet is to behave.

    Attributes:
        cameras: How many.
        connections: That they share.
        events_per_minute: Visits of each camera.
        live_s: Visits start for so long.
        backlog: Changes of all cameras together that are told late, all at once.
        with_discovery: Each announces itself to Home Assistant.
        seed: Of the moments of the visits.
    """

    cameras: int
    connections: int
    events_per_minute: float
    live_s: float
    backlog: int
    with_discovery: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Told:
    """What the cameras told in one phase.

    Attributes:
        took_s: From the first to the last acknowledgement.
        messages: All, those without acknowledgement included.
        due_ns: Monotonic moment at which each change was due.
        memory_mb: Of this process, before.
    """

    took_s: float
    messages: int
    due_ns: dict[Key, int]
    memory_mb: float


def play(pipe: Pipe, port: int, wishes: Wishes) -> None:
    """Play the cameras, a phase each time the pipe says so: greet, live, load, empty, go."""
    fleet = Fleet(port, wishes)
    pipe.send(fleet.greet())
    pipe.recv()
    pipe.send(fleet.live())
    pipe.recv()
    fleet.load()
    pipe.send(None)
    pipe.recv()
    pipe.send(fleet.empty())
    pipe.recv()
    fleet.close()


class Fleet:
    """The cameras and their connections."""

    def __init__(self, port: int, wishes: Wishes) -> None:
        self._port = port
        self._wishes = wishes
        self._cameras = [SimulatedCamera(number) for number in range(wishes.cameras)]
        self._connections: list[Connection] = []
        self._by_file: dict[int, Connection] = {}
        self._poll = select.epoll()
        self._unsent: set[Connection] = set()
        self._greeted = 0
        self._told = self._acknowledged = 0  # messages with QoS 1
        self._progress_s = 0.0
        self._loaded: dict[Key, int] = {}

    def greet(self) -> Told:
        """Connect all and tell their retained state."""
        memory_mb, began_s = process_memory_mb("self", "VmRSS"), self._begin()
        for number in range(self._wishes.connections):
            self._connect(number)
            while len(self._connections) - self._greeted >= AT_THE_DOOR:
                self._turn(_IDLE_WAIT_S)
        while self._greeted < len(self._connections):
            self._turn(_IDLE_WAIT_S)
        count = 0
        for number, camera in enumerate(self._cameras):
            told = camera.greeting(with_discovery=self._wishes.with_discovery)
            self._tell(number, told)
            count += len(told)
            self._turn(0.0)
        self._await_idle()
        return Told(time.monotonic() - began_s, count, {}, memory_mb)

    def _begin(self) -> float:
        self._progress_s = time.monotonic()
        return self._progress_s

    def _connect(self, number: int) -> None:
        """Open a connection; of several cameras that share it, it bears the will of the first."""
        first = self._cameras[number]
        filters = [
            one
            for camera in self._cameras[number :: self._wishes.connections]
            for one in camera.filters
        ]
        made = Connection(self._port, f"camera_app-{first.topics.device_id}", filters, first.will)
        self._connections.append(made)
        self._by_file[made.socket.fileno()] = made
        self._poll.register(made.socket.fileno(), select.EPOLLIN)

    def _connection(self, camera: int) -> Connection:
        return self._connections[camera % len(self._connections)]

    def _tell(self, camera: int, messages: Sequence[Message]) -> None:
        connection = self._connection(camera)
        for message in messages:
            connection.tell(message)
            self._told += message.qos
        if connection.has_unsent:
            self._unsent.add(connection)

    def _turn(self, timeout_s: float) -> None:
        """Write and read what can be.

        Raises:
            FleetError: The broker acknowledges nothing any more.
        """
        for connection in list(self._unsent):
            connection.flush()
            if not connection.has_unsent:
                self._unsent.remove(connection)
        if self._unsent:
            timeout_s = min(timeout_s, _BUSY_WAIT_S)
        for file, _ in self._poll.poll(timeout_s):
            self._read(self._by_file[file])

    def _read(self, connection: Connection) -> None:
        before, was_greeted = connection.acknowledged, connection.is_greeted
        connection.read()
        if connection.has_unsent:
            self._unsent.add(connection)
        self._greeted += connection.is_greeted and not was_greeted
        self._acknowledged += connection.acknowledged - before
        self._progress_s = time.monotonic()

    def _await_idle(self) -> None:
        while self._acknowledged < self._told:
            self._turn(_IDLE_WAIT_S)
            if time.monotonic() - self._progress_s > PATIENCE_S:
                missing = self._told - self._acknowledged
                raise FleetError(f"{missing} messages were never acknowledged")

    def live(self) -> Told:
        """Let visits happen, each change told when it is due."""
        memory_mb, began_s, count = process_memory_mb("self", "VmRSS"), self._begin(), 0
        due_ns: dict[Key, int] = {}
        for at_s, number, due in self._plan():
            self._wait_until(began_s + at_s)
            camera = self._cameras[number]
            told = [camera.status(at_s)]
            if due is not None:
                moment_ns = round((began_s + at_s) * 1e9)
                late_ns = time.monotonic_ns() - moment_ns
                told = camera.change(due.visit, due.step, moment_ns, time.time_ns() - late_ns)
                due_ns[number, camera.seq] = moment_ns
            self._tell(number, told)
            count += len(told)
        self._await_idle()
        return Told(time.monotonic() - began_s, count, due_ns, memory_mb)

    def _plan(self) -> Iterator[tuple[float, int, Due | None]]:
        """Yield when which camera tells a change, or, without one, its status; in order."""
        wishes = self._wishes
        visits = timetable(wishes.cameras, wishes.events_per_minute, wishes.live_s, wishes.seed)
        changes = ((due.at_s, due.camera, due) for due in visits)
        statuses = _statuses(wishes.cameras, wishes.live_s + VISIT_S)
        return heapq.merge(changes, statuses, key=lambda one: one[0])

    def _wait_until(self, moment_s: float) -> None:
        """Serve the connections meanwhile; once at least, so that a late fleet still reads."""
        while True:
            left_s = moment_s - time.monotonic()
            self._turn(min(max(0.0, left_s), _IDLE_WAIT_S))
            if left_s <= 0:
                return

    def load(self) -> None:
        """Make the backlog ready: the broker is to be measured, not how fast this makes JSON."""
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns() - 3600 * 10**9
        by_camera: list[list[Message]] = [[] for _ in self._cameras]
        for number in range(self._wishes.backlog):
            place = number % len(self._cameras)
            camera = self._cameras[place]
            late = camera.late_change(number // len(self._cameras), now_ns, wall_ns)
            by_camera[place].append(late)
            self._loaded[place, camera.seq] = now_ns
        for place, messages in enumerate(by_camera):
            self._connection(place).load(messages)
            self._told += len(messages)

    def empty(self) -> Told:
        """Send the backlog, all cameras at once, each as fast as it is acknowledged."""
        memory_mb, began_s = process_memory_mb("self", "VmRSS"), self._begin()
        began_ns = time.monotonic_ns()
        for connection in self._connections:
            connection.begin()
            if connection.has_unsent:
                self._unsent.add(connection)
            self._turn(0.0)
        self._await_idle()
        due_ns = dict.fromkeys(self._loaded, began_ns)
        return Told(time.monotonic() - began_s, len(due_ns), due_ns, memory_mb)

    def close(self) -> None:
        """Vanish, as by a power cut: the broker tells each will."""
        self._poll.close()
        for connection in self._connections:
            connection.close()


def _statuses(cameras: int, until_s: float) -> Iterator[tuple[float, int, None]]:
    """Yield when which camera tells its status: each at its own moment of the interval."""
    step_s = STATUS_INTERVAL_S / cameras
    for number in range(int(until_s / step_s)):
        yield number * step_s, number % cameras, None
