"""What the child keeps of the last seconds, and the time of a film."""

from __future__ import annotations

import random

import pytest

from camera_app.capture.pieces import (
    TICKS_PER_S,
    FilmClock,
    Make,
    Piece,
    PieceRing,
    parameters_in,
)
from camera_app.clock import NS_PER_S

MAKE = Make("h264", 64, 48, b"p")
S, MS = NS_PER_S, NS_PER_S // 1000


def piece(at_s: float, *, is_key: bool = False, size: int = 100) -> Piece:
    ticks = round(at_s * TICKS_PER_S)
    return Piece(bytes(size), round(at_s * NS_PER_S), ticks, ticks, is_key, MAKE)


def ring_with(count: int, *, key_every: int, keep_s: float, limit: int = 10**9) -> PieceRing:
    """A ring that was fed ten pieces a second."""
    ring = PieceRing(keep_s, limit)
    for number in range(count):
        ring.add(piece(number / 10, is_key=number % key_every == 0))
    return ring


def decoded(clock: FilmClock, stream_ms: list[int | None], real_ms: list[int]) -> list[int]:
    """Return in milliseconds when pieces with these stamps are decoded."""
    stamps = [None if one is None else one * MS for one in stream_ms]
    ticks = [clock.ticks(one, one, at * MS)[1] for one, at in zip(stamps, real_ms, strict=True)]
    return [one * 1000 // TICKS_PER_S for one in ticks]


@pytest.mark.parametrize(
    ("stream_ms", "real_ms", "expected"),
    [
        # The stream's own distances hold, whatever the network does to arrival.
        ([500, 600, 700, 800], [0, 10, 300, 310], [0, 100, 200, 300]),
        # A stall in which the camera's clock went on is as long as it was.
        ([0, 100, 30_100], [0, 100, 30_100], [0, 100, 30_100]),
        # A camera that begins anew, and one whose stamps wrap: the real time stands in.
        ([9_000_000, 9_000_100, 0, 100], [0, 100, 200, 300], [0, 100, 200, 300]),
        # A stamp from nowhere.
        ([0, 100, 86_400_000, 86_400_100], [0, 100, 200, 300], [0, 100, 200, 300]),
        # No stamps at all, or some.
        ([None, None, None], [0, 40, 90], [0, 40, 90]),
        ([0, None, 200], [0, 90, 200], [0, 90, 200]),
    ],
)
def test_a_film_has_the_times_that_make_sense(
    stream_ms: list[int | None], real_ms: list[int], expected: list[int]
) -> None:
    assert decoded(FilmClock(), stream_ms, real_ms) == expected


def test_stamps_out_of_order_are_moved_on_and_the_time_line_holds() -> None:
    assert decoded(FilmClock(), [0, 100, 95, 90, 200, 300], [0, 100, 105, 110, 200, 300]) == [
        0,
        100,
        100,  # a tick later
        100,
        200,
        300,
    ]


def test_whatever_a_camera_sends_times_only_rise_and_pictures_are_shown_after_decoding() -> None:
    draw = random.Random(5)
    clock, at_ns, last = FilmClock(), 0, -1
    for _ in range(20_000):
        at_ns += draw.choice((0, 1, 40 * MS, 5 * S))
        shown = draw.choice((None, draw.randrange(-(10**17), 10**17), at_ns))
        stamp = draw.choice((None, shown, draw.randrange(-(10**17), 10**17), at_ns - 80 * MS))
        shown_tick, tick = clock.ticks(shown, stamp, at_ns)
        assert last < tick <= shown_tick <= tick + 5 * TICKS_PER_S
        last = tick


def test_the_time_line_of_a_stream_that_runs_for_days_does_not_drift() -> None:
    """A picture a second for two days, whose stamps wrap as 33 bits of 90 kHz do."""
    clock, wrap = FilmClock(), 2**33
    for second in range(2 * 86_400):
        stamp_ns = (second * TICKS_PER_S + 12_345) % wrap * NS_PER_S // TICKS_PER_S
        _, tick = clock.ticks(stamp_ns, stamp_ns, second * NS_PER_S)
    assert abs(tick - (2 * 86_400 - 1) * TICKS_PER_S) <= 10


def test_the_ring_keeps_its_time_and_begins_with_a_key_picture() -> None:
    ring = ring_with(200, key_every=10, keep_s=5.0)
    pieces = ring.since(0)
    assert pieces[0].is_key
    # 19.9 s is the newest; five seconds before that lies in the second that began at 14.0.
    assert (pieces[0].at_ns, pieces[-1].at_ns) == (14 * S, 19_900 * MS)
    assert (len(ring), ring.size_bytes) == (60, 6000)


def test_what_is_asked_for_begins_with_the_key_picture_before_it() -> None:
    ring = ring_with(50, key_every=10, keep_s=60.0)
    assert ring.since(2_500 * MS)[0].at_ns == 2 * S
    assert ring.since(2 * S)[0].at_ns == 2 * S
    assert ring.since(-5 * S)[0].at_ns == 0
    assert ring.since(4_500 * MS)[0].at_ns == 4 * S
    assert ring_with(5, key_every=10, keep_s=60.0).since(S)[0].at_ns == 0


def test_the_ring_never_holds_more_than_its_bytes() -> None:
    ring = PieceRing(60.0, 10_000)
    draw, most = random.Random(1), 0
    for number in range(5000):
        size = draw.randrange(1, 900)
        ring.add(piece(number / 10, is_key=draw.random() < 0.1, size=size))
        held = ring.since(0)
        most = max(most, ring.size_bytes)
        assert ring.size_bytes == sum(len(one.data) for one in held) <= 10_000
        assert not held or held[0].is_key
    assert most > 5000


def test_a_stream_with_one_key_picture_and_no_end_empties_the_ring_and_begins_anew() -> None:
    ring = PieceRing(60.0, 1000)
    for number in range(50):
        ring.add(piece(number / 10, is_key=number == 0))
    assert (len(ring), ring.size_bytes, ring.since(0)) == (0, 0, [])
    ring.add(piece(6.0, is_key=True))
    assert len(ring) == 1


def test_an_emptied_ring_waits_for_a_key_picture() -> None:
    ring = ring_with(15, key_every=10, keep_s=60.0)
    ring.clear()
    ring.add(piece(2.0))
    assert (len(ring), ring.size_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("codec", "kinds", "expected"),
    [
        ("h264", [0x09, 0x67, 0x68, 0x65], [0x67, 0x68]),
        ("h264", [0x41], []),
        ("hevc", [32 << 1, 33 << 1, 34 << 1, 19 << 1], [32 << 1, 33 << 1, 34 << 1]),
    ],
)
def test_parameter_sets_are_found_before_the_picture(
    codec: str, kinds: list[int], expected: list[int]
) -> None:
    units = [bytes([kind, 1, 2, 3]) for kind in kinds]
    data = b"".join(b"\0\0\1" + unit for unit in units) + bytes(5000)
    found = parameters_in(data, codec)
    assert found == b"".join(b"\0\0\0\1" + bytes([kind, 1, 2, 3]) for kind in expected)
