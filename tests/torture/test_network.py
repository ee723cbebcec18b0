"""What networks and clocks do, done to a real broker's connection; then the checker judges."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.conftest import Choice
from tests.torture.listener import Listener
from tests.torture.nursery import findings
from tests.torture.proxy import FaultProxy
from tests.torture.service import HOUR_NS, Service, SteppedClock
from tests.waiting import wait_until


@pytest.fixture
def proxy(broker: Mosquitto) -> Iterator[FaultProxy]:
    with FaultProxy(broker.port) as proxy:
        yield proxy


def test_nothing_is_lost_at_a_cut_after_any_byte(
    proxy: FaultProxy, listener: Listener, choice: Choice, tmp_path: Path
) -> None:
    """From the first byte of the greeting to the last of an event: each is the last of one."""
    with Service(tmp_path, proxy.port, "cut") as service:
        service.commit([1])
        service.drain()
        longest = proxy.passed
        tried = choice.of(range(1, longest + 1), 8)
        for number, cut_after in enumerate(tried, start=2):
            proxy.faults.cut_after = cut_after
            proxy.drop()
            service.commit([number])
            assert wait_until(lambda at=number: service.publisher.stats().acknowledged >= at)
        service.drain()
    assert longest > 500
    assert service.publisher.stats().reconnects >= len(tried)
    assert findings(tmp_path, listener, "cut") == []


def test_nothing_is_lost_when_connections_are_dropped_and_refused(
    proxy: FaultProxy, listener: Listener, tmp_path: Path
) -> None:
    proxy.faults.answer_delay_s = 0.01
    with Service(tmp_path, proxy.port, "dropped", window=20) as service:
        for first in range(1, 400, 100):
            service.commit(range(first, first + 100))
            assert wait_until(lambda at=first: service.publisher.stats().acknowledged > at)
            proxy.refuse()
            proxy.drop()
            service.commit(range(first + 1000, first + 1020), camera="yard")
            assert wait_until(lambda: service.publisher.stats().state == "unreachable")
            proxy.accept()
        service.drain()
    assert service.publisher.stats().reconnects >= 4
    assert findings(tmp_path, listener, "dropped") == []


def test_a_connection_that_stands_and_carries_nothing_is_left(
    proxy: FaultProxy, listener: Listener, tmp_path: Path
) -> None:
    """Half open, as after a router lost its table: nobody says that it is over."""
    with Service(tmp_path, proxy.port, "halfopen", acknowledge_limit_s=0.3) as service:
        service.commit(range(1, 50))
        service.drain()
        proxy.faults.swallows = True
        service.commit(range(50, 100))
        assert wait_until(lambda: service.publisher.stats().reconnects > 0)
        proxy.faults.swallows = False
        service.drain()
    assert findings(tmp_path, listener, "halfopen") == []


def test_publishes_that_disappear_are_sent_again(
    proxy: FaultProxy, listener: Listener, tmp_path: Path
) -> None:
    proxy.faults.swallows_publishes = True
    with Service(tmp_path, proxy.port, "swallowed", acknowledge_limit_s=0.3) as service:
        service.commit(range(1, 50))
        assert wait_until(lambda: service.publisher.stats().reconnects > 1)
        assert service.store.stats().backlog == 49
        proxy.faults.swallows_publishes = False
        service.drain()
    assert findings(tmp_path, listener, "swallowed") == []


@pytest.mark.parametrize(
    ("delay_s", "answer_delay_s"),
    [
        (0.02, 0.05),
        pytest.param(0.05, 0.0, marks=pytest.mark.torture),
        pytest.param(0.0, 0.3, marks=pytest.mark.torture),
    ],
)
def test_a_slow_way_and_slow_acknowledgements_only_take_longer(
    proxy: FaultProxy, listener: Listener, tmp_path: Path, delay_s: float, answer_delay_s: float
) -> None:
    proxy.faults.delay_s, proxy.faults.answer_delay_s = delay_s, answer_delay_s
    device = f"slow{delay_s}-{answer_delay_s}".replace(".", "")
    with Service(tmp_path, proxy.port, device, window=50) as service:
        service.commit(range(1, 151))
        service.drain()
        assert service.publisher.stats().reconnects == 0
    assert findings(tmp_path, listener, device) == []


def test_packets_that_come_twice_do_no_harm(
    proxy: FaultProxy, listener: Listener, tmp_path: Path
) -> None:
    proxy.faults.duplicates = True
    with Service(tmp_path, proxy.port, "twice", window=30) as service:
        service.commit(range(1, 151))
        service.drain()
    assert findings(tmp_path, listener, "twice") == []
    told = [one for one in listener.of("twice") if one.topic.endswith("/event")]
    assert len(told) > 150


@pytest.mark.parametrize(
    "hours",
    [
        5,
        -5,
        pytest.param(24 * 365 * 50, marks=pytest.mark.torture),
        pytest.param(-24 * 365 * 50, marks=pytest.mark.torture),
    ],
)
def test_a_clock_that_is_set_loses_and_swaps_nothing(
    proxy: FaultProxy, listener: Listener, tmp_path: Path, hours: int
) -> None:
    """By hours, and by what a machine without a battery wakes up with."""
    clock, device = SteppedClock(), f"stepped{hours}".replace("-", "back")
    with Service(tmp_path, proxy.port, device, clock=clock) as service:
        for first in range(1, 200, 50):
            service.commit(range(first, first + 50))
            clock.step_ns = 0 if clock.step_ns else hours * HOUR_NS
            proxy.drop()
        service.drain()
        age_s = service.store.stats().oldest_unsent_age_s
    assert age_s is None or age_s >= 0
    assert findings(tmp_path, listener, device) == []
