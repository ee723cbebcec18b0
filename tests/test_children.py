from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from camera_app.children import (
    Channel,
    ChannelClosed,
    ChildProcess,
    attach_shared,
    make_shared,
    own_cpu_ns,
)

LIMIT_S = 20.0

ERRANDS = '''
import os, signal, sys, threading

def echo(channel, errand):
    channel.send(errand["word"].encode())
    while True:
        channel.send(channel.receive().data.upper())

def crash(channel, errand):
    os.kill(os.getpid(), signal.SIGSEGV)

def leave(channel, errand):
    sys.exit(errand["status"])

def hang(channel, errand):
    channel.send(str(os.getpid()).encode())
    threading.Event().wait()

def hang_deaf(channel, errand):
    """Neither a hang-up nor a signal short of the last ends it."""
    os.dup(channel._socket.fileno())
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    hang(channel, errand)

def modules(channel, errand):
    channel.send(" ".join(sorted(sys.modules)).encode()[:60000])

def burn(channel, errand):
    import time
    while time.process_time() < errand["cpu_s"]:
        pass
    channel.send(b"burnt")
    threading.Event().wait()

def share(channel, errand):
    from camera_app.children import make_shared
    descriptor, memory = make_shared("test", 1000)
    memory[:] = 7
    channel.send(b"here", [descriptor])
    channel.receive()
    memory[:] = 8
    channel.send(b"changed")
    channel.receive()

def where(channel, errand):
    command = open("/proc/self/cmdline").read().replace("\\0", " ")
    environment = open("/proc/self/environ").read()
    channel.send((command + environment).encode())

def hang_with_the_lock(channel, errand):
    """As native code does that never lets another thread run."""
    import ctypes
    channel.send(str(os.getpid()).encode())
    ctypes.PyDLL(None).sleep(600)

def parent(channel, errand):
    """Be a parent whose child hangs, and tell its id."""
    from camera_app.children import ChildProcess
    child = ChildProcess("errands_for_tests:" + errand["child"], {}, name="grandchild")
    child.start()
    channel.send(child.channel.receive().data)
    threading.Event().wait()
'''


@pytest.fixture(autouse=True)
def _errands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "errands_for_tests.py").write_text(ERRANDS)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.fixture
def children() -> Iterator[list[ChildProcess]]:
    started: list[ChildProcess] = []
    yield started
    for child in started:
        child.end()


def start(children: list[ChildProcess], function: str, **errand: object) -> ChildProcess:
    child = ChildProcess(f"errands_for_tests:{function}", errand, name="test-child")
    child.start()
    children.append(child)
    return child


def said(child: ChildProcess) -> str:
    packet = child.channel.receive(LIMIT_S)
    assert packet is not None, "the child said nothing within the limit"
    return packet.data.decode()


def ends(pid: int) -> bool:
    """Wait until a process is gone, whoever's child it is."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], LIMIT_S)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def pair() -> Iterator[tuple[Channel, Channel]]:
    ends = [Channel(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)]
    yield ends[0], ends[1]
    for end in ends:
        end.close()


def test_packets_stay_whole_and_in_order(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    for word in (b"one", b"two", b"x" * 50_000):
        ours.send(word)
    received = [theirs.receive(LIMIT_S) for _ in range(3)]
    assert [packet.data for packet in received if packet] == [b"one", b"two", b"x" * 50_000]


def test_receive_returns_nothing_when_the_time_is_over(pair: tuple[Channel, Channel]) -> None:
    assert pair[0].receive(0.01) is None


def test_interrupt_ends_a_receive_that_waits_for_ever(pair: tuple[Channel, Channel]) -> None:
    results: list[object] = ["nothing yet"]
    thread = threading.Thread(target=lambda: results.append(pair[0].receive()))
    thread.start()
    pair[0].interrupt()
    thread.join(LIMIT_S)
    assert results[-1] is None


def test_what_was_sent_before_a_close_is_still_read(pair: tuple[Channel, Channel]) -> None:
    ours, theirs = pair
    ours.send(b"last words")
    ours.close()
    packet = theirs.receive(LIMIT_S)
    assert packet is not None
    assert packet.data == b"last words"
    with pytest.raises(ChannelClosed):
        theirs.receive(LIMIT_S)
    with pytest.raises(ChannelClosed):
        theirs.send(b"anyone?")


def test_interrupting_a_closed_channel_does_no_harm(pair: tuple[Channel, Channel]) -> None:
    pair[0].close()
    pair[0].close()
    pair[0].interrupt()


def test_shared_memory_is_seen_by_both_and_refuses_what_is_too_small() -> None:
    descriptor, ours = make_shared("test", 4096)
    theirs = attach_shared(os.dup(descriptor), 4096)
    ours[10] = 99
    assert theirs[10] == 99
    with pytest.raises(ValueError, match="does not hold 5000"):
        attach_shared(os.dup(descriptor), 5000)
    with pytest.raises(OSError, match="permitted"):
        os.ftruncate(descriptor, 10)  # a child that did this would take the parent with it
    os.close(descriptor)


def test_memory_that_may_still_shrink_is_refused() -> None:
    descriptor = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, 4096)
    with pytest.raises(ValueError, match="sealed"):
        attach_shared(descriptor, 4096)


def test_a_child_gets_its_errand_and_answers(children: list[ChildProcess]) -> None:
    child = start(children, "echo", word="hello")
    assert said(child) == "hello"
    child.channel.send(b"again")
    assert said(child) == "AGAIN"


def test_memory_from_a_child_outlives_it(children: list[ChildProcess]) -> None:
    child = start(children, "share")
    packet = child.channel.receive(LIMIT_S)
    assert packet is not None
    memory = attach_shared(packet.descriptors[0], 1000)
    assert (memory == 7).all()
    child.channel.send(b"go on")
    assert said(child) == "changed"
    assert (memory == 8).all()
    child.end()
    assert (memory == 8).all()


def test_shared_memory_has_no_name_that_could_be_left_behind() -> None:
    descriptor, _ = make_shared("test", 100)
    assert Path(f"/proc/self/fd/{descriptor}").readlink() == Path("/memfd:test (deleted)")
    os.close(descriptor)


@pytest.mark.parametrize(
    ("function", "errand", "how"),
    [("crash", {}, "SIGSEGV"), ("leave", {"status": 3}, "exit status 3")],
)
def test_how_a_child_ended_is_told(
    children: list[ChildProcess], function: str, errand: dict[str, object], how: str
) -> None:
    child = start(children, function, **errand)
    with pytest.raises(ChannelClosed):
        child.channel.receive(LIMIT_S)
    assert child.end(grace_s=LIMIT_S) == how


def test_what_a_child_takes_is_ours_while_it_lives_and_after(children: list[ChildProcess]) -> None:
    others_ns = own_cpu_ns() - time.process_time_ns()
    child = start(children, "burn", cpu_s=0.5)
    assert said(child) == "burnt"
    burnt_ns = own_cpu_ns() - time.process_time_ns() - others_ns
    assert 0.5e9 <= burnt_ns < 5e9
    child.end()
    assert own_cpu_ns() - time.process_time_ns() - others_ns >= 0.5e9


@pytest.mark.parametrize("function", ["hang", "hang_deaf"])
def test_a_child_that_hangs_is_ended(children: list[ChildProcess], function: str) -> None:
    child = start(children, function)
    pid = int(said(child))
    assert child.end() == "SIGKILL"
    assert not Path(f"/proc/{pid}").exists()  # not even as a zombie


@pytest.mark.parametrize("how", ["hang", "hang_with_the_lock"])
def test_a_child_ends_by_itself_when_its_parent_is_killed(
    children: list[ChildProcess], how: str
) -> None:
    parent = start(children, "parent", child=how)
    grandchild = int(said(parent))
    parent.end()
    assert ends(grandchild)


def test_a_child_ends_when_the_channel_is_closed(children: list[ChildProcess]) -> None:
    child = start(children, "hang")
    pid = int(said(child))
    child.channel.close()
    assert ends(pid)


def test_a_secret_in_the_errand_shows_in_no_process_list(children: list[ChildProcess]) -> None:
    child = start(children, "where", password="hunter2")
    seen = said(child)
    assert "test-child" in seen
    assert "hunter2" not in seen


def test_a_child_imports_little(children: list[ChildProcess]) -> None:
    names = said(start(children, "modules")).split()
    assert "camera_app.children" in names
    assert not {"pydantic", "cv2", "av", "sqlite3"} & set(names)


def test_ending_twice_or_before_the_start_does_no_harm(children: list[ChildProcess]) -> None:
    assert ChildProcess("nowhere:nothing", {}, name="x").end() == "never started"
    child = start(children, "hang")
    said(child)
    child.end()
    assert child.end() == "never started"
    assert child.pid is None


def test_no_descriptor_is_left_behind(children: list[ChildProcess]) -> None:
    said(start(children, "hang"))  # whatever the first one opens for good is open now
    children[0].end()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        child = start(children, "hang")
        said(child)
        child.end()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_frames_survive_their_memory(children: list[ChildProcess]) -> None:
    """An array over shared memory keeps it mapped when everything else is gone."""
    descriptor, memory = make_shared("test", 100)
    os.close(descriptor)
    part = memory[10:20]
    del memory
    part[:] = 5
    assert (np.asarray(part) == 5).all()
    assert sys.getrefcount(part) >= 1
