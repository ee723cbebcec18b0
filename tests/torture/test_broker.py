"""The broker dies, comes late, forgets; the disk is full; the backlog is long. The checker judges.

A subscriber that was away when something was told asks for it: that is part of the promise.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.conftest import Choice
from tests.torture.listener import Listener
from tests.torture.nursery import findings
from tests.torture.proxy import FaultProxy
from tests.torture.service import Service
from tests.waiting import wait_until

Start = Callable[..., Mosquitto]

# Where the hub is there before the broker it waits for its next attempt, and the test with it.
ORDERS = [
    pytest.param(order, marks=pytest.mark.torture if order[0] == "hub" else ())
    for order in itertools.permutations(("broker", "hub", "camera"))
]


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Start]:
    """Return a maker of a broker that a test may kill."""
    made: list[Mosquitto] = []

    def make(*, keeps: bool = False, **options: Any) -> Mosquitto:
        folder = tmp_path / "broker"
        folder.mkdir()
        if keeps:
            options |= {"persistence": "true", "persistence_location": f"{folder}/"}
        made.append(Mosquitto(folder, options))
        return made[-1]

    yield make
    for broker in made:
        broker.stop()


@pytest.mark.parametrize("keeps", [False, pytest.param(True, marks=pytest.mark.torture)])
def test_a_broker_that_is_killed_again_and_again_misses_nothing(
    own_broker: Start, choice: Choice, tmp_path: Path, keeps: bool
) -> None:
    """The hub is let in before the camera: what is told before, nobody would hear."""
    broker = own_broker(keeps=keeps)
    broker.start()
    deaths = 8 if choice.is_long else 2
    with FaultProxy(broker.port) as proxy, Listener(broker.port) as hub:
        proxy.faults.answer_delay_s = 0.01
        with Service(tmp_path / "data", proxy.port, "cam", window=20) as service:
            for first in range(1, deaths * 100, 100):
                service.commit(range(first, first + 100))
                assert wait_until(lambda at=first: service.publisher.stats().acknowledged > at)
                proxy.refuse()
                broker.kill()
                hub.wait_away()
                broker.start()
                hub.wait_subscribed()
                proxy.accept()
            service.drain()
        assert service.publisher.stats().reconnects >= deaths
        assert findings(tmp_path / "data", hub, "cam") == []


def test_what_a_killed_broker_took_along_is_asked_for(own_broker: Start, tmp_path: Path) -> None:
    """It had acknowledged what it held for a hub that was away, and kept nothing of it."""
    broker = own_broker()
    broker.start()
    with Service(tmp_path / "data", broker.port, "cam") as service:
        with Listener(broker.port, qos=1, is_remembered=True) as hub:
            service.commit(range(1, 51))
            service.drain()
        service.commit(range(51, 151))
        service.drain()
        broker.kill()
        broker.start()
        with hub:
            hub.catch_up("cam", "front")
            service.commit(range(151, 161))
            service.drain()
            service.publisher.stop()
            assert findings(tmp_path / "data", hub, "cam") == []
            session = max(one.session for one in hub.of("cam"))
            heard = [one for one in hub.of("cam") if one.session == session]
            assert len([one for one in heard if one.topic.endswith("/answer")]) == 150


def test_a_broker_that_remembers_delivers_what_came_while_the_hub_was_away(
    own_broker: Start, tmp_path: Path
) -> None:
    broker = own_broker(keeps=True)
    broker.start()
    with Service(tmp_path / "data", broker.port, "cam") as service:
        hub = Listener(broker.port, qos=1, is_remembered=True)
        with hub:
            service.commit(range(1, 11))
            service.drain()
        service.commit(range(11, 61))
        service.drain()
        broker.stop()  # as a machine that is restarted does: it saves what it holds
        broker.start()
        with hub:
            service.commit(range(61, 71))
            service.drain()
            service.publisher.stop()
            assert findings(tmp_path / "data", hub, "cam") == []
            assert not [one for one in hub.of("cam") if one.topic.endswith("/answer")]


@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_in_whatever_order_they_start_the_hub_has_all_in_the_end(
    own_broker: Start, tmp_path: Path, order: tuple[str, ...]
) -> None:
    broker = own_broker()
    hub = Listener(broker.port)
    service = Service(tmp_path / "data", broker.port, "cam")

    def start_camera() -> None:
        service.__enter__()
        service.commit(range(1, 31))

    starts = {"broker": broker.start, "hub": hub.start, "camera": start_camera}
    try:
        for name in order:
            starts[name]()
        hub.wait_subscribed()
        service.drain()
        hub.catch_up("cam", "front")
    finally:
        service.__exit__()
        hub.stop()
    found = findings(tmp_path / "data", hub, "cam", is_stopped=False, is_heard_from_the_start=False)
    assert found == []


@pytest.mark.torture
def test_a_hundred_thousand_events_wrap_the_message_ids_and_all_arrive(
    own_broker: Start, tmp_path: Path
) -> None:
    """Message ids have 16 bits: they begin anew in the middle, on one connection."""
    broker = own_broker(max_queued_messages="0")
    broker.start()
    with Listener(broker.port, "camera_app/cam/+/event") as hub:
        service = Service(tmp_path / "data", broker.port, "cam")
        service.store.start()
        try:
            for first in range(1, 100_001, 5_000):
                service.commit(range(first, first + 5_000))
            service.publisher.start()
            service.drain(300.0)
            assert service.publisher.stats().connects == 1
            assert service.publisher.stats().acknowledged == 100_000
            assert hub.wait_for(lambda heard: len(heard) >= 100_000, 120.0)
        finally:
            service.__exit__()
        assert findings(tmp_path / "data", hub, "cam", is_stopped=False) == []


@pytest.mark.torture
def test_a_full_disk_swallows_nothing_that_was_promised(
    broker: Mosquitto, listener: Listener, tmp_path: Path
) -> None:
    small, out = tmp_path / "small", tmp_path / "out"
    small.mkdir()
    out.mkdir()
    script = Path(__file__).with_name("full_disk.py")
    arguments = [sys.executable, str(script), str(small), str(out), str(broker.port), "full"]
    done = in_small_disk(small, arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["full", "full", "True", "open", "0"]
    assert findings(out, listener, "full") == []


def in_small_disk(folder: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command with a file system of one megabyte in a folder."""
    mount = f"mount -t tmpfs -o size=1m none {folder}"
    own = ["unshare", "-rm", "sh", "-c"]
    if subprocess.run([*own, mount], check=False, capture_output=True).returncode:
        pytest.skip("needs a user namespace with a mount of its own")
    script = f'{mount} && exec "$0" "$@"'
    return subprocess.run([*own, script, *command], check=False, capture_output=True, text=True)
