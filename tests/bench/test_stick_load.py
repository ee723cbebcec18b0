"""Known answers and changes of weights, from what cameras ask of a stick."""

from __future__ import annotations

import pytest

from camera_app.bench.stick_load import Asking, changes_per_s, checks_per_s

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


def test_two_cameras_with_a_model_each_change_every_other_time() -> None:
    other = Asking(10.0, 1.0, 0.02, FACE)
    assert changes_per_s([ALWAYS, other]) == pytest.approx(20.0 / 2 + 2.0 / 2)


def test_a_model_that_is_hardly_asked_for_is_hardly_ever_in_the_way() -> None:
    rare = Asking(0.1, 1.0, 0.02, FACE)
    assert changes_per_s([ALWAYS, rare]) == pytest.approx(0.1 + 0.1 + 1.0, abs=0.02)
