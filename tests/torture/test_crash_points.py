"""`kill -9` at every step of a commit and of its way to the broker; then a run that tells the rest.

The steps are counted in a run that nobody kills, and every one of them is tried.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.publish.mosquitto import Mosquitto
from tests.torture.conftest import Choice
from tests.torture.listener import Listener
from tests.torture.nursery import Nursery, findings
from tests.torture.victim import Job

COUNT = 4
# And how many of the steps are tried in the ordinary run.
THREADS = [("MainThread", 6), ("camera-app store", 16), ("camera-app publisher", 8)]


@pytest.fixture(scope="module")
def steps(
    nursery: Nursery, broker: Mosquitto, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[str]]:
    """What each thread does in a run of its own accord."""
    folder = tmp_path_factory.mktemp("counted")
    assert nursery.run(Job(str(folder), broker.port, "counted", count=COUNT)) == 0
    names: dict[str, list[str]] = json.loads((folder / "steps.json").read_text())
    return names


def test_the_steps_are_those_of_a_commit_and_of_its_way_to_the_broker(
    steps: dict[str, list[str]],
) -> None:
    store, publisher = steps["camera-app store"], steps["camera-app publisher"]
    assert store.count("after COMMIT") >= COUNT
    assert {"before INSERT INTO event_change", "after INSERT INTO outbox"} <= set(store)
    assert "before DELETE FROM outbox" in store
    assert {"before send", "half sent", "after send", "after read"} <= set(publisher)
    assert "before script" in steps["MainThread"]


@pytest.mark.parametrize(("thread", "in_short"), THREADS)
def test_nothing_is_lost_at_any_step(
    nursery: Nursery,
    broker: Mosquitto,
    listener: Listener,
    steps: dict[str, list[str]],
    choice: Choice,
    tmp_path: Path,
    thread: str,
    in_short: int,
) -> None:
    numbers = choice.of(range(1, len(steps[thread]) + 1), in_short)
    devices = {f"{thread.rsplit(maxsplit=1)[-1]}{number}".lower(): number for number in numbers}
    codes = nursery.run_all(
        [
            Job(str(tmp_path / device), broker.port, device, count=COUNT, fatal=(thread, number))
            for device, number in devices.items()
        ]
    )
    # A run is not the same to the last read of an acknowledgement.
    assert codes.count(-signal.SIGKILL) >= len(numbers) * 0.8
    assert_the_rest_is_told(nursery, broker, listener, tmp_path, devices)


def test_nothing_is_lost_when_a_write_ends_in_the_middle(
    nursery: Nursery, broker: Mosquitto, listener: Listener, choice: Choice, tmp_path: Path
) -> None:
    """The kernel ends the process inside a write: the log's last page is torn, at every place."""
    sizes = choice.of(range(500, 200_000, 1_500), 8)  # a page of the log has 4120 bytes
    devices = [f"torn{size}" for size in sizes]
    codes = nursery.run_all(
        [
            Job(str(tmp_path / device), broker.port, device, count=12, fatal_size=size)
            for device, size in zip(devices, sizes, strict=True)
        ]
    )
    assert codes.count(-signal.SIGXFSZ) > len(sizes) // 2
    assert_the_rest_is_told(nursery, broker, listener, tmp_path, devices)


def assert_the_rest_is_told(
    nursery: Nursery,
    broker: Mosquitto,
    listener: Listener,
    folder: Path,
    devices: Iterable[str],
) -> None:
    """Start each device again, undisturbed, and let the checker judge both of its lives."""
    jobs = [Job(str(folder / name), broker.port, name, first=101, count=2) for name in devices]
    assert set(nursery.run_all(jobs)) == {0}
    found = {job.device: findings(Path(job.folder), listener, job.device) for job in jobs}
    assert {device: what for device, what in found.items() if what} == {}
