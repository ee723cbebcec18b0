"""Who stays in a zone, and how often that is told."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.config import ZoneSettings
from camera_app.events.loitering import Loiterer, times_due
from camera_app.events.zones import ZonePresence
from camera_app.values import Loitering, Point, Size

SIZE = Size(100, 100)
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
INSIDE, OUTSIDE = 20.0, 80.0


def porch(**more: object) -> ZoneSettings:
    return ZoneSettings.model_validate(
        {"name": "porch", "polygon": LEFT, "inertia_s": 0.5, "loitering_s": 10.0, **more}
    )


def told(
    sights: Iterable[tuple[float, float]], zone: ZoneSettings, label: str = "person"
) -> list[tuple[float, Loitering]]:
    """Return what is told of an object that is seen at (seconds, x), each with its moment."""
    presence, loiterer = ZonePresence([zone]), Loiterer()
    found = []
    for time_s, x in sights:
        at_ns = nanoseconds(time_s)
        presence.update(Point(x, 50), label, SIZE, at_ns)
        found += [(time_s, one) for one in loiterer.update(presence.stays, label, at_ns)]
    return found


def seconds_of(until_s: int, x: float = INSIDE, begin_s: int = 0) -> list[tuple[float, float]]:
    return [(float(time_s), x) for time_s in range(begin_s, until_s)]


def test_a_stay_is_told_once_counted_from_the_first_sight_inside() -> None:
    sights = [(0.0, OUTSIDE), *seconds_of(100, begin_s=1)]
    assert told(sights, porch()) == [(11.0, Loitering("porch", nanoseconds(1.0)))]


def test_who_passes_or_stays_where_nobody_loiters_is_not_told() -> None:
    assert told(seconds_of(10), porch()) == []
    assert told(seconds_of(100), porch(loitering_s=0)) == []


def test_a_stay_that_goes_on_is_told_again_where_that_is_wanted() -> None:
    found = told(seconds_of(31), porch(loitering_repeat_s=6))
    assert [(at_s, one.repeat) for at_s, one in found] == [(10, 0), (16, 1), (22, 2), (28, 3)]


def test_what_was_due_while_nobody_looked_is_told_once() -> None:
    found = told([(0, INSIDE), (1, INSIDE), (40, INSIDE)], porch(loitering_repeat_s=6))
    assert [(at_s, one.repeat) for at_s, one in found] == [(40, 5)]


def test_a_step_over_the_border_begins_no_new_stay() -> None:
    sights = [*seconds_of(8), (8.0, OUTSIDE), (8.4, INSIDE), *seconds_of(30, begin_s=9)]
    assert [at_s for at_s, _ in told(sights, porch())] == [10.0]


def test_who_leaves_and_comes_back_stays_anew() -> None:
    sights = [*seconds_of(15), *seconds_of(20, OUTSIDE, 15), *seconds_of(40, begin_s=20)]
    assert [at_s for at_s, _ in told(sights, porch())] == [10.0, 30.0]


def test_a_stay_is_not_told_on_the_way_out() -> None:
    """Seen outside, though its inertia still holds it in."""
    assert told([*seconds_of(10), (10.1, OUTSIDE), (10.5, OUTSIDE)], porch()) == []


@pytest.mark.parametrize(("labels", "is_told"), [((), False), (("face",), True)])
def test_a_face_loiters_only_where_it_is_named(labels: tuple[str, ...], is_told: bool) -> None:
    assert bool(told(seconds_of(30), porch(labels=labels), "face")) is is_told


@given(st.sets(st.floats(0, 60), min_size=1, max_size=80))
def test_what_is_told_of_a_stay_does_not_depend_on_the_frames_that_were_seen(
    moments: set[float],
) -> None:
    """Told once if it was seen inside after the time, at the first sight after it, else not."""
    sights = [(0.0, INSIDE), (1.0, INSIDE), *((1 + time_s, INSIDE) for time_s in sorted(moments))]
    found = [at_s for at_s, _ in told(sights, porch())]
    assert found == [time_s for time_s, _ in sights if nanoseconds(time_s) >= nanoseconds(10)][:1]


@given(st.floats(0.1, 100), st.floats(0, 100), st.floats(0, 1000), st.floats(0, 1000))
def test_a_longer_stay_is_never_due_less_often(
    first_s: float, repeat_s: float, short_s: float, more_s: float
) -> None:
    zone = porch(loitering_s=first_s, loitering_repeat_s=repeat_s)
    before, after = (times_due(zone, nanoseconds(s)) for s in (short_s, short_s + more_s))
    assert 0 <= before <= after
