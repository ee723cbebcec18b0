"""Every lever does to a running network what its fault does to a real stick."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.edgetpu_sim.conftest import answers, are_equal, load, load_on_cpu
from tests.waiting import wait_until
from tools.edgetpu_sim.control import OnUnplug
from tools.edgetpu_sim.sticks import SimulatedStick, SimulatedSticks

GONE = r"SIMULATED: the device is gone\.Node number \d+ .*failed to invoke\.$"


class _Asking:
    """A thread that runs a network once."""

    def __init__(self, interpreter: Any) -> None:
        self.error: Exception | None = None
        self._interpreter = interpreter
        self._thread = threading.Thread(target=self._run, name="camera-app-test", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            answers(self._interpreter)
        except RuntimeError as error:
            self.error = error

    def end(self) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive()


def test_an_answer_takes_as_long_as_it_should_and_no_processor(
    stick: SimulatedStick, compiled: Path
) -> None:
    interpreter = load(compiled)
    answers(interpreter)
    stick.latency_us = 60_000
    begun, worked = time.monotonic(), time.thread_time()

    interpreter.invoke()

    assert time.monotonic() - begun >= 0.06
    assert time.thread_time() - worked < 0.03, "it waits, and does not spin"
    assert stick.last_us >= 60_000
    assert stick.busy_us == 60_000


def test_two_networks_on_one_stick_wait_for_each_other(
    stick: SimulatedStick, compiled: Path
) -> None:
    stick.latency_us = 20_000
    both = [load(compiled), load(compiled)]
    begun = time.monotonic()

    for asking in [_Asking(interpreter) for interpreter in both]:
        asking.end()

    assert time.monotonic() - begun >= 0.04
    assert stick.busy_us == 40_000


def test_two_sticks_do_not_wait_for_each_other(sticks: SimulatedSticks, compiled: Path) -> None:
    both = [load(compiled, "usb:0"), load(compiled, "usb:1")]
    sticks["usb0"].hang()
    hanging = _Asking(both[0])
    assert wait_until(lambda: sticks["usb0"].hung == 1)

    answers(both[1])

    assert hanging.is_running
    sticks["usb0"].release()
    hanging.end()


def test_another_network_takes_longer_the_first_time(stick: SimulatedStick, compiled: Path) -> None:
    stick.first_us = 500
    one, other = load(compiled), load(compiled)

    for interpreter in (one, one, other, other, one):
        answers(interpreter)

    assert stick.busy_us == 3 * 500


def test_slow_is_a_factor_on_what_was_set(stick: SimulatedStick) -> None:
    stick.latency_us = 7000
    stick.slow(10)
    assert stick.latency_us == 70_000
    stick.slow(2)
    assert stick.latency_us == 14_000
    stick.slow(1)
    assert stick.latency_us == 7000


def test_the_second_answer_fails_and_the_third_does_not(
    stick: SimulatedStick, two_layers: Path, compiled: Path
) -> None:
    interpreter = load(compiled)
    stick.control["fail_at"], stick.control["fail_n"] = 2, 1

    answers(interpreter)
    with pytest.raises(RuntimeError, match="SIMULATED: the request failed"):
        answers(interpreter)

    assert are_equal(answers(interpreter), answers(load_on_cpu(two_layers)))


def test_as_many_answers_fail_as_were_asked_for(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.fail(2)

    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"SIMULATED: the request failed.*failed to invoke"):
            answers(interpreter)

    answers(interpreter)


def test_answers_fail_until_it_is_off(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.fail(-1)
    for _ in range(5):
        with pytest.raises(RuntimeError):
            answers(interpreter)

    stick.fail(0)

    answers(interpreter)


def test_a_hang_ends_by_itself_after_its_time(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.hang(for_s=0.05)
    begun = time.monotonic()

    answers(interpreter)

    assert time.monotonic() - begun >= 0.05
    answers(interpreter)
    assert stick.hung == 1


def test_other_threads_run_on_while_an_answer_hangs(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.hang()
    asking = _Asking(interpreter)
    assert wait_until(lambda: stick.hung == 1)  # this thread runs, so the other one holds no lock

    assert asking.is_running
    stick.release()
    asking.end()
    assert asking.error is None


def test_a_wedged_stick_hangs_for_every_answer(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.hang(for_s=0.001, times=-1)

    for _ in range(3):
        answers(interpreter)

    assert stick.hung == 3


def test_an_answer_named_by_its_number_hangs(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.control["hang_us"], stick.control["hang_at"] = 1000, 2

    for _ in range(3):
        answers(interpreter)

    assert stick.hung == 1


def test_unplugging_frees_a_hanging_answer_with_an_error(
    stick: SimulatedStick, compiled: Path
) -> None:
    asking = _Asking(load(compiled, "usb:0"))
    asking.end()
    interpreter = load(compiled)
    stick.hang()
    asking = _Asking(interpreter)
    assert wait_until(lambda: stick.hung == 1)

    stick.unplug()

    asking.end()
    assert "the device is gone" in str(asking.error)


def test_an_unplugged_stick_is_an_error(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.unplug()

    with pytest.raises(RuntimeError, match=GONE):
        answers(interpreter)


def test_a_card_that_is_gone_is_an_error_from_the_start(
    sticks: SimulatedSticks, compiled: Path
) -> None:
    interpreter = load(compiled, "pci:0")
    sticks["pci0"].unplug()

    with pytest.raises(RuntimeError, match=GONE):
        answers(interpreter)


def test_a_network_loaded_before_a_replug_stays_dead(stick: SimulatedStick, compiled: Path) -> None:
    old = load(compiled)
    stick.unplug()
    stick.plug()

    with pytest.raises(RuntimeError, match=GONE):
        answers(old)
    shared = load(compiled)  # the process still holds the dead device, and shares it
    with pytest.raises(RuntimeError, match=GONE):
        answers(shared)

    del old, shared
    answers(load(compiled))


def test_a_reset_between_two_answers_is_noticed(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    answers(interpreter)
    stick.reset()

    with pytest.raises(RuntimeError, match=GONE):
        answers(interpreter)


def test_an_unplugged_stick_can_hang(stick: SimulatedStick, compiled: Path) -> None:
    interpreter = load(compiled)
    stick.on_unplug = OnUnplug.HANG
    stick.unplug()
    asking = _Asking(interpreter)
    assert wait_until(lambda: stick.hung == 1)

    stick.release()

    asking.end()
    assert "the device is gone" in str(asking.error)
