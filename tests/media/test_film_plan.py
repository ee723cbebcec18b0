"""Which film is wanted, as events come and go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camera_app.capture import FilmEnd, FilmNews, FilmWish
from camera_app.clock import NS_PER_S
from camera_app.config import RecordingSettings
from camera_app.media.film_plan import FilmPlan
from camera_app.values import ChangeType, EventChange
from tests.store.conftest import make_change

S = NS_PER_S
SETTINGS = RecordingSettings(before_s=5, after_s=3, max_s=60)


class Planned:
    """A plan whose films are called after the time of their beginning."""

    def __init__(self) -> None:
        self.plan = FilmPlan(SETTINGS, lambda from_ns, _: f"{from_ns / S:g}")
        self.plan.switch(True)

    def happen(
        self,
        number: int,
        at_s: float,
        change: ChangeType = ChangeType.STARTED,
        *,
        still: bool = False,
    ) -> str | None:
        made = make_change(number, change=change)
        is_over = change is ChangeType.ENDED
        event = replace(
            made.event,
            started_ns=round(at_s * S) if change is ChangeType.STARTED else made.event.started_ns,
            ended_ns=round(at_s * S) if is_over else None,
            is_stationary=still,
        )
        return self.plan.note(EventChange(change, round(at_s * S), 0, event, "x"))

    def told(self, path: str, why: str = "", ends_s: float = 0, *, is_kept: bool = True) -> object:
        news = FilmNews(path, why, is_kept, begins_ns=1, ends_ns=round(ends_s * S))
        return self.plan.hear(news, round(ends_s * S))

    @property
    def film(self) -> FilmWish:
        film = self.plan.order.film
        assert film is not None
        return film

    @property
    def span_s(self) -> tuple[float, float]:
        return self.film.from_ns / S, self.film.until_ns / S


@pytest.fixture
def planned() -> Planned:
    return Planned()


def test_a_film_lasts_from_before_its_event_until_after_it(planned: Planned) -> None:
    planned.happen(1, 100)
    assert planned.span_s == (95, 155)  # as long as a film may be: its end is not known
    assert planned.film.goes_on
    planned.happen(1, 120, ChangeType.ENDED)
    assert planned.span_s == (95, 123)
    assert not planned.film.goes_on


def test_events_that_overlap_share_a_film(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.told("95")
    planned.happen(2, 110)
    planned.happen(1, 112, ChangeType.ENDED)
    assert (planned.film.path, planned.film.goes_on) == ("95", True)
    planned.happen(2, 120, ChangeType.ENDED)
    ended = planned.told("95", FilmEnd.OVER, 123)
    ids = tuple(make_change(number).event.event_id for number in (1, 2))
    assert ended.event_ids == ids
    assert planned.plan.order.film is None


def test_an_event_in_the_last_seconds_of_a_film_prolongs_it(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.happen(1, 110, ChangeType.ENDED)
    planned.happen(2, 112)
    assert (planned.film.path, planned.span_s, planned.film.goes_on) == ("95", (95, 155), True)


def test_an_event_is_told_its_film_once_something_of_it_is_on_the_disk(planned: Planned) -> None:
    assert planned.happen(1, 100) is None
    assert planned.happen(1, 101, ChangeType.UPDATED) is None
    planned.told("95")
    assert planned.happen(1, 102, ChangeType.UPDATED) == "95"
    assert planned.happen(2, 103) == "95"
    assert planned.happen(1, 104, ChangeType.ENDED) == "95"


def test_what_lasts_longer_has_several_films_without_a_hole(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.told("95")
    planned.told("95", FilmEnd.LONG, 156)
    assert (planned.film.path, planned.span_s, planned.film.follows) == ("156", (156, 216), True)
    assert planned.happen(1, 160, ChangeType.UPDATED) == "95"  # the newest on the disk
    planned.told("156")
    assert planned.happen(1, 161, ChangeType.ENDED) == "156"


def test_what_stands_still_is_filmed_again_when_it_moves(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.happen(1, 110, ChangeType.UPDATED, still=True)
    assert planned.span_s == (95, 113)
    planned.told("95", FilmEnd.OVER, 113)
    planned.happen(1, 500, ChangeType.UPDATED, still=True)
    assert planned.plan.order.film is None
    planned.happen(1, 600, ChangeType.UPDATED)
    assert planned.span_s == (595, 655)


def test_a_switch_ends_a_film_at_once_and_its_end_is_still_heard(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.told("95")
    planned.plan.switch(False)
    assert (planned.plan.order.is_on, planned.plan.order.film) == (False, None)
    assert not planned.plan.is_at_rest
    assert planned.told("95", FilmEnd.STOPPED, 104) is not None
    assert planned.plan.is_at_rest
    assert planned.happen(2, 105) is None
    assert planned.plan.order.film is None


def test_a_full_disk_ends_a_film_and_space_begins_another(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.plan.look_at_space(False, 104 * S)
    assert (planned.plan.order.is_on, planned.plan.order.film) == (True, None)
    planned.happen(2, 105)
    assert planned.plan.order.film is None
    planned.plan.look_at_space(True, 110 * S)
    assert planned.plan.order.film is not None


def test_a_failed_film_is_tried_again_after_a_while(planned: Planned) -> None:
    planned.happen(1, 100)
    ended = planned.told("95", FilmEnd.FULL, 104)
    assert ended.is_finished is False
    planned.plan.pass_time(105 * S)
    assert planned.plan.order.film is None
    planned.plan.pass_time(115 * S)
    assert planned.plan.order.film is not None


@pytest.mark.parametrize("why", [FilmEnd.FULL, FilmEnd.FAILED, FilmEnd.STOPPED])
def test_a_film_that_is_tried_again_leaves_the_one_before_it_alone(
    planned: Planned, why: str
) -> None:
    """It once had the same name, and was put in the place of what the first had kept."""
    planned.happen(1, 100)
    planned.told("95")
    if why == FilmEnd.STOPPED:
        planned.plan.look_at_space(False, 104 * S)
    planned.told("95", why, 104)
    planned.plan.look_at_space(True, 115 * S)
    assert (planned.film.path, planned.span_s) == ("104", (104, 164))


def test_what_has_moved_for_longer_than_a_film_is_filmed_on_once_the_disk_takes_it_again(
    planned: Planned,
) -> None:
    """It once was not until nothing moved any more: the same film was wished for for ever."""
    planned.happen(1, 100)
    planned.plan.look_at_space(False, 104 * S)
    planned.told("95", FilmEnd.STOPPED, 104)
    planned.plan.look_at_space(True, 170 * S)
    assert planned.span_s == (104, 164)
    planned.told("104", FilmEnd.OVER, 170, is_kept=False)  # the child has nothing of that any more
    assert (planned.film.path, planned.span_s) == ("170", (170, 230))


def test_a_child_that_dies_leaves_its_film_and_the_next_begins_anew(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.told("95")
    (left,) = planned.plan.lose(110 * S)
    assert (left.path, left.is_finished, left.ends_ns) == ("95", False, None)
    assert (planned.film.path, planned.span_s) == ("110", (110, 170))


def test_a_film_that_nobody_begins_is_given_up(planned: Planned) -> None:
    """The source is away, and its event has ended."""
    planned.happen(1, 100)
    planned.happen(1, 110, ChangeType.ENDED)
    planned.plan.pass_time(120 * S)
    assert planned.plan.order.film is not None
    planned.plan.pass_time(124 * S)
    assert planned.plan.order.film is None


def test_what_cannot_be_filmed_is_not_tried_until_the_source_is_another(planned: Planned) -> None:
    planned.happen(1, 100)
    planned.told("95", FilmEnd.CANNOT, is_kept=False)
    planned.happen(2, 200)
    assert planned.plan.order.film is None
    planned.plan.lose(300 * S)
    assert planned.plan.order.film is not None


def test_nothing_is_remembered_of_events_that_are_over(planned: Planned) -> None:
    for number in range(1, 500):
        planned.happen(number, 100 * number)
        planned.told(f"{100 * number - 5}")
        planned.happen(number, 100 * number + 5, ChangeType.ENDED)
        planned.told(f"{100 * number - 5}", FilmEnd.OVER, 100 * number + 8)
    plan = planned.plan
    assert not (plan._last)
    assert not (plan._moving)
    assert not (plan._closing)
    assert not (plan._film)
