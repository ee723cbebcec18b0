"""Feet in polygons, and the patience of borders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.clock import nanoseconds
from camera_app.config import ZoneSettings
from camera_app.events.zones import ZonePresence, is_inside, zones_at
from camera_app.values import Point, Size

SIZE = Size(100, 100)
SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
# A U, open at the top: its notch is outside though inside its hull.
NOTCHED = (
    (0.0, 0.0),
    (0.3, 0.0),
    (0.3, 0.6),
    (0.7, 0.6),
    (0.7, 0.0),
    (1.0, 0.0),
    (1.0, 1.0),
    (0.0, 1.0),
)


@pytest.mark.parametrize(
    ("polygon", "x", "y", "expected"),
    [
        (SQUARE, 0.5, 0.5, True),
        (SQUARE, 0.1, 0.5, False),
        (SQUARE, 0.5, 0.9, False),
        (NOTCHED, 0.5, 0.3, False),
        (NOTCHED, 0.5, 0.8, True),
        (NOTCHED, 0.1, 0.1, True),
    ],
)
def test_a_point_is_inside_by_the_even_odd_rule(
    polygon: tuple[tuple[float, float], ...], x: float, y: float, expected: bool
) -> None:
    assert is_inside(polygon, x, y) is expected


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_way_round_does_not_matter(x: float, y: float) -> None:
    assert is_inside(NOTCHED, x, y) == is_inside(NOTCHED[::-1], x, y)


def test_a_foot_below_the_frame_stands_at_its_edge() -> None:
    """A person cut off by the lower edge has its foot on the edge, or past it by rounding."""
    zone = ZoneSettings(name="floor", polygon=((0, 0.5), (1, 0.5), (1, 1), (0, 1)))
    assert zones_at([zone], Point(50, 100.4), "person", SIZE) == {"floor"}


def test_a_border_needs_patience_in_and_out() -> None:
    zone = ZoneSettings(name="mat", polygon=SQUARE, inertia_s=0.5)
    presence = ZonePresence([zone])

    def stand(x: float, time_s: float) -> tuple[str, ...]:
        presence.update(Point(x, 50), "person", SIZE, nanoseconds(time_s))
        return presence.inside

    assert stand(50, 0.0) == ()
    assert stand(10, 0.3) == ()  # out again: the doubt is forgotten
    assert stand(50, 0.6) == ()
    assert stand(50, 1.1) == ("mat",)
    assert stand(10, 1.2) == ("mat",)
    assert stand(10, 1.7) == ()
    assert presence.entered == ("mat",)
