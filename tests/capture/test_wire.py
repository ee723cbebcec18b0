from __future__ import annotations

import math
import socket
import struct
from collections.abc import Iterator

import numpy as np
import pytest

from camera_app.capture.wire import (
    MOST_BOXES,
    MOST_LENT,
    SLOTS,
    Attention,
    Counts,
    Delivery,
    Ending,
    FrameReceiver,
    FrameSender,
    GateMeans,
    Layout,
    Unintelligible,
)
from camera_app.children import Channel, make_shared
from camera_app.values import Box, ColourMatrix, Motion, Pixels, Size, Yuv420

LIMIT_S = 5.0


def picture(value: int, size: tuple[int, int] = (33, 17), *, is_full: bool = False) -> Yuv420:
    width, height = size
    half = ((height + 1) // 2, (width + 1) // 2)
    # Rows with padding between them, as a decoder leaves it.
    luma = np.full((height, width + 15), value, np.uint8)[:, :width]
    u, v = np.full(half, value + 1, np.uint8), np.full(half, value + 2, np.uint8)
    return Yuv420(luma, u, v, ColourMatrix.BT709, is_full)


class Ends:
    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.child, self.parent = Channel(theirs), Channel(ours)
        self.sender, self.receiver = FrameSender(self.child), FrameReceiver(self.parent)

    def next(self) -> Delivery | Counts | Ending:
        """Return what comes next that is worth telling."""
        for _ in range(3):
            said = self.receiver.receive(LIMIT_S)
            if said is not None:
                return said
        raise AssertionError("nothing came")

    def delivery(self) -> Delivery:
        said = self.next()
        assert isinstance(said, Delivery)
        return said


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.child.close()
    ends.parent.close()


def test_a_picture_comes_across_as_it_was(ends: Ends) -> None:
    sent = picture(50, is_full=True)
    ends.sender.send(sent, 1234, Counts(5, 6, 7))
    got = ends.delivery()
    assert (got.captured_ns, got.counts) == (1234, Counts(5, 6, 7))
    assert (got.picture.luma == sent.luma).all()
    assert (got.picture.u == sent.u).all()
    assert (got.picture.v == sent.v).all()
    assert got.picture.size == Size(33, 17)
    assert (got.picture.matrix, got.picture.is_full_range) == (ColourMatrix.BT709, True)


def test_what_has_come_across_is_ours_and_stays(ends: Ends) -> None:
    got = []
    for value in range(10, 10 + 3 * SLOTS):
        ends.sender.send(picture(value), value, Counts())
        got.append(ends.delivery())
    assert [int(one.picture.luma[3, 3]) for one in got] == list(range(10, 10 + 3 * SLOTS))


def is_lent(ends: Ends, plane: Pixels) -> bool:
    """Tell whether a plane lies in the memory that the child announced last."""
    return any(np.shares_memory(plane, slot) for slot in ends.receiver._slots)


def test_a_picture_lies_where_it_is_until_its_last_part_is_let_go(ends: Ends) -> None:
    """As many as may be are kept in the child's memory; a part of a picture keeps all of it."""
    for value in range(MOST_LENT):
        ends.sender.send(picture(value), value, Counts())
    kept = [ends.delivery().picture.luma[2:4, 2:4] for _ in range(MOST_LENT)]
    assert all(is_lent(ends, part) for part in kept)
    ends.sender.listen(0.0)
    assert len(ends.sender._free) == SLOTS - MOST_LENT
    assert [int(part[0, 0]) for part in kept] == list(range(MOST_LENT))
    kept.clear()
    ends.sender.listen(0.0)
    assert len(ends.sender._free) == SLOTS


def test_whoever_keeps_many_pictures_does_not_hold_the_child_up(ends: Ends) -> None:
    kept = []
    for value in range(5 * SLOTS):
        ends.sender.send(picture(value), value, Counts())
        kept.append(ends.delivery())
    assert ends.sender.no_slot == 0
    lent = [one for one in kept if is_lent(ends, one.picture.u)]
    assert len(lent) == MOST_LENT


def test_a_picture_outlives_the_child_and_whoever_received_it() -> None:
    ends = Ends()
    ends.sender.send(picture(8), 1, Counts())
    kept = ends.delivery()
    ends.child.close()
    ends.parent.close()
    del ends
    assert int(kept.picture.luma[3, 3]) == 8


def test_without_a_free_slot_the_newest_is_dropped_and_counted(ends: Ends) -> None:
    for value in range(SLOTS + 4):
        ends.sender.send(picture(value), value, Counts())
    assert ends.sender.no_slot == 4
    assert [ends.delivery().captured_ns for _ in range(SLOTS)] == list(range(SLOTS))
    ends.sender.send(picture(99), 99, Counts())
    assert ends.delivery().captured_ns == 99


def test_another_size_comes_in_other_memory(ends: Ends) -> None:
    for size in ((33, 17), (64, 48), (16, 16)):
        for _ in range(SLOTS + 1):
            ends.sender.send(picture(70, size), 1, Counts())
            assert str(ends.delivery().picture.size) == f"{size[0]}x{size[1]}"
    assert ends.sender.no_slot == 0


def test_a_slot_given_back_late_is_not_one_of_the_new_memory(ends: Ends) -> None:
    """A release that crosses the announcement must not free a slot that is in use."""
    for _ in range(SLOTS):
        ends.sender.send(picture(1), 1, Counts())
    ends.sender.send(picture(2, (64, 48)), 2, Counts())  # announces other memory
    for _ in range(SLOTS):
        ends.delivery()  # gives back the slots of the first memory only now
    for _ in range(SLOTS):
        ends.sender.send(picture(3, (64, 48)), 3, Counts())
    assert ends.sender.no_slot == 1


def test_what_moves_comes_across_with_its_picture(ends: Ends) -> None:
    boxes = (Box(0, 8, 16, 24), Box(640.5, 0, 768, 432))
    for motion in (None, Motion((), 0.0), Motion(boxes, 0.25), Motion(boxes[:1], 1.0, True)):
        ends.sender.send(picture(1), 1, Counts(1, 2, 3, 4), motion)
        got = ends.delivery()
        assert (got.motion, got.counts) == (motion, Counts(1, 2, 3, 4))


def test_however_much_moves_a_packet_has_room_for_it(ends: Ends) -> None:
    boxes = tuple(Box(x, 0, x + 1, 1) for x in range(MOST_BOXES + 1))
    ends.sender.send(picture(1), 1, Counts(), Motion(boxes, 1.0))
    got = ends.delivery().motion
    assert got is not None
    assert got.boxes == boxes[:-1]


def test_what_the_parent_wants_to_know_comes_across(ends: Ends) -> None:
    for wanted in (Attention(GateMeans(12, 0.0005, 10.0), 77), Attention(None, 0)):
        ends.receiver.send_attention(wanted)
        ends.sender.listen(LIMIT_S)
        assert ends.sender.attention == wanted


@pytest.mark.parametrize(
    "behind",
    [
        b"?",
        struct.pack("<?d", False, 0.5) + bytes(31),
        struct.pack("<?d", False, math.nan),
        struct.pack("<?d4d", False, 0.5, 0, 0, math.inf, 1),
    ],
)
def test_motion_that_makes_no_sense_is_an_error(ends: Ends, behind: bytes) -> None:
    ends.sender.send(picture(1), 1, Counts())
    assert ends.delivery()
    ends.child.send(struct.pack("<cBBqQQQQ", b"F", 1, 0, 1, 0, 0, 0, 0) + behind)
    with pytest.raises(Unintelligible):
        ends.receiver.receive(LIMIT_S)


def test_counts_ends_and_stops_are_told(ends: Ends) -> None:
    ends.sender.send_counts(Counts(thinned=3))
    ends.sender.send_end(Ending("lost", "the cable is out"))
    assert [ends.next(), ends.next()] == [Counts(3, 0, 0), Ending("lost", "the cable is out")]
    ends.receiver.send_stop()
    ends.sender.listen(LIMIT_S)
    assert ends.sender.is_stopped


@pytest.mark.parametrize(
    "nonsense",
    [
        b"?",
        b"F",
        b"F" + bytes(35),
        b"M{}",
        b"M[1]",
        b"Mnot json",
        b"E7",
        b"E{}",
        b"C1",
        b"\xff" * 90,
    ],
)
def test_nonsense_from_a_child_is_an_error_and_not_a_crash(ends: Ends, nonsense: bytes) -> None:
    ends.child.send(nonsense)
    with pytest.raises(Unintelligible):
        ends.receiver.receive(LIMIT_S)


@pytest.mark.parametrize(
    "said",
    [
        b'"width":-5,"height":9',
        b'"width":4000,"height":3000',
        b'"width":0,"height":0',
        b'"width":-5,"height":-9',
    ],
)
def test_memory_that_does_not_hold_what_is_said_is_refused(ends: Ends, said: bytes) -> None:
    descriptor, _ = make_shared("test", 4096)
    text = b'M{"generation":1,"matrix":"bt601","is_full_range":false,' + said + b"}"
    ends.child.send(text, [descriptor])
    with pytest.raises(Unintelligible):
        ends.receiver.receive(LIMIT_S)


def test_a_layout_takes_odd_sizes_up() -> None:
    layout = Layout(Size(3, 5), ColourMatrix.BT601, is_full_range=False)
    assert layout.bytes_needed == 15 + 2 * (2 * 3)
    planes = layout.over(np.arange(layout.bytes_needed, dtype=np.uint8))
    assert (planes.luma.shape, planes.u.shape, planes.v.shape) == ((5, 3), (3, 2), (3, 2))
    assert (planes.u[0, 0], planes.v[0, 0]) == (15, 21)
