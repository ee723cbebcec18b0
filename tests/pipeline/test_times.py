"""The steps of a frame are its latency, and a shed frame has only the first of them."""

from __future__ import annotations

import pytest

from camera_app.clock import nanoseconds
from camera_app.pipeline import Step
from camera_app.pipeline.times import Stopwatch


def ns(seconds: float) -> int:
    return nanoseconds(seconds)


def test_the_steps_of_a_frame_add_up_to_its_latency() -> None:
    watch = Stopwatch()
    watch.begin(ns(1.0), ns(1.004))
    for step, at_s in ((Step.GATE, 1.005), (Step.LOOK, 1.025), (Step.TRACK, 1.026)):
        watch.end(step, ns(at_s))
    watch.conclude(ns(1.027))
    times = watch.times()
    took = {step: one.total for step, one in times.steps.items()}
    wanted = {"hand_over": 0.004, "gate": 0.001, "look": 0.02, "track": 0.001, "tell": 0.001}
    assert took == pytest.approx(wanted)
    assert times.latency.total == pytest.approx(sum(wanted.values()))
    assert times.latency.count == 1


def test_a_frame_that_was_shed_leaves_the_next_ones_times_alone() -> None:
    watch = Stopwatch()
    watch.begin(ns(1.0), ns(1.1))
    watch.end(Step.GATE, ns(1.2))  # nothing moved
    watch.begin(ns(2.0), ns(2.3))
    watch.end(Step.GATE, ns(2.4))
    times = watch.times()
    assert times.steps[Step.HAND_OVER].total == pytest.approx(0.4)
    assert times.steps[Step.GATE].total == pytest.approx(0.2)
    assert times.latency.count == 0
