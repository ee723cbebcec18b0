from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.store.gaps import TOO_MANY, TOO_OLD
from camera_app.store.retention import (
    NS_PER_DAY,
    TRUSTED_FROM_NS,
    Doomed,
    LedgerRow,
    OldestRows,
    oldest_kept_wall_ns,
    rows_to_remove,
)

DAY_0_NS = TRUSTED_FROM_NS


def days(*numbers: float) -> list[LedgerRow]:
    """Return rows numbered from 1, that many days after the first trusted moment."""
    return [LedgerRow(i, DAY_0_NS + round(n * NS_PER_DAY)) for i, n in enumerate(numbers, 1)]


def removed(oldest: OldestRows, *, excess: int, oldest_wall_ns: int) -> tuple[Doomed, ...]:
    return rows_to_remove(oldest, excess=excess, why=TOO_MANY, oldest_wall_ns=oldest_wall_ns)


def numbers(gone: tuple[Doomed, ...]) -> tuple[int, ...]:
    return tuple(one.row for one in gone)


@pytest.mark.parametrize(
    ("settled", "unsettled", "excess", "oldest_day", "gone"),
    [
        (days(1, 2, 3), [], 0, 0, ()),
        (days(1, 2, 3), [], 0, 2.5, (1, 2)),
        (days(1, 2, 3), [], 1, 0, (1,)),
        (days(1, 2, 3), [], 1, 2.5, (1, 2)),  # the stricter of both limits decides
        ([], days(1, 2, 3), 0, 2.5, (1, 2)),  # too old, and no settled row is over a limit
        ([], days(1, 2, 3), 2, 0, (1, 2)),
        (days(1), [LedgerRow(9, DAY_0_NS)], 1, 0, (1,)),  # the younger settled one goes first
        (days(1), [LedgerRow(9, DAY_0_NS)], 2, 0, (1, 9)),
    ],
)
def test_rows_go_by_age_and_by_number(
    settled: list[LedgerRow],
    unsettled: list[LedgerRow],
    excess: int,
    oldest_day: float,
    gone: tuple[int, ...],
) -> None:
    oldest = OldestRows(settled, unsettled, is_all_settled=True)
    limit_ns = DAY_0_NS + round(oldest_day * NS_PER_DAY)

    assert numbers(removed(oldest, excess=excess, oldest_wall_ns=limit_ns)) == gone


def test_each_row_goes_for_its_own_reason() -> None:
    oldest = OldestRows(days(1, 2, 3), [], is_all_settled=True)

    gone = removed(oldest, excess=2, oldest_wall_ns=DAY_0_NS + round(1.5 * NS_PER_DAY))

    assert gone == (Doomed(1, TOO_OLD), Doomed(2, TOO_MANY))


def test_untold_rows_stay_while_more_settled_ones_may_follow() -> None:
    oldest = OldestRows(days(1, 2), [LedgerRow(9, DAY_0_NS)], is_all_settled=False)

    assert numbers(removed(oldest, excess=5, oldest_wall_ns=0)) == (1, 2)


def test_a_row_stamped_before_the_date_was_known_waits_for_the_next_that_goes() -> None:
    rows = [LedgerRow(1, 5), LedgerRow(2, DAY_0_NS), LedgerRow(3, DAY_0_NS + 9 * NS_PER_DAY)]
    oldest = OldestRows(rows, [], is_all_settled=True)

    too_old = DAY_0_NS + NS_PER_DAY
    assert numbers(removed(oldest, excess=0, oldest_wall_ns=too_old)) == (1, 2)
    alone = OldestRows(rows[:1], [], is_all_settled=True)
    assert removed(alone, excess=0, oldest_wall_ns=too_old) == ()


def test_nothing_is_too_old_while_the_date_is_not_known() -> None:
    assert oldest_kept_wall_ns(5, max_days=1) == 0
    assert oldest_kept_wall_ns(DAY_0_NS + 3 * NS_PER_DAY, max_days=1) == DAY_0_NS + 2 * NS_PER_DAY


@dataclass
class LedgerModel:
    """A ledger in memory, on which retention is applied batch by batch."""

    rows: dict[int, tuple[int, bool]]  # row -> stamp, is settled
    batch: int
    order: list[tuple[int, bool]] = field(default_factory=list)  # removed: row, was settled

    def oldest(self) -> OldestRows:
        settled = [LedgerRow(r, at) for r, (at, done) in self.rows.items() if done]
        unsettled = [LedgerRow(r, at) for r, (at, done) in self.rows.items() if not done]
        first = settled[: self.batch]
        return OldestRows(first, unsettled[: self.batch], len(first) < self.batch)

    def apply(self, max_rows: int, oldest_wall_ns: int) -> None:
        while True:
            excess = len(self.rows) - max_rows
            gone = numbers(removed(self.oldest(), excess=excess, oldest_wall_ns=oldest_wall_ns))
            if not gone:
                return
            self.order += [(row, self.rows.pop(row)[1]) for row in gone]


@given(
    ages=st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=60),
    batch=st.integers(1, 10),
    max_rows=st.integers(0, 60),
    max_age=st.integers(0, 60),
)
def test_retention_ends_within_its_limits_and_takes_untold_rows_last(
    ages: list[tuple[int, bool]], batch: int, max_rows: int, max_age: int
) -> None:
    stamps = sorted(DAY_0_NS + age for age, _ in ages)
    rows = {
        i: (at, done) for i, (at, (_, done)) in enumerate(zip(stamps, ages, strict=True), start=1)
    }
    oldest_wall_ns = DAY_0_NS + max_age
    model = LedgerModel(dict(rows), batch)

    model.apply(max_rows, oldest_wall_ns)

    assert len(model.rows) <= max_rows
    assert all(at >= oldest_wall_ns for at, _ in model.rows.values())
    for settled in (True, False):
        kind = [row for row, (_, done) in rows.items() if done is settled]
        removed = [row for row, done in model.order if done is settled]
        assert removed == kind[: len(removed)]  # the oldest of its kind first
    untold_for_number = [r for r, done in model.order if not done and rows[r][0] >= oldest_wall_ns]
    if untold_for_number:
        assert not any(done for _, done in model.rows.values())
