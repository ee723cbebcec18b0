"""What happens to processes: aborts, locks, thieves, forks, and no memory lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.edgetpu_sim.conftest import LIMIT_S, Owner, answers, load
from tests.waiting import wait_until
from tools.edgetpu_sim.control import BusyMode, OnUnplug
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.sticks import SimulatedStick, SimulatedSticks

StartOwner = Callable[..., Owner]
LAST_WORDS = "USB transfer error 5 [LibUsbDataInCallback]"
ABORTED = -6

CYCLES = """
import sys
from pathlib import Path
from ai_edge_litert.interpreter import Interpreter, load_delegate
from tools.edgetpu_sim.sticks import SimulatedSticks

def resident_kb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4

stick = SimulatedSticks.attach(Path(sys.argv[2]))["usb0"]
for cycle in range(220):
    if cycle == 20:
        before = resident_kb()
    delegate = load_delegate("libedgetpu.so.1", {"device": "usb:0"})
    interpreter = Interpreter(sys.argv[1], experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    interpreter.invoke()
    stick.unplug()
    try:
        interpreter.invoke()
        sys.exit("it did not notice")
    except RuntimeError:
        pass
    del interpreter, delegate
    stick.plug()
print(resident_kb() - before)
"""
FORK = """
import os, sys
from ai_edge_litert.interpreter import Interpreter, load_delegate

delegate = load_delegate("libedgetpu.so.1", {"device": "usb:0"})
interpreter = Interpreter(sys.argv[1], experimental_delegates=[delegate])
interpreter.allocate_tensors()
child = os.fork()
if child == 0:
    try:
        interpreter.invoke()
        os._exit(1)
    except RuntimeError as error:
        is_named = "opened before a fork" in str(error)
    try:
        load_delegate("libedgetpu.so.1", {"device": "usb:0"})
        os._exit(2)
    except ValueError:
        os._exit(0 if is_named else 3)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
interpreter.invoke()
print(status)
"""


def _run(script: str, *words: str, environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=4 * LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_process_that_asks_an_unplugged_stick_aborts(
    sticks: SimulatedSticks, start_owner: StartOwner
) -> None:
    owner = start_owner()
    assert owner.says() == "ready"
    owner.ask()
    assert owner.says() == "answered"
    sticks["usb0"].unplug()
    assert owner.process.poll() is None, "it notices only when it asks"

    owner.ask()

    assert owner.says() == ""
    status, errors = owner.end()
    assert status == ABORTED
    assert LAST_WORDS in errors


def test_an_idle_process_can_abort_at_once(
    sticks: SimulatedSticks, start_owner: StartOwner
) -> None:
    sticks["usb0"].on_unplug = OnUnplug.ABORT_AT_ONCE
    owner = start_owner()
    assert owner.says() == "ready"

    sticks["usb0"].unplug()

    assert owner.says() == ""  # nobody asked it for anything
    assert owner.end()[0] == ABORTED


def test_a_second_process_is_refused(sticks: SimulatedSticks, start_owner: StartOwner) -> None:
    first = start_owner()
    assert first.says() == "ready"

    assert start_owner().says() == "refused"

    first.ask()
    assert first.says() == "answered"


def test_a_second_process_can_take_another_stick(start_owner: StartOwner) -> None:
    assert start_owner("usb:0").says() == "ready"
    assert start_owner("usb:1").says() == "ready"


def test_a_second_process_can_steal(sticks: SimulatedSticks, start_owner: StartOwner) -> None:
    sticks["usb0"].busy_mode = BusyMode.STEAL
    sticks["usb0"].on_unplug = OnUnplug.ABORT_AT_ONCE
    first = start_owner()
    assert first.says() == "ready"

    second = start_owner()

    assert second.says() == "ready"
    assert first.end()[0] == ABORTED
    second.ask()
    assert second.says() == "answered"
    assert sticks["usb0"].owner_pid == second.process.pid


def test_a_stolen_stick_is_lost_until_it_is_given_back(
    sticks: SimulatedSticks, start_owner: StartOwner
) -> None:
    sticks["usb0"].on_unplug = OnUnplug.ABORT_AT_ONCE
    owner = start_owner()
    assert owner.says() == "ready"

    with sticks["usb0"].stolen(limit_s=LIMIT_S):
        assert owner.end()[0] == ABORTED
        assert start_owner().says() == "refused"

    assert start_owner().says() == "ready"


def test_an_owner_that_holds_on_is_named_to_the_thief(
    stick: SimulatedStick, compiled: Path
) -> None:
    interpreter = load(compiled)

    with pytest.raises(SimulationError, match=f"process {os.getpid()} does not let go"):
        stick.stolen(limit_s=0.0).__enter__()
    with pytest.raises(SimulationError, match=f"process {os.getpid()} has it open"):
        stick.occupied().__enter__()

    with pytest.raises(RuntimeError, match="the device is gone"):
        answers(interpreter)


def test_a_killed_owner_leaves_the_stick_free(
    sticks: SimulatedSticks, start_owner: StartOwner
) -> None:
    sticks["usb0"].hang()
    first = start_owner()
    assert first.says() == "ready"
    first.ask()
    assert wait_until(lambda: sticks["usb0"].hung == 1)

    first.process.kill()
    first.end()

    second = start_owner()
    assert second.says() == "ready"
    second.ask()
    assert second.says() == "answered", "only the one answer hung"


def test_a_fork_does_not_own_the_stick(sticks: SimulatedSticks, compiled: Path) -> None:
    assert _run(FORK, str(compiled), environment=sticks.environment()) == "0"


def test_hundreds_of_replugs_cost_no_memory(stick: SimulatedStick, compiled: Path) -> None:
    folder = stick.control.path.parent.parent
    environment = SimulatedSticks.attach(folder).environment()

    grown_kb = int(_run(CYCLES, str(compiled), str(folder), environment=environment))

    assert grown_kb < 1000
