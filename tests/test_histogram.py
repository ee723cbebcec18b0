"""Values in fixed buckets add up; a share of values is found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.histogram import Histogram, percentile


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


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [
        ([], 0.5, None),
        ([7], 0.99, 7),
        ([1, 2, 3, 4], 0.5, 3),  # as many are below it as are not
        (list(range(100)), 0.95, 95),
        (list(range(100)), 1.0, 99),  # the largest: none has all below it
    ],
)
def test_a_percentile_has_that_share_below_it(
    values: list[int], share: float, expected: int | None
) -> None:
    assert percentile(values, share) == expected
