"""Seats answer every demand, count their work, and survive what networks do."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from camera_app.errors import DeviceError, ModelOutputError
from camera_app.inference import Network
from camera_app.models import ModelPack
from camera_app.scheduling import Answer, CpuSeats, Demand, cpu
from camera_app.threads import STAND_BACK_BY, Closed
from camera_app.values import Box, Detection, Region, Yuv420
from tests.waiting import wait_until

LIMIT_S = 5.0
BURNT_NS = 100_000_000
LUMA = np.zeros((48, 64), np.uint8)
PICTURE = Yuv420(LUMA, LUMA[::2, ::2], LUMA[::2, ::2])
REGION = Region(0, 0, 64, 48)


class ScriptedNetwork:
    """Finds one person whose box tells the region; can be held and made to fail."""

    def __init__(self) -> None:
        self.may_run = threading.Event()
        self.may_run.set()
        self.failure: Exception | None = None
        self.running = threading.Event()

    def prepare(self, picture: Yuv420, region: Region) -> Region:
        return region

    def invoke(self, prepared: Region) -> Region:
        self.running.set()
        assert self.may_run.wait(LIMIT_S)
        if self.failure is not None:
            raise self.failure
        return prepared

    def decode(self, outputs: Region, prepared: Region, *, min_score: float) -> list[Detection]:
        return [Detection(outputs.box, "person", min_score)]


def demand(x: int = 0) -> Demand:
    return Demand("m", PICTURE, Region(x, 0, 10, 10), 0.25)


@pytest.fixture
def network() -> ScriptedNetwork:
    return ScriptedNetwork()


@pytest.fixture
def seats(network: ScriptedNetwork) -> Iterator[CpuSeats]:
    packs = cast("dict[str, ModelPack]", {"m": None})
    seats = CpuSeats(packs, 1, load=lambda _pack: cast(Network, network))
    seats.start()
    yield seats
    network.may_run.set()
    seats.stop()


def test_each_demand_gets_its_own_answer(seats: CpuSeats) -> None:
    answers = [seats.submit(demand(x)) for x in range(0, 40, 2)]
    found = [answer.result(LIMIT_S) for answer in answers]
    assert [one[0].box.left for one in found] == list(range(0, 40, 2))
    assert found[0] == [Detection(Box(0, 0, 10, 10), "person", 0.25)]
    assert (seats.stats.looks, seats.stats.failed) == (20, 0)


def test_a_seat_that_waits_keeps_no_picture(seats: CpuSeats) -> None:
    luma = LUMA.copy()
    lent = weakref.ref(luma)
    asked = replace(demand(), picture=Yuv420(luma, LUMA[::2, ::2], LUMA[::2, ::2]))
    assert seats.submit(asked).result(LIMIT_S)
    del luma, asked
    assert wait_until(lambda: lent() is None)


def test_an_error_of_the_model_reaches_the_caller_and_the_seat_lives_on(
    seats: CpuSeats, network: ScriptedNetwork
) -> None:
    network.failure = ModelOutputError("three tensors where four are expected")
    with pytest.raises(ModelOutputError, match="three tensors"):
        seats.submit(demand()).result(LIMIT_S)
    network.failure = None
    assert seats.submit(demand()).result(LIMIT_S)
    assert seats.stats.failed == 1


def test_a_bug_becomes_a_device_error_and_the_seat_lives_on(
    seats: CpuSeats, network: ScriptedNetwork, caplog: pytest.LogCaptureFixture
) -> None:
    network.failure = ZeroDivisionError("oops")
    with pytest.raises(DeviceError, match="oops"):
        seats.submit(demand()).result(LIMIT_S)
    assert "nobody foresaw" in caplog.text
    network.failure = None
    assert seats.submit(demand()).result(LIMIT_S)


def test_stopping_cancels_what_waits_and_refuses_what_comes(
    seats: CpuSeats, network: ScriptedNetwork
) -> None:
    network.may_run.clear()
    first = seats.submit(demand())
    assert network.running.wait(LIMIT_S)
    second = seats.submit(demand())
    stopper = threading.Thread(target=seats.stop)
    stopper.start()
    with pytest.raises(CancelledError):
        second.result(LIMIT_S)
    network.may_run.set()
    assert first.result(LIMIT_S)
    stopper.join(LIMIT_S)
    with pytest.raises(Closed):
        seats.submit(demand())


def test_seats_work_side_by_side() -> None:
    """Both must be inside the network at once, or neither gets out."""
    both_inside = threading.Barrier(2, timeout=LIMIT_S)

    class Meeting(ScriptedNetwork):
        def invoke(self, prepared: Region) -> Region:
            both_inside.wait()
            return prepared

    packs = cast("dict[str, ModelPack]", {"m": None})
    seats = CpuSeats(packs, 2, load=lambda _pack: cast(Any, Meeting()))
    seats.start()
    answers = [seats.submit(demand()) for _ in range(2)]
    assert all(answer.result(LIMIT_S) for answer in answers)
    seats.stop()


def test_a_network_stands_back_for_the_rest_of_the_service() -> None:
    found: list[int] = []

    class Feeling(ScriptedNetwork):
        def invoke(self, prepared: Region) -> Region:
            found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
            return prepared

    packs = cast("dict[str, ModelPack]", {"m": None})
    seats = CpuSeats(packs, 1, load=lambda _pack: cast(Any, Feeling()))
    seats.start()
    assert seats.submit(demand()).result(LIMIT_S)
    seats.stop()
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert found == [min(19, ours + STAND_BACK_BY)]


def test_all_of_a_look_is_processor_time_at_low_priority(
    seats: CpuSeats, network: ScriptedNetwork
) -> None:
    network.prepare = lambda picture, region: _burnt(region)  # type: ignore[method-assign]
    assert seats.submit(demand()).result(LIMIT_S)
    assert wait_until(lambda: seats.stats.niced_cpu_ns >= BURNT_NS, LIMIT_S)
    assert seats.stats.invoke_cpu_ns < BURNT_NS


def test_a_network_that_may_not_stand_back_is_not_counted_as_if_it_had(
    network: ScriptedNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_by: int) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "nice", forbidden)
    packs = cast("dict[str, ModelPack]", {"m": None})
    seats = CpuSeats(packs, 1, load=lambda _pack: cast(Network, network))
    seats.start()
    assert seats.submit(demand()).result(LIMIT_S)
    seats.stop()
    assert seats.stats.niced_cpu_ns == 0


def _burnt(region: Region) -> Region:
    until_ns = time.thread_time_ns() + BURNT_NS
    while time.thread_time_ns() < until_ns:
        pass
    return region


def test_a_stand_in_is_tried_at_the_start_and_kept_when_it_is_asked_for() -> None:
    loaded: list[str] = []

    def load(pack: ModelPack) -> Network:
        loaded.append(cast(str, pack))
        return cast(Network, ScriptedNetwork())

    packs = cast("dict[str, ModelPack]", {"m": "large", "s": "small"})
    seats = CpuSeats(packs, 2, load=load, stand_ins=["s"])
    seats.start()
    assert loaded == ["small", "large", "large"]
    for _ in range(2):
        assert seats.submit(replace(demand(), model="m")).result(LIMIT_S)
    assert loaded[3:] == []
    assert seats.submit(replace(demand(), model="s")).result(LIMIT_S)
    assert loaded[3:] == ["small"]
    seats.stop()


def test_a_wrong_stand_in_is_known_before_it_is_needed() -> None:
    def load(pack: ModelPack) -> Network:
        if cast(str, pack) == "small":
            raise ModelOutputError("three tensors where four are expected")
        return cast(Network, ScriptedNetwork())

    packs = cast("dict[str, ModelPack]", {"m": "large", "s": "small"})
    with pytest.raises(ModelOutputError, match="three tensors"):
        CpuSeats(packs, 1, load=load, stand_ins=["s"]).start()


class Spare:
    """Two seats that spare memory: what they have loaded, and what may be loaded."""

    def __init__(self) -> None:
        self.networks: list[ScriptedNetwork] = []
        self.may_load = threading.Event()
        self.may_load.set()
        self.failures: list[Exception] = []
        packs = cast("dict[str, ModelPack]", {"m": None})
        self.seats = CpuSeats(packs, 2, load=self._load, is_sparing=True)

    def _load(self, _pack: ModelPack) -> Network:
        assert self.may_load.wait(LIMIT_S)
        if self.networks and self.failures:
            raise self.failures.pop()
        self.networks.append(ScriptedNetwork())
        return cast(Network, self.networks[-1])

    def occupy(self) -> Answer:
        """Have the first seat look until its network may go on."""
        self.networks[0].running.clear()
        self.networks[0].may_run.clear()
        answer = self.seats.submit(demand())
        assert self.networks[0].running.wait(LIMIT_S)
        return answer


@pytest.fixture
def spare() -> Iterator[Spare]:
    spare = Spare()
    spare.seats.start()
    yield spare
    spare.may_load.set()
    for network in spare.networks:
        network.may_run.set()
    spare.seats.stop()


def test_a_seat_that_is_not_needed_loads_no_network(spare: Spare) -> None:
    for _ in range(20):
        assert spare.seats.submit(demand()).result(LIMIT_S)
    assert len(spare.networks) == 1


def test_what_an_answer_calls_forth_needs_no_other_seat(spare: Spare) -> None:
    """As the executor asks: on the seat's own thread, while its answer is being told."""
    second: list[Answer] = []
    first = Answer()
    first.add_done_callback(lambda _: second.append(spare.seats.submit(demand())))
    spare.seats.submit(demand(), first)
    assert wait_until(lambda: bool(second), LIMIT_S)
    assert second[0].result(LIMIT_S)
    assert len(spare.networks) == 1


def test_a_seat_loads_its_networks_when_the_others_are_busy(spare: Spare) -> None:
    first = spare.occupy()
    assert spare.seats.submit(demand()).result(LIMIT_S)
    assert len(spare.networks) == 2
    assert not first.done()


def test_no_demand_waits_for_a_seat_that_still_loads(spare: Spare) -> None:
    first = spare.occupy()
    spare.may_load.clear()
    second = spare.seats.submit(demand())
    spare.networks[0].may_run.set()
    assert first.result(LIMIT_S)
    assert second.result(LIMIT_S)
    assert len(spare.networks) == 1


@pytest.mark.parametrize("failure", [ModelOutputError("the file is another"), ZeroDivisionError()])
def test_a_seat_that_cannot_load_is_told_of_and_tried_again(
    spare: Spare,
    failure: Exception,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cpu, "TRY_AGAIN_S", 0.0)
    spare.failures.append(failure)
    first = spare.occupy()
    second = spare.seats.submit(demand())
    assert wait_until(lambda: "camera-app-cpu-1 stays empty" in caplog.text, LIMIT_S)
    spare.networks[0].may_run.set()
    assert first.result(LIMIT_S)
    assert second.result(LIMIT_S)
    spare.occupy()
    assert wait_until(lambda: spare.seats.submit(demand()).result(LIMIT_S) != [], LIMIT_S)
    assert len(spare.networks) == 2


def test_seats_stop_at_once_though_one_could_not_load(
    spare: Spare, caplog: pytest.LogCaptureFixture
) -> None:
    spare.failures.append(ModelOutputError("the file is another"))
    first = spare.occupy()
    spare.seats.submit(demand())
    assert wait_until(lambda: not spare.failures, LIMIT_S)
    spare.networks[0].may_run.set()
    assert first.result(LIMIT_S)
    spare.seats.stop()
    assert "did not end" not in caplog.text


def test_the_seat_that_was_busy_last_is_called_first() -> None:
    threads: set[str] = set()

    class Telling(ScriptedNetwork):
        def invoke(self, prepared: Region) -> Region:
            threads.add(threading.current_thread().name)
            return prepared

    packs = cast("dict[str, ModelPack]", {"m": None})
    seats = CpuSeats(packs, 3, load=lambda _pack: cast(Any, Telling()))
    seats.start()
    assert seats.submit(demand()).result(LIMIT_S)
    (first,) = threads
    for _ in range(20):
        assert wait_until(lambda: len(seats._idle) == 3, LIMIT_S)
        assert seats.submit(demand()).result(LIMIT_S)
    seats.stop()
    assert threads == {first}
