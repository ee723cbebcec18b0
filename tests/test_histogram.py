"""Values in fixed buckets add up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.histogram import Histogram


def test_a_value_on_a_bound_is_within_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.0, 1.0, 1.5, 2.0, 2.1):
        histogram.observe(value)
    told = histogram.distribution()
    assert (told.bounds, told.counts, told.count) == ((1.0, 2.0), (2, 2, 1), 5)
    assert told.total == pytest.approx(6.6)


def test_what_was_told_does_not_change_afterwards() -> None:
    histogram = Histogram((1.0,))
    before = histogram.distribution()
    histogram.observe(0.5)
    assert before.count == 0


@given(st.lists(st.floats(0, 100)))
def test_every_value_is_in_one_bucket(values: list[float]) -> None:
    histogram = Histogram((0.5, 5.0, 50.0))
    for value in values:
        histogram.observe(value)
    told = histogram.distribution()
    assert told.count == len(values)
    assert told.counts[0] == sum(value <= 0.5 for value in values)
    assert told.counts[-1] == sum(value > 50.0 for value in values)
