from __future__ import annotations

from camera_app.publish.board import Notice, StateBoard


def taken(board: StateBoard) -> list[tuple[str, bytes]]:
    found = []
    while (notice := board.take()) is not None:
        found.append((notice.topic, notice.payload))
    return found


def test_the_newest_value_wins_and_is_told_once() -> None:
    board = StateBoard()
    board.put("a", b"1")
    board.put("b", b"1")
    board.put("a", b"2")

    assert taken(board) == [("b", b"1"), ("a", b"2")]
    assert taken(board) == []


def test_the_same_state_is_not_told_again_but_a_passing_message_is() -> None:
    board = StateBoard()
    for _ in range(2):
        board.put("state", b"1")
        board.put("passing", b"1", retain=False)
        first = taken(board)

    assert first == [("passing", b"1")]


def test_everything_retained_is_told_anew_availability_first() -> None:
    board = StateBoard()
    board.put("base/cam/front/person", b"1")
    board.put("base/cam/front/availability", b"online")
    board.put("base/cam/passing", b"x", retain=False)
    board.put("base/cam/availability", b"online")
    taken(board)

    board.tell_all()

    assert [topic for topic, _ in taken(board)] == [
        "base/cam/availability",
        "base/cam/front/availability",
        "base/cam/front/person",
    ]


def test_who_listens_is_called_for_each_change_and_not_for_the_same_value() -> None:
    board = StateBoard()
    calls: list[int] = []
    board.subscribe(lambda: calls.append(1))

    board.put("a", b"1")
    board.put("a", b"1")
    board.put("a", b"2")

    assert len(calls) == 2


def test_a_notice_says_how_it_is_to_be_sent() -> None:
    board = StateBoard()
    board.put("a", b"1", retain=False, qos=0)

    assert board.take() == Notice("a", b"1", is_retained=False, qos=0)
