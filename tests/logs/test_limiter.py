"""The same thing is said once a minute, and then how often it would have been said."""

from __future__ import annotations

import logging
import sys

from hypothesis import given
from hypothesis import strategies as st

from camera_app.logs.limiter import SUBJECTS_AT_MOST, WINDOW_S, Limiter, subject_of


def record(template: str, *arguments: object, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("camera_app.x", level, __file__, 1, template, arguments, None)


def test_what_was_just_said_is_counted_and_told_when_its_time_is_over() -> None:
    limiter = Limiter()
    takes = [limiter.takes(record("lost %s", "front"), at_s) for at_s in range(50)]
    assert takes == [True] + [False] * 49
    assert limiter.due(WINDOW_S - 0.1) == []
    [withheld] = limiter.due(WINDOW_S)
    assert (withheld.count, withheld.over_s) == (49, WINDOW_S)
    assert withheld.record.getMessage() == "lost front"


def test_a_flood_that_goes_on_is_told_once_a_window() -> None:
    limiter = Limiter()
    limiter.takes(record("lost"), 0.0)
    limiter.takes(record("lost"), 1.0)
    assert len(limiter.due(60.0)) == 1
    assert not limiter.takes(record("lost"), 61.0)
    assert [one.count for one in limiter.due(120.0)] == [1]
    assert limiter.due(180.0) == []
    assert limiter.takes(record("lost"), 181.0)


def test_numbers_make_no_other_news_and_names_and_levels_do() -> None:
    limiter = Limiter()
    assert limiter.takes(record("camera %s: %s", "front1", "trying again in 1.3 s"), 0.0)
    assert not limiter.takes(record("camera %s: %s", "front1", "trying again in 2.6 s"), 0.0)
    assert limiter.takes(record("camera %s: %s", "front2", "trying again in 1.3 s"), 0.0)
    assert limiter.takes(record("camera %s: %s", "front1", "wrong password"), 0.0)
    later = record("camera %s: %s", "front1", "wrong password", level=logging.ERROR)
    assert limiter.takes(later, 0.0)
    assert limiter.takes(record("waited %.1f s", 1.5), 0.0)
    assert not limiter.takes(record("waited %.1f s", 2.5), 0.0)


def test_a_place_that_always_says_something_else_is_held_back_as_a_whole() -> None:
    limiter = Limiter()
    takes = [limiter.takes(record("no snapshot of %s", f"id{i}"), 0.0) for i in range(1000)]
    assert sum(takes) <= SUBJECTS_AT_MOST + 1
    assert sum(one.count for one in limiter.due(WINDOW_S)) == 1000 - sum(takes)
    # And what another place says is not touched by it.
    assert limiter.takes(record("lost %s", "id5"), 0.0)


def test_errors_of_another_kind_are_other_news() -> None:
    def failed(error: Exception) -> logging.LogRecord:
        try:
            raise error
        except Exception:
            made = record("failed")
            made.exc_info = sys.exc_info()
            return made

    assert subject_of(failed(KeyError())) != subject_of(failed(OSError()))
    assert subject_of(failed(OSError("1"))) == subject_of(failed(OSError("2")))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 20),  # seconds since the one before
            st.sampled_from("abc"),
            st.integers(0, 40).map(str),
        ),
        max_size=200,
    )
)
def test_no_line_is_lost_without_being_counted(lines: list[tuple[float, str, str]]) -> None:
    limiter, now_s, written, told = Limiter(), 0.0, 0, 0
    for pause_s, template, subject in lines:
        now_s += pause_s
        told += sum(one.count for one in limiter.due(now_s))
        written += limiter.takes(record(f"{template} %s", subject), now_s)
    told += sum(one.count for one in limiter.rest(now_s))
    assert written + told == len(lines)
    assert limiter.rest(now_s) == []


def test_what_a_place_named_a_window_ago_leaves_room_for_other_names() -> None:
    limiter = Limiter()
    for window in range(3):
        now_s = window * WINDOW_S
        limiter.due(now_s)
        takes = [
            limiter.takes(record("lost %s", f"camera{window}-{i}"), now_s)
            for i in range(SUBJECTS_AT_MOST)
        ]
        assert all(takes)
