"""The filter follows, does not care about frame rates, and stays finite."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from camera_app.tracking.motion_model import FADE_S, MotionModel

S = 1_000_000_000
ONE = np.array([0])


def box(x: float, y: float = 100.0, width: float = 40.0, height: float = 100.0) -> np.ndarray:
    half = (width / 2, height / 2)
    return np.array([[x - half[0]], [y - half[1]], [x + half[0]], [y + half[1]]])


def correct(model: MotionModel, time_ns: int, seen: np.ndarray, noise: float = 1.0) -> None:
    model.correct(ONE, model.predict(time_ns), seen, np.array([noise]))


def walked(times_s: np.ndarray, speed: float) -> MotionModel:
    """Return a model of one object that was seen at these times, going right steadily."""
    model = MotionModel()
    model.start(box(speed * times_s[0]), round(times_s[0] * S))
    for time_s in times_s[1:]:
        correct(model, round(time_s * S), box(speed * time_s))
    return model


@pytest.mark.parametrize("fps", [10.0, 5.0, 10 / 3, 2.0])
def test_a_steady_walk_is_known_at_any_frame_rate(fps: float) -> None:
    model = walked(np.arange(0, 4.0 + 1e-6, 1 / fps), speed=60.0)
    believed = model.predict(round(4.0 * S))

    assert believed.velocity[0, 0] == pytest.approx(60.0, rel=0.25)
    assert believed.centre[0, 0] == pytest.approx(240.0, abs=8.0)
    assert believed.centre[1, 0] == pytest.approx(100.0)


def test_predicting_changes_nothing() -> None:
    model = walked(np.arange(0, 2.0, 0.1), speed=60.0)
    before = model.predict(5 * S).centre.copy()
    for later in range(2 * S, 5 * S, S // 7):
        model.predict(later)

    assert model.predict(5 * S).centre.tolist() == before.tolist()


def test_an_unseen_object_does_not_run_away() -> None:
    """Speed fades: after any time it has gone at most its last speed times the fade time."""
    model = walked(np.arange(0, 2.0, 0.1), speed=60.0)
    last = model.predict(round(1.9 * S))
    speed = last.velocity[0, 0]

    gone = model.predict(10_000 * S).centre[0, 0] - last.centre[0, 0]

    assert 0 < gone <= speed * FADE_S * 1.0001


def test_a_noisy_detection_moves_a_track_less() -> None:
    moved = []
    for noise in (1.0, 10.0):
        model = walked(np.arange(0, 1.0, 0.1), speed=0.0)
        correct(model, S, box(20.0), noise)
        moved.append(model.predict(S).centre[0, 0])

    assert 0 < moved[1] < moved[0] < 20.0


def test_each_track_is_corrected_by_its_own_detection() -> None:
    model = MotionModel()
    model.start(np.concatenate((box(0.0), box(500.0), box(900.0)), axis=1), 0)
    pair = np.concatenate((box(910.0), box(10.0)), axis=1)

    model.correct(np.array([2, 0]), model.predict(S), pair, np.ones(2))

    x = model.predict(S).centre[0]
    assert 5.0 < x[0] <= 10.0
    assert x[1] == 500.0
    assert 905.0 < x[2] <= 910.0


def test_keeping_some_forgets_the_others() -> None:
    model = MotionModel()
    model.start(np.concatenate((box(0.0), box(500.0)), axis=1), 0)
    model.keep(np.array([False, True]))

    assert len(model) == 1
    assert model.predict(0).centre[0].tolist() == [500.0]


places = st.floats(-1e6, 1e6)
steps = st.lists(
    st.tuples(st.integers(0, 10**15), places, places, st.floats(0.01, 1e5), st.floats(0.01, 1e5)),
    min_size=1,
    max_size=12,
)


@given(steps, st.integers(0, 10**18))
def test_no_input_makes_the_belief_anything_but_finite(
    seen: list[tuple[int, float, float, float, float]], later_ns: int
) -> None:
    """Pauses of nothing or of days, leaps across the picture, dots and giants."""
    model = MotionModel()
    now_ns = 0
    model.start(box(0.0), now_ns)
    for pause_ns, *shape in seen:
        now_ns += pause_ns
        correct(model, now_ns, box(*shape))
    believed = model.predict(now_ns + later_ns)

    assert np.isfinite(believed.centre).all()
    assert np.isfinite(believed.velocity).all()
    assert (believed.sides > 0).all()
