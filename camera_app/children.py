"""Child processes: how one is started, spoken with, watched and ended.

What can hang or crash in native code runs in one. A child is a fresh interpreter, never a fork of
threads and locks, and imports only what its errand needs. Parent and child speak in small packets
over a socket pair; what is large lies in anonymous shared memory whose descriptor travels over
that socket. So nothing has a name, and nothing is left behind whoever dies first.

What is said in the packets belongs to the rooms that use this; no rule on restarting is in here.
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import faulthandler
import fcntl
import importlib
import json
import logging
import mmap
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from camera_app.clock import nanoseconds
from camera_app.kernel import cpu_ns
from camera_app.logs import error_output_of
from camera_app.values import Pixels

_log = logging.getLogger(__name__)

PACKET_LIMIT_BYTES = 64 * 1024
MAX_DESCRIPTORS = 4
_DESCRIPTOR_SPACE = socket.CMSG_SPACE(MAX_DESCRIPTORS * array.array("i").itemsize)
KILL_LIMIT_S = 2.0

# From linux/prctl.h.
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL

_living: set[int] = set()  # process numbers of our children; any thread adds and takes away

# The child looks for modules where its parent does, and nowhere else: two copies of this package on
# one machine must not meet. -P keeps the working directory out of it.
_BOOT = (
    "import sys; sys.path[:] = sys.argv[1].split(sys.argv[2]); "
    "from camera_app.children import serve; serve(int(sys.argv[3]), int(sys.argv[4]))"
)


class ChannelClosed(Exception):
    """The other side has closed its end, or died."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One message, whole.

    Attributes:
        data: What was sent.
        descriptors: File descriptors that came with it; whoever receives them closes them.
    """

    data: bytes
    descriptors: tuple[int, ...] = ()


class Channel:
    """One end of a packet socket: whole messages, in order, with file descriptors.

    `send` and `receive` belong to one thread; `interrupt` and `tell` may be called from any.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._interrupt = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._ready = select.poll()
        self._ready.register(end, select.POLLIN)
        self._ready.register(self._interrupt, select.POLLIN)
        # Guards both descriptors against use after close. A picture may be let go of, and told
        # of, at any moment: also while this thread holds it.
        self._guard = threading.RLock()
        self._is_closed = False
        self._buffer = bytearray(PACKET_LIMIT_BYTES)  # of the thread that receives

    def send(self, data: bytes, descriptors: Sequence[int] = ()) -> None:
        """Send one packet; waits while the other side has too many unread.

        Raises:
            ChannelClosed: The other side is gone.
        """
        try:
            if descriptors:
                socket.send_fds(self._socket, [data], list(descriptors))
            else:
                self._socket.send(data)
        except OSError as error:
            raise ChannelClosed from error

    def tell(self, data: bytes) -> None:
        """Send one packet from any thread, without waiting; nothing if this end is closed.

        For what is sent so seldom that the other side always has room for it.
        """
        with self._guard:
            if not self._is_closed:
                with contextlib.suppress(OSError):  # the other side is gone
                    self._socket.send(data, socket.MSG_DONTWAIT)

    def receive(self, timeout_s: float | None = None) -> Packet | None:
        """Return the next packet, or None when the time is over or `interrupt` was called.

        Raises:
            ChannelClosed: The other side is gone and everything it sent was read.
        """
        timeout_ms = None if timeout_s is None else max(0.0, timeout_s) * 1000
        ready = self._ready.poll(timeout_ms)
        if not ready:
            return None
        if any(descriptor == self._interrupt for descriptor, _ in ready):
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._interrupt)
            return None
        return self._read()

    def interrupt(self) -> None:
        """Make a waiting `receive` return, or the next one if none waits."""
        with self._guard:
            if not self._is_closed:
                os.eventfd_write(self._interrupt, 1)

    def close(self) -> None:
        """Close this end; may be called twice."""
        with self._guard:
            if not self._is_closed:
                self._is_closed = True
                self._socket.close()
                os.close(self._interrupt)

    def hang_up_watch(self) -> select.poll:
        """Return a poll that wakes when the other side is gone, and for nothing else."""
        watch = select.poll()
        watch.register(self._socket, 0)  # a hang-up is reported even where nothing is asked for
        return watch

    def _read(self) -> Packet:
        try:
            size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _DESCRIPTOR_SPACE)
        except OSError as error:
            raise ChannelClosed from error
        if not size:
            raise ChannelClosed
        data = bytes(memoryview(self._buffer)[:size])
        return Packet(data, _descriptors(ancillary) if ancillary else ())


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> tuple[int, ...]:
    """Return the file descriptors that came beside a packet."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def make_shared(name: str, size_bytes: int) -> tuple[int, Pixels]:
    """Make anonymous shared memory, zeroed.

    Returns:
        Its descriptor, to be sent and then closed, and its bytes, uint8 (size_bytes,). The memory
        lives as long as an array over it does, in either process.
    """
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size_bytes)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    return descriptor, _mapped(descriptor, size_bytes)


def attach_shared(descriptor: int, size_bytes: int) -> Pixels:
    """Return the bytes of shared memory that came over a channel, and close its descriptor.

    Raises:
        ValueError: It is smaller than said, or could still shrink: reading it could then end
            this process, and the child that made it may be in any state.
    """
    try:
        size = os.fstat(descriptor).st_size
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
        if size < size_bytes or not seals & fcntl.F_SEAL_SHRINK:
            raise ValueError(f"shared memory of {size} bytes does not hold {size_bytes}, sealed")
        return _mapped(descriptor, size_bytes)
    finally:
        os.close(descriptor)


def _mapped(descriptor: int, size_bytes: int) -> Pixels:
    return np.frombuffer(mmap.mmap(descriptor, size_bytes), np.uint8)


class ChildProcess:
    """One child and the channel to it.

    Start it on a thread that lives as long as the child may: Linux kills the child when the
    thread that made it ends, which is what we want only if that thread's end is the end.

    Attributes:
        channel: The parent's end, from `start` to `end`.
    """

    channel: Channel

    def __init__(self, entry: str, errand: Mapping[str, object], *, name: str) -> None:
        """Remember what to run.

        Args:
            entry: `package.module:function`; called in the child with its channel and errand.
            errand: What JSON can carry. It goes over the channel, so that secrets in it are
                neither on a command line nor in an environment.
            name: What the process is called in `ps` and `top`.
        """
        self._entry = entry
        self._errand = errand
        self._name = name
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the child and hand it its errand."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, error_output_of(self._name) as errors:
            self._process = subprocess.Popen(
                [*_command(), str(theirs.fileno()), str(os.getpid()), self._name],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=errors,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # its idle threads cost memory
            )
        _living.add(self._process.pid)
        self.channel = Channel(ours)
        opening = {"entry": self._entry, "name": self._name, "errand": self._errand}
        with contextlib.suppress(ChannelClosed):  # it died already: the first receive says so
            self.channel.send(json.dumps(opening).encode())

    def end(self, *, grace_s: float = 0.0) -> str:
        """Give the child time to go by itself, then kill it; never raises.

        Args:
            grace_s: For a child that was asked to end, or is ending: how long to wait for it.

        Returns:
            How it ended, such as "exit status 1" or "SIGSEGV".
        """
        process, self._process = self._process, None
        if process is None:
            return "never started"
        if not _ended_within(process, grace_s):
            process.kill()
        self.channel.close()
        if not _ended_within(process, KILL_LIMIT_S):
            # It sits in the kernel, as a broken driver can make it; init reaps it one day.
            _log.error("process %d (%s) cannot be killed", process.pid, self._name)
            return "cannot be killed"
        _living.discard(process.pid)
        return _ending(process.returncode)


def _command() -> list[str]:
    places = os.pathsep.join(str(Path(place).resolve()) for place in sys.path if place)
    return [sys.executable, "-P", "-c", _BOOT, places, os.pathsep]


def _ended_within(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return False
    return True


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def own_cpu_ns() -> int:
    """Return the processor time that this process and its children have used so far."""
    gone = resource.getrusage(resource.RUSAGE_CHILDREN)
    gone_ns = nanoseconds(gone.ru_utime + gone.ru_stime)
    return time.process_time_ns() + gone_ns + sum(map(cpu_ns, list(_living)))


def serve(descriptor: int, parent_pid: int) -> None:
    """Run in the child: take the errand from the channel, do it, and end with the parent."""
    faulthandler.enable()  # a native crash leaves its stack in the log
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the group; the parent decides
    _die_with(parent_pid)
    channel = Channel(socket.socket(fileno=descriptor))
    _exit_at_hang_up(channel)
    packet = channel.receive()
    if packet is None:
        raise AssertionError("nobody in this process interrupts its channel")
    opening = json.loads(packet.data)
    _name_process(opening["name"])
    module, _, function = opening["entry"].partition(":")
    getattr(importlib.import_module(module), function)(channel, opening["errand"])


def bound_memory(limit_bytes: int) -> None:
    """Let this process fail, and be started again, before it takes the machine's memory.

    What counts is what a process writes for itself; memory that is shared, and what a driver
    maps, does not.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = limit_bytes if hard == resource.RLIM_INFINITY else min(hard, limit_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


def _die_with(parent_pid: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(0)


def _name_process(name: str) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def _exit_at_hang_up(channel: Channel) -> None:
    """End this process as soon as the parent closes its end, whatever else runs here.

    The thread waits in the kernel without the interpreter's lock, so a native call that gives the
    lock up cannot keep it; for one that does not there is the parent's SIGKILL.
    """
    watch = channel.hang_up_watch()

    def wait() -> None:
        # Anything but a hang-up is this process closing its own end, about to exit by itself.
        if any(event & select.POLLHUP for _, event in watch.poll()):
            os._exit(0)

    threading.Thread(target=wait, name="hang-up", daemon=True).start()
