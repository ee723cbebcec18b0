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


def test_who_leaves_does_not_take_the_listener_along_that_came_after_it() -> None:
    board = StateBoard()
    calls: list[str] = []
    before, after = lambda: calls.append("before"), lambda: calls.append("after")
    board.subscribe(before)
    board.subscribe(after)
    board.unsubscribe(before)
    board.put("a", b"1")
    board.unsubscribe(after)
    board.put("a", b"2")

    assert calls == ["after"]


def test_a_notice_says_how_it_is_to_be_sent() -> None:
    board = StateBoard()
    board.put("a", b"1", retain=False, qos=0)

    assert board.take() == Notice("a", b"1", is_retained=False, qos=0)


def test_what_the_broker_has_is_known_until_it_changes_or_is_told_anew() -> None:
    board = StateBoard()
    board.put("a", b"1")
    assert not board.is_confirmed("a", b"1")

    first = board.take()
    assert first is not None
    board.confirm(first)
    assert board.is_confirmed("a", b"1")
    assert not board.is_confirmed("a", b"2")

    board.put("a", b"2")
    board.confirm(first)
    assert not board.is_confirmed("a", b"1")
    assert not board.is_confirmed("a", b"2")

    second = board.take()
    assert second is not None
    board.confirm(second)
    board.tell_all()
    assert not board.is_confirmed("a", b"2")


def test_what_is_forgotten_is_told_no_more() -> None:
    board = StateBoard()
    board.put("a", b"")
    board.put("b", b"1")
    board.forget("a")
    assert taken(board) == [("b", b"1")]
    board.tell_all()
    assert taken(board) == [("b", b"1")]


def test_a_hub_is_told_what_there_is_before_how_it_stands_and_pictures_last() -> None:
    board = StateBoard()
    for topic in (
        "base/cam/front/person/snapshot",
        "base/cam/front/person",
        "ha/device/cam/config",
    ):
        board.put(topic, b"1")
    board.put("base/cam/availability", b"online")
    board.tell_all()
    assert [topic for topic, _ in taken(board)] == [
        "base/cam/availability",
        "ha/device/cam/config",
        "base/cam/front/person",
        "base/cam/front/person/snapshot",
    ]
