"""Known answers, changes of weights, and what the processor takes off a stick."""

from __future__ import annotations

from dataclasses import replace

import pytest

from camera_app.bench.stick_load import (
    Asking,
    Crowd,
    StickWork,
    changes_per_s,
    checks_per_s,
    share_of_stick,
)

PERSON, FACE = frozenset({"person"}), frozenset({"face"})
ALWAYS = Asking(fps=10.0, looked_share=1.0, least_share=0.02, models=PERSON)


@pytest.mark.parametrize(
    ("looked", "least", "used"),
    [
        (1.0, 0.02, 1.0),
        (1.0, 1.0, 1.0),  # without a motion gate
        (0.02, 0.02, 0.1),  # nothing moves: a look every five seconds, in one of ten half seconds
        (0.51, 0.02, 0.55),  # something moves for half the time
    ],
)
def test_a_stick_is_used_while_something_moves_and_for_looks_again(
    looked: float, least: float, used: float
) -> None:
    assert Asking(10.0, looked, least, PERSON).used_share == pytest.approx(used)


def test_a_stick_in_use_is_asked_twice_a_second_and_an_idle_one_now_and_then() -> None:
    idle = Asking(10.0, 0.0, 0.0, PERSON)
    assert checks_per_s([ALWAYS]) == checks_per_s([ALWAYS, idle]) == 2.0
    assert checks_per_s([]) == checks_per_s([idle]) == 0.1
    half = Asking(10.0, 0.5, 0.0, PERSON)
    assert checks_per_s([half, half]) == pytest.approx(0.75 * 2.0 + 0.25 * 0.1)


def test_one_model_is_never_changed() -> None:
    assert changes_per_s([ALWAYS, ALWAYS]) == changes_per_s([]) == 0.0


def test_two_models_of_one_camera_change_once_a_frame() -> None:
    both = Asking(10.0, 1.0, 0.02, PERSON | FACE)
    assert changes_per_s([both]) == pytest.approx(10.0 + 2.0 / 2)


def test_two_cameras_with_a_model_each_change_every_time() -> None:
    """They keep time: between two frames of the one there is always one of the other."""
    other = Asking(10.0, 1.0, 0.02, FACE)
    assert changes_per_s([ALWAYS, other]) == pytest.approx(20.0 + 2.0 / 2)


def test_of_three_cameras_the_one_that_is_unlike_changes_it_twice_a_round() -> None:
    """Whatever the order, it has one of the others before it and one after it."""
    other = Asking(10.0, 1.0, 0.02, FACE)
    assert changes_per_s([ALWAYS, other, ALWAYS]) == pytest.approx(20.0 + 2.0 / 2)


def test_a_camera_that_often_sees_nothing_is_not_always_in_between() -> None:
    other = Asking(10.0, 0.5, 0.02, FACE)
    for_always, for_other = 10.0 * 0.5, 5.0 * 1.0
    assert changes_per_s([ALWAYS, other]) == pytest.approx(for_always + for_other + 1.0)


def test_a_model_that_is_hardly_asked_for_is_hardly_ever_in_the_way() -> None:
    rare = Asking(0.1, 1.0, 0.02, FACE)
    assert changes_per_s([ALWAYS, rare]) == pytest.approx(0.1 + 0.1 + 1.0, abs=0.02)


def work(**more: float) -> dict[str, StickWork]:
    """Return 20 regions a second of 10 ms, which take the processor 50."""
    usual = {"per_s": 20.0, "stick_ms": 10.0, "change_ms": 0.0, "cpu_ms": 50.0}
    return {"person": StickWork(**(usual | more))}


TWO = Crowd((10.0, 10.0))


def test_a_slow_processor_takes_nothing_off_a_stick() -> None:
    share = share_of_stick(work(), TWO, 0.02, 0.95)
    assert (share.duty, share.least, share.most) == pytest.approx((0.22, 0.22, 0.22))
    assert share.taken_per_s == pytest.approx({"person": 20.0})


def test_a_quick_processor_answers_what_finds_the_stick_busy_with_another_camera() -> None:
    """Of what finds it busy all is lost; half of what is under way is of the other camera."""
    share = share_of_stick(work(cpu_ms=8.0), TWO, 0.0, 0.95)
    assert share.duty == pytest.approx(0.2 / (1 + 0.2 / 2))
    assert share.taken_per_s["person"] == pytest.approx(share.duty / 0.010)
    assert (share.least, share.most) == pytest.approx((0.1, 0.2))


def test_a_stick_that_has_one_camera_alone_never_changes_weights() -> None:
    one = replace(work(cpu_ms=8.0)["person"], change_ms=5.0)
    share = share_of_stick({"person": one}, TWO, 0.0, 0.95)
    assert (share.least, share.most) == pytest.approx((0.1, 0.3))


def test_one_camera_never_finds_the_stick_busy_with_its_own_frame() -> None:
    share = share_of_stick(work(cpu_ms=8.0), Crowd((20.0,)), 0.0, 0.95)
    assert (share.duty, share.least, share.most) == pytest.approx((0.2, 0.2, 0.2))


def test_of_two_regions_of_a_frame_a_quick_processor_takes_one() -> None:
    share = share_of_stick(work(cpu_ms=8.0), Crowd((20.0,), together=2.0), 0.0, 0.95)
    assert share.duty == pytest.approx(0.1)
    assert share.taken_per_s == pytest.approx({"person": 10.0})


def test_a_stick_that_is_much_slower_than_the_processor_is_only_tried() -> None:
    """Every two seconds, whatever is asked for; and which is slower is not sure near the limit."""
    share = share_of_stick(work(cpu_ms=5.0, stick_ms=40.0), TWO, 0.02, 0.95)
    assert share.duty == pytest.approx(0.02 + 0.5 * 0.040)
    assert share.taken_per_s == {}
    near = share_of_stick(work(cpu_ms=5.0, stick_ms=14.0), TWO, 0.0, 0.95)
    assert near.least == pytest.approx(0.5 * 0.014)
    assert near.most == pytest.approx(20 * 0.014)


def test_another_stick_that_is_idle_takes_what_finds_the_first_busy() -> None:
    share = share_of_stick(work(other_stick_ms=10.0), TWO, 0.0, 0.95)
    assert share.taken_per_s["person"] < 20.0


def test_no_stick_is_busy_for_longer_than_there_is_time() -> None:
    share = share_of_stick(work(per_s=200.0), TWO, 0.05, 0.95)
    assert share.duty == share.most == 0.95
    assert share.taken_per_s["person"] == pytest.approx(90.0)


def test_nothing_is_asked_of_a_stick_without_work() -> None:
    assert share_of_stick({}, Crowd(()), 0.001, 0.95).duty == pytest.approx(0.001)
