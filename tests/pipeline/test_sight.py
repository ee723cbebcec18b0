"""What counts as blind: frames that came and that nobody looked at for too long."""

from __future__ import annotations

from camera_app.clock import nanoseconds
from camera_app.pipeline.sight import Sight


def ns(seconds: float) -> int:
    return nanoseconds(seconds)


def test_a_camera_that_keeps_up_is_never_blind() -> None:
    sight = Sight()
    for number in range(20):
        sight.take(ns(number / 10))
        sight.see(ns(number / 10 + 0.08))
    assert sight.blind_ns(ns(2.0)) == 0


def test_an_outage_counts_whole_from_the_first_frame_that_nobody_saw() -> None:
    sight = Sight()
    for captured_s in (1.0, 1.5, 2.0):
        sight.take(ns(captured_s))
    assert sight.blind_ns(ns(2.0)) == ns(1.0)  # while it lasts, too
    assert sight.blind_ns(ns(2.4)) == ns(1.4)
    sight.see(ns(2.2))
    assert sight.blind_ns(ns(9.0)) == ns(1.2)


def test_a_source_that_brings_nothing_is_not_blindness_of_ours() -> None:
    sight = Sight()
    sight.take(ns(1.0))
    sight.see(ns(1.1))
    sight.take(ns(60.0))
    sight.see(ns(60.1))
    assert sight.blind_ns(ns(60.1)) == 0


def test_what_came_while_the_thread_hangs_counts_as_well() -> None:
    sight = Sight()
    sight.take(ns(1.0))
    assert sight.blind_ns(ns(4.0), came_ns=ns(3.9)) == ns(3.0)


def test_after_the_last_frame_nobody_is_blind_however_long_the_source_is_away() -> None:
    sight = Sight()
    sight.take(ns(1.0))
    sight.take(ns(2.0))  # both were given up
    assert sight.blind_ns(ns(3600.0)) == ns(1.5)
    sight.rest()
    assert sight.blind_ns(ns(3600.0)) == ns(1.5)
    sight.take(ns(3601.0))
    sight.see(ns(3601.1))
    assert sight.blind_ns(ns(3602.0)) == ns(1.5)
    sight.rest()
    assert sight.blind_ns(ns(3700.0)) == ns(1.5)
