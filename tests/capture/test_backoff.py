from __future__ import annotations

from camera_app.capture.backoff import BackOff


def test_waits_double_up_to_the_cap() -> None:
    back_off = BackOff(random=lambda: 1.0, first_s=0.5, cap_s=3.0)
    assert [back_off.after(0.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_chance_spreads_a_wait_down_to_its_half() -> None:
    assert BackOff(random=lambda: 0.0, first_s=4.0).after(0.0) == 2.0
    assert BackOff(random=lambda: 0.5, first_s=4.0).after(0.0) == 3.0


def test_a_source_that_worked_for_a_while_begins_anew() -> None:
    back_off = BackOff(random=lambda: 1.0, first_s=1.0, healthy_s=10.0)
    assert [back_off.after(0.0), back_off.after(9.9), back_off.after(10.0)] == [1.0, 2.0, 1.0]


def test_years_of_failures_do_not_overflow() -> None:
    back_off = BackOff(random=lambda: 1.0, cap_s=30.0)
    assert [back_off.after(0.0) for _ in range(5000)][-1] == 30.0


def test_where_trying_is_hopeless_the_wait_is_the_longest_at_once() -> None:
    assert BackOff(random=lambda: 1.0, cap_s=30.0).longest() == 30.0
