"""What the process of a stick may take of the machine."""

from __future__ import annotations

import resource

from camera_app.inference.edgetpu.child import MEMORY_LIMIT_BYTES
from tests.inference.edgetpu.conftest import LIMIT_S, MakeStick, MakeTwin
from tools.edgetpu_sim.sticks import SimulatedStick


def test_the_process_of_a_stick_lives_under_a_memory_limit(
    simulated: SimulatedStick, make_stick: MakeStick, make_twin: MakeTwin
) -> None:
    make_stick(make_twin()).open(LIMIT_S)
    limit, _ = resource.prlimit(simulated.owner_pid, resource.RLIMIT_DATA)
    assert limit == MEMORY_LIMIT_BYTES
