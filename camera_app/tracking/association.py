"""Which detection belongs to which track: overlaps of boxes, and the best assignment.

Geometry is computed densely only as far as telling which boxes touch at all; what comes after
works on the few pairs that do. The assignment is exact: pairs that no better solution can avoid
are settled first, and what is left in knots is solved by shortest augmenting paths.

What a pair is worth, and what follows from a match, is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from camera_app.tracking.motion_model import Boxes, Flags, Floats, Integers

EXACT_LIMIT = 64
"""A knot with more rows than this is matched greedily: exactness would cost seconds there."""


def touching(some: Boxes, others: Boxes) -> tuple[Integers, Integers]:
    """Return the index pairs of boxes that overlap, ordered by the first, then the second."""
    overlaps = some[:2, :, None] < others[2:, None, :]  # both axes at once, (2, n, m)
    overlaps &= some[2:, :, None] > others[:2, None, :]
    # flat: several times faster than finding the places in two dimensions
    flat = (overlaps[0] & overlaps[1]).ravel().nonzero()[0]
    return np.divmod(flat, max(others.shape[1], 1))


def iou(some: Boxes, others: Boxes) -> Floats:
    """Return intersection over union of boxes that overlap, pair by pair: (4, n) gives (n,)."""
    inner = np.minimum(some[2:], others[2:]) - np.maximum(some[:2], others[:2])
    sides, other_sides = some[2:] - some[:2], others[2:] - others[:2]
    both = inner[0] * inner[1]
    areas = sides[0] * sides[1] + other_sides[0] * other_sides[1]
    overlap: Floats = both / (areas - both)
    return overlap


class _Pair(NamedTuple):
    """A row and a column that may be matched, what that is worth, and its place in the input."""

    row: int
    column: int
    worth: float
    place: int


def assign(rows: Integers, columns: Integers, worth: Floats) -> Integers:
    """Choose pairs so that no row and no column is used twice and their worth is the greatest.

    Leaving a row or column alone is worth nothing, so every worth must be above zero. Equal
    solutions are told apart by the order of the pairs, never by chance.

    Args:
        rows: Row of each pair, int64 (n,), not negative.
        columns: Column of each pair, int64 (n,), not negative; no pair may come twice.
        worth: float64 (n,), all greater than 0.

    Returns:
        Places of the chosen pairs, rising.
    """
    if not len(rows):
        return rows
    if _none_twice(rows) and _none_twice(columns):
        return np.arange(len(rows))
    sure = _undisputed(rows, columns, worth)
    is_left = ~(_among(rows, sure) | _among(columns, sure))
    left = is_left.nonzero()[0]
    settled: Integers = sure.nonzero()[0]
    if not len(left):
        return settled
    knots = _knots(_pairs(left, rows, columns, worth))
    solved = [pair.place for knot in knots for pair in _solve_knot(knot)]
    return np.array(sorted(settled.tolist() + solved), np.int64)


def _none_twice(sides: Integers) -> bool:
    return bool(np.bincount(sides).max() == 1)


def _undisputed(rows: Integers, columns: Integers, worth: Floats) -> Flags:
    """Tell which pairs belong to every best solution, whatever becomes of the others.

    A solution without such a pair spends at most the next best of its row and of its column on
    those two; together they are worth less, so the pair could take their place.
    """
    best_of_row, next_of_row = _two_best(rows, worth)
    best_of_column, next_of_column = _two_best(columns, worth)
    sure: Flags = worth > next_of_row + next_of_column
    sure &= worth == best_of_row
    sure &= worth == best_of_column
    return sure


def _two_best(sides: Integers, worth: Floats) -> tuple[Floats, Floats]:
    """Return for each pair the greatest and the next worth in its row (or column)."""
    best = np.zeros(sides.max() + 1)
    np.maximum.at(best, sides, worth)
    best_of_pair = best[sides]
    is_best = worth == best_of_pair
    lesser = np.zeros(len(best))
    np.maximum.at(lesser, sides, np.where(is_best, 0.0, worth))
    is_tied = np.bincount(sides, is_best) > 1.0
    return best_of_pair, np.where(is_tied, best, lesser)[sides]


def _among(sides: Integers, chosen: Flags) -> Flags:
    """Tell for each pair whether its row (or column) is that of one of the chosen pairs."""
    is_used = np.zeros(sides.max() + 1, np.bool_)
    is_used[sides[chosen]] = True
    return is_used[sides]


def _pairs(places: Integers, rows: Integers, columns: Integers, worth: Floats) -> list[_Pair]:
    fields = (rows[places], columns[places], worth[places], places)
    return list(map(_Pair, *(field.tolist() for field in fields)))


def _knots(pairs: list[_Pair]) -> list[list[_Pair]]:
    """Return the pairs in groups that share no row and no column."""
    parent: dict[int, int] = {}

    def root(node: int) -> int:
        while parent.setdefault(node, node) != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for pair in pairs:
        parent[root(pair.row)] = root(~pair.column)  # ~: columns stand as negative numbers
    knots: dict[int, list[_Pair]] = {}
    for pair in pairs:
        knots.setdefault(root(pair.row), []).append(pair)
    return list(knots.values())


def _solve_knot(knot: list[_Pair]) -> list[_Pair]:
    wishes = _best_of_rows(knot)
    if len({pair.column for pair in wishes}) == len(wishes):
        return wishes  # each row has what is best for it, and nobody else wants that
    rows = sorted({pair.row for pair in knot})
    columns = sorted({pair.column for pair in knot})
    if min(len(rows), len(columns)) > EXACT_LIMIT:
        return _greedily(knot)
    place_of_row = {row: place for place, row in enumerate(rows)}
    place_of_column = {column: place for place, column in enumerate(columns)}
    pair_at = {(place_of_row[pair.row], place_of_column[pair.column]): pair for pair in knot}
    costs = [[0.0] * len(columns) for _ in rows]
    for (row, column), pair in pair_at.items():
        costs[row][column] = -pair.worth
    if len(rows) <= len(columns):
        cells = list(enumerate(cheapest_columns(costs)))
    else:
        taken = cheapest_columns(list(zip(*costs, strict=True)))
        cells = [(row, column) for column, row in enumerate(taken)]
    return [pair_at[cell] for cell in cells if cell in pair_at]


def _best_of_rows(knot: list[_Pair]) -> list[_Pair]:
    best: dict[int, _Pair] = {}
    for pair in knot:
        known = best.get(pair.row)
        if known is None or pair.worth > known.worth:
            best[pair.row] = pair
    return list(best.values())


def _greedily(pairs: list[_Pair]) -> list[_Pair]:
    chosen = []
    rows: set[int] = set()
    columns: set[int] = set()
    for pair in sorted(pairs, key=lambda pair: (-pair.worth, pair.place)):
        if pair.row not in rows and pair.column not in columns:
            chosen.append(pair)
            rows.add(pair.row)
            columns.add(pair.column)
    return chosen


def cheapest_columns(costs: Sequence[Sequence[float]]) -> list[int]:
    """Give each row a column of its own so that the sum of costs is the smallest.

    Args:
        costs: Rows of equal length, not more of them than columns.

    Returns:
        The column of each row.

    Source:
        R. Jonker and A. Volgenant, "A shortest augmenting path algorithm for dense and sparse
        linear assignment problems", Computing 38 (1987); the augmentation phase alone.
    """
    width = len(costs[0]) if costs else 0
    row_price = [0.0] * len(costs)
    column_price = [0.0] * width
    row_of = [-1] * width  # which row has this column; -1: none
    for start in range(len(costs)):
        _augment(start, costs, row_price, column_price, row_of)
    taken = [0] * len(costs)
    for column, row in enumerate(row_of):
        if row >= 0:
            taken[row] = column
    return taken


def _augment(
    start: int,
    costs: Sequence[Sequence[float]],
    row_price: list[float],
    column_price: list[float],
    row_of: list[int],
) -> None:
    """Bring one more row in, along the cheapest chain of rows that move over."""
    width = len(column_price)
    distance = [float("inf")] * width
    came_from = [start] * width  # the row from which a column was reached most cheaply
    scanned: list[int] = []
    unscanned = list(range(width))
    row, reached = start, 0.0
    while True:
        base = reached - row_price[row]
        for column in unscanned:
            through = base + costs[row][column] - column_price[column]
            if through < distance[column]:
                distance[column] = through
                came_from[column] = row
        nearest = min(unscanned, key=distance.__getitem__)
        reached = distance[nearest]
        unscanned.remove(nearest)
        if row_of[nearest] < 0:
            break
        scanned.append(nearest)
        row = row_of[nearest]
    row_price[start] += reached
    for column in scanned:
        row_price[row_of[column]] += reached - distance[column]
        column_price[column] -= reached - distance[column]
    _move_over(nearest, start, came_from, row_of)


def _move_over(free: int, start: int, came_from: list[int], row_of: list[int]) -> None:
    """Shift every row on the chain that ends at a free column by one column."""
    column = free
    while True:
        row = came_from[column]
        previous = row_of.index(row) if row != start else -1
        row_of[column] = row
        if row == start:
            return
        column = previous
