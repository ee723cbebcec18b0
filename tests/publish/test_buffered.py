from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from camera_app.publish.buffered import UNSENT_LIMIT, BufferedSocket
from camera_app.publish.waker import Waker

Pair = tuple[BufferedSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A buffered socket that does not block, and its plain other end."""
    ours, theirs = socket.socketpair()
    buffered = BufferedSocket(ours)
    buffered.setblocking(False)
    theirs.settimeout(5.0)
    yield buffered, theirs
    buffered.close()
    theirs.close()


def test_small_writes_leave_as_one(pair: Pair) -> None:
    ours, theirs = pair
    for piece in (b"one ", b"two ", b"three"):
        assert ours.send(piece) == len(piece)
    assert ours.has_unsent

    ours.flush()

    assert theirs.recv(100) == b"one two three"
    assert not ours.has_unsent


def test_what_was_read_ahead_is_handed_out_piece_by_piece(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"abcdef")

    assert [ours.recv(1), ours.recv(3)] == [b"a", b"bcd"]
    assert ours.pending() == 2  # no wait on the descriptor would see these
    assert ours.recv(100) == b"ef"
    assert ours.pending() == 0
    with pytest.raises(BlockingIOError):
        ours.recv(1)


def test_the_end_of_a_connection_is_read_after_what_came_before(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(b"last")
    theirs.shutdown(socket.SHUT_WR)

    assert [ours.recv(10), ours.recv(10)] == [b"last", b""]


def test_what_the_network_does_not_take_is_kept_up_to_a_bound(pair: Pair) -> None:
    ours, theirs = pair
    sent = send_all_it_takes(ours)
    assert ours.has_unsent

    received = 0
    while received < sent:
        ours.flush()
        received += len(theirs.recv(1 << 20))
    assert received == sent
    assert sent >= UNSENT_LIMIT


def test_a_connection_that_broke_while_writing_ends_at_the_next_read(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send(b"into the void")

    ours.flush()

    assert ours.pending()
    assert ours.recv(10) == b""


def test_a_goodbye_is_written_before_closing(pair: Pair) -> None:
    ours, theirs = pair
    ours.send(b"goodbye")
    ours.close()
    assert theirs.recv(100) == b"goodbye"


def test_a_waker_is_readable_until_it_is_cleared_and_harmless_once_closed() -> None:
    import select

    waker = Waker()
    waker.wake()
    waker.open()
    assert not select.select([waker], [], [], 0)[0]
    waker.wake()
    waker.wake()
    assert select.select([waker], [], [], 0)[0]
    waker.clear()
    waker.clear()
    assert not select.select([waker], [], [], 0)[0]
    waker.close()
    waker.wake()


def send_all_it_takes(ours: BufferedSocket) -> int:
    sent = 0
    while True:
        try:
            sent += ours.send(bytes(65536))
        except BlockingIOError:
            return sent
        ours.flush()
