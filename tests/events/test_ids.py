"""Names of events sort by time and repeat where they must."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from camera_app.events import event_id, random_bits, seeded_bits

MOMENTS = st.integers(0, 4_000_000_000_000_000_000)
BITS = st.integers(0, (1 << 74) - 1)


@given(MOMENTS, BITS)
def test_an_id_is_a_uuid_of_version_7_that_carries_its_milliseconds(
    wall_ns: int, bits: int
) -> None:
    uuid = UUID(event_id(wall_ns, bits))
    assert uuid.version == 7
    assert uuid.int >> 80 == wall_ns // 1_000_000


@given(MOMENTS, MOMENTS, BITS, BITS)
def test_ids_sort_as_their_times_do(early: int, late: int, bits: int, others: int) -> None:
    early, late = sorted((early, late))
    if early // 1_000_000 < late // 1_000_000:
        assert event_id(early, bits) < event_id(late, others)


@given(BITS, BITS)
def test_no_random_bit_is_lost(one: int, other: int) -> None:
    assert (event_id(0, one) == event_id(0, other)) == (one == other)


def test_a_seed_repeats_itself_and_differs_from_another() -> None:
    first, again, other = seeded_bits("a"), seeded_bits("a"), seeded_bits("b")
    numbers = [first() for _ in range(5)]
    assert numbers == [again() for _ in range(5)]
    assert len(set(numbers) | {other()}) == 6


def test_random_bits_fit() -> None:
    assert all(random_bits() < 1 << 74 for _ in range(100))
