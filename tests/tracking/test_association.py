"""The assignment is the best there is, and the overlaps are those of the boxes themselves."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camera_app.tracking.association import (
    EXACT_LIMIT,
    assign,
    cheapest_columns,
    iou,
    touching,
)
from camera_app.values import Box

# Few different values, so that ties are common; zero means that the pair may not be made.
worths = st.sampled_from([0.0, 0.0, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0])


@st.composite
def matrices(draw: st.DrawFn, *, largest: int = 5) -> np.ndarray:
    rows = draw(st.integers(1, largest))
    columns = draw(st.integers(1, largest))
    flat = draw(st.lists(worths, min_size=rows * columns, max_size=rows * columns))
    return np.array(flat).reshape(rows, columns)


def chosen_worth(matrix: np.ndarray) -> tuple[float, list[int], list[int]]:
    rows, columns = matrix.nonzero()
    chosen = assign(rows, columns, matrix[rows, columns])
    total = float(matrix[rows, columns][chosen].sum())
    return total, rows[chosen].tolist(), columns[chosen].tolist()


def best_worth(matrix: np.ndarray) -> float:
    upright = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    rows = range(upright.shape[0])
    return max(
        sum(upright[row, column] for row, column in zip(rows, columns, strict=True))
        for columns in permutations(range(upright.shape[1]), len(rows))
    )


@given(matrices())
@settings(max_examples=300, deadline=None)
def test_no_other_choice_is_worth_more(matrix: np.ndarray) -> None:
    total, rows, columns = chosen_worth(matrix)

    assert total == pytest.approx(best_worth(matrix))
    assert len(set(rows)) == len(rows)
    assert len(set(columns)) == len(columns)


@given(matrices(largest=6), st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_fine_grained_worths_are_solved_as_well(matrix: np.ndarray, seed: int) -> None:
    noise = np.random.default_rng(seed).uniform(0.001, 0.01, matrix.shape)
    matrix = np.where(matrix > 0, matrix + noise, 0.0)

    assert chosen_worth(matrix)[0] == pytest.approx(best_worth(matrix))


@pytest.mark.parametrize(
    ("costs", "columns"),
    [
        ([[1.0]], [0]),
        ([[4.0, 1.0], [2.0, 3.0]], [1, 0]),
        ([[1.0, 2.0], [1.0, 5.0]], [1, 0]),  # both want the first; the second row needs it more
        ([[3.0, 1.0, 2.0]], [1]),
        ([[1.0, 2.0, 9.0], [1.0, 9.0, 9.0], [9.0, 1.0, 2.0]], [1, 0, 2]),  # a chain moves over
        ([], []),
    ],
)
def test_cheapest_columns_on_a_table(costs: list[list[float]], columns: list[int]) -> None:
    assert cheapest_columns(costs) == columns


def test_a_greedy_choice_is_not_enough() -> None:
    """The best pair is 0.9, but taking it leaves the other row with nothing."""
    matrix = np.array([[0.9, 0.8], [0.85, 0.0]])

    assert chosen_worth(matrix) == (pytest.approx(1.65), [0, 1], [1, 0])


def test_a_knot_beyond_the_exact_limit_is_still_a_matching() -> None:
    side = EXACT_LIMIT + 20
    matrix = np.random.default_rng(1).uniform(0.5, 1.0, (side, side))

    total, rows, columns = chosen_worth(matrix)

    assert sorted(rows) == sorted(columns) == list(range(side))
    assert total > 0.95 * side  # the best pairs go first: nearly all are worth nearly 1


def test_nothing_to_assign_assigns_nothing() -> None:
    nothing = np.zeros(0, np.int64)
    assert len(assign(nothing, nothing, np.zeros(0))) == 0


corners = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 2))
lengths = st.floats(1, 60, allow_nan=False).map(lambda value: round(value, 2))
boxes = st.lists(
    st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), corners, corners, lengths, lengths),
    min_size=1,
    max_size=8,
)


def rows_of(some: list[Box]) -> np.ndarray:
    return np.array([(b.left, b.top, b.right, b.bottom) for b in some], np.float64).T


@given(boxes, boxes)
@settings(max_examples=100, deadline=None)
def test_overlaps_are_those_of_the_boxes(some: list[Box], others: list[Box]) -> None:
    one, two = rows_of(some), rows_of(others)
    first, second = touching(one, two)
    overlaps = iou(one[:, first], two[:, second])

    found = dict(zip(zip(first.tolist(), second.tolist(), strict=True), overlaps, strict=True))
    for i, box in enumerate(some):
        for j, other in enumerate(others):
            assert found.get((i, j), 0.0) == pytest.approx(box.iou(other), abs=1e-9)
