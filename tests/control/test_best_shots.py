"""Pictures of best moments: shown while they may be, and withdrawn for good."""

from __future__ import annotations

import threading

from camera_app.control import BestShots
from camera_app.publish import StateBoard, Topics

TOPICS = Topics("camera_app", "cam1")
JPEG = b"\xff\xd8\xff\xe0"
LIMIT_S = 10.0


def shots(board: StateBoard, *, is_sent: bool = True) -> BestShots:
    return BestShots("front", ["person"], board, TOPICS, is_sent=lambda: is_sent)


def told(board: StateBoard) -> list[tuple[str, bytes]]:
    found = []
    while (notice := board.take()) is not None:
        found.append((notice.topic.removeprefix("camera_app/cam1/front/"), notice.payload))
    return found


def test_a_picture_is_the_newest_of_all_and_of_its_class() -> None:
    board = StateBoard()
    shots(board).show(JPEG, "person")
    assert told(board) == [("snapshot", JPEG), ("person/snapshot", JPEG)]


def test_nothing_is_shown_where_none_may_leave_the_device() -> None:
    board = StateBoard()
    shots(board, is_sent=False).show(JPEG, "person")
    assert told(board) == []


def test_what_was_withdrawn_comes_back_only_when_it_is_allowed() -> None:
    board = StateBoard()
    one = shots(board)
    one.show(JPEG, "person")
    one.withdraw()
    assert told(board) == [("snapshot", b""), ("person/snapshot", b"")]
    one.show(JPEG, "person")
    assert told(board) == []
    one.allow()
    one.show(JPEG, "person")
    assert told(board) == [("snapshot", JPEG), ("person/snapshot", JPEG)]


def test_a_picture_that_is_on_its_way_never_comes_after_the_withdrawal() -> None:
    """Whoever withdraws waits for one that is just being told; and then it is taken back."""
    asked, may_go_on = threading.Event(), threading.Event()

    def is_sent() -> bool:
        asked.set()
        return may_go_on.wait(LIMIT_S)

    board = StateBoard()
    one = BestShots("front", ["person"], board, TOPICS, is_sent=is_sent)
    shower = threading.Thread(target=one.show, args=(JPEG, "person"))
    withdrawer = threading.Thread(target=one.withdraw)
    shower.start()
    assert asked.wait(LIMIT_S)
    withdrawer.start()
    withdrawer.join(0.05)
    assert withdrawer.is_alive()
    may_go_on.set()
    for thread in (shower, withdrawer):
        thread.join(LIMIT_S)
    assert dict(told(board)) == {"snapshot": b"", "person/snapshot": b""}
