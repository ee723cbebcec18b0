"""What a device does for a region, step by step."""

from __future__ import annotations

import pytest

from camera_app.scheduling.look_times import LookStep, LookTimes


def test_each_step_lasts_from_one_moment_to_the_next() -> None:
    times = LookTimes()
    times.observe(1_000_000, 2_000_000, 10_000_000, 10_500_000)
    took = {step: one.total for step, one in times.distributions().items()}
    wanted = {LookStep.TENSOR: 0.001, LookStep.INVOKE: 0.008, LookStep.BOXES: 0.0005}
    assert took == pytest.approx(wanted)
