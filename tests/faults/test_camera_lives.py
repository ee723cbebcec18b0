"""Each fault of a stick, for a second, on the whole camera in a process of its own.

One camera lives through all of them in turn. `python -m tools.faults` inflicts them for
longer, on a fresh camera each, and makes the table in docs/reliability.md.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tools.edgetpu_sim.build import compiler
from tools.faults.faults import FAULTS, Fault, fault_named
from tools.faults.measure import Outcome
from tools.faults.rig import Rig
from tools.faults.trial import settled, try_fault, wait_busy

pytestmark = pytest.mark.skipif(
    compiler() is None, reason="the simulated Edge TPU needs a C compiler"
)

HOLD_S = 1.0
# It gives twelve a second; less, because machines that run tests are busy.
LEAST_ANSWERS_PER_S = 8.0
# So quick that nobody prefers the CPU, however busy the machine is.
LATENCY_MS = 1.0


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """A camera whose stick is plugged in later."""
    with Rig(
        tmp_path_factory.mktemp("faults") / "rig", is_plugged=False, latency_ms=LATENCY_MS
    ) as rig:
        yield rig


@pytest.fixture(scope="module")
def stick_came(rig: Rig) -> Outcome:
    """What came of plugging the stick in; every other fault needs it."""
    outcome = try_fault(rig, fault_named("gone-at-boot"), LEAST_ANSWERS_PER_S, hold_s=HOLD_S)
    settled(rig, 1.0)
    return outcome


def keeps_its_promises(outcome: Outcome) -> None:
    """Held to what is promised, not to how quick this machine is: both limits are generous."""
    assert outcome.exits == 0
    assert outcome.back_s is not None, outcome
    assert outcome.blind_s < 2.0, outcome
    assert not {"failed", "no_device"} & set(outcome.shed), outcome


def test_a_stick_that_was_gone_at_boot_is_used_once_it_is_plugged_in(stick_came: Outcome) -> None:
    keeps_its_promises(stick_came)


@pytest.mark.parametrize(
    "fault",
    [fault for fault in FAULTS if not fault.is_at_boot],
    ids=lambda fault: fault.name,
)
def test_the_camera_sees_through_the_fault_and_uses_the_stick_again(
    rig: Rig, stick_came: Outcome, fault: Fault
) -> None:
    keeps_its_promises(stick_came)
    wait_busy(rig, LEAST_ANSWERS_PER_S)
    lost = len(rig.heard.lost_s)
    outcome = try_fault(rig, fault, LEAST_ANSWERS_PER_S, hold_s=HOLD_S)
    keeps_its_promises(outcome)
    # The fault was there at all: without it, all of this would say nothing.
    assert not fault.breaks or len(rig.heard.lost_s) > lost


def test_the_camera_that_went_through_all_of_it_ends_in_order(rig: Rig) -> None:
    assert rig.is_running
    assert rig.end(signal.SIGTERM) == 0
