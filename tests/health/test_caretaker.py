"""Hangs in every stage of the whole service, and what the watchdog's socket hears of them.

Time runs twenty times as fast for promises, so that a minute's silence takes three seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_app import roster
from camera_app.app import App
from camera_app.capture.live import LiveSource
from camera_app.clock import nanoseconds
from camera_app.config import parse_config
from camera_app.health import Heartbeat, Notifier, watchdog
from camera_app.health.caretaker import LOOK_EVERY_S, look_every_s
from camera_app.inference.edgetpu.child import Errand
from camera_app.inference.edgetpu.life import Life
from camera_app.logs import begin_logging, tap
from camera_app.logs.tap import StderrTap
from camera_app.media import film_keeper
from camera_app.pipeline.worker import CameraWorker
from camera_app.publish import client, hub
from camera_app.publish.client import Publisher
from camera_app.publish.hub import Hub
from camera_app.roster import Vital
from camera_app.scheduling import executor
from camera_app.scheduling.cpu import CpuSeats
from camera_app.scheduling.executor import Executor
from camera_app.store import writer
from camera_app.store.writer import Writer
from tests.health.manager import Manager
from tests.publish.mosquitto import Mosquitto

FASTER = 20.0
WATCHDOG_S = 0.6
LIMIT_S = 30.0

# Each stage: where its thread comes by in every round, and the name of that thread.
STAGES: list[tuple[type, str, str]] = [
    (LiveSource, "_take", "camera-app-source-porch"),
    (CameraWorker, "_follow", "camera-app porch"),
    (CpuSeats, "_look", "camera-app-cpu-0"),
    (Executor, "wait_and_advance", "camera-app-scheduler"),
    (Writer, "_is_retention_due", "camera-app store"),
    (Publisher, "_serve", "camera-app publisher"),
    (Heartbeat, "_tell_fallback", "camera-app heartbeat"),
    (Hub, "_advance", "camera-app hub"),
    (StderrTap, "_listen", "camera-app log"),
]


class Lever:
    """Holds up whoever comes by: not at all, a little, or until it is let go."""

    def __init__(self) -> None:
        self.delay_s = 0.0
        self._is_free = threading.Event()
        self._is_free.set()

    def hold(self) -> None:
        self._is_free.clear()

    def let_go(self) -> None:
        self._is_free.set()

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def held(*arguments: Any, **named: Any) -> Any:
            self._is_free.wait(LIMIT_S)
            threading.Event().wait(self.delay_s)
            return method(*arguments, **named)

        return held


@pytest.fixture
def levers(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Lever]]:
    found = {}
    for part, method, thread in STAGES:
        lever = found[thread] = Lever()
        monkeypatch.setattr(part, method, lever.around(getattr(part, method)))
    promise = Vital.promise
    monkeypatch.setattr(
        Vital, "promise", lambda vital, within_s=30.0: promise(vital, within_s / FASTER)
    )
    # What a thread owes before it has promised anything.
    monkeypatch.setattr(roster, "ROUND_LIMIT_S", roster.ROUND_LIMIT_S / FASTER)
    waits = (
        (film_keeper, "WAIT_S"),
        (hub, "IDLE_S"),
        (writer, "LONGEST_IDLE_S"),
        (client, "IDLE_S"),
    )
    waits += ((tap, "TICK_S"), (writer, "IDLE_S"))
    monkeypatch.setattr(executor, "RESTING_WAIT_NS", nanoseconds(0.2))
    for module, name in waits:
        monkeypatch.setattr(module, name, 0.2)  # they would wait for others longer than time runs
    monkeypatch.setattr(watchdog, "CAMERA_LIMIT_S", watchdog.CAMERA_LIMIT_S / FASTER)
    monkeypatch.setattr(watchdog, "STORE_LIMIT_S", watchdog.STORE_LIMIT_S / FASTER)
    yield found
    for lever in found.values():
        lever.let_go()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    yield manager
    manager.close()


@pytest.fixture
def app(tmp_path: Path, levers: dict[str, Lever], manager: Manager) -> Iterator[App]:
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", {})
    broker.start()
    config = parse_config(
        f"""
        [data]
        folder = "{tmp_path / "data"}"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        [inference]
        cpu_seats = 1
        edgetpu = "off"
        [camera.porch]
        source = "synthetic:"
        model = "person_small"
        motion.enabled = false
        """
    )
    app = App(config, notifier=Notifier(manager.address, WATCHDOG_S))
    with begin_logging(level="warning"):
        app.start()
        yield app
        for lever in levers.values():
            lever.let_go()
        app.stop()
    broker.stop()


def test_a_hang_in_any_stage_stops_the_feeding_and_slowness_does_not(
    app: App, levers: dict[str, Lever], manager: Manager
) -> None:
    assert manager.wait_for(lambda _: manager.status == "Watching 1 camera with the processor")
    for thread, lever in levers.items():
        assert manager.is_fed(), manager.status
        lever.hold()
        assert manager.wait_for(lambda _, t=thread: f" thread {t}:" in manager.status), thread
        assert manager.starves(WATCHDOG_S), thread
        lever.let_go()
    for lever in levers.values():
        lever.delay_s = 0.2  # six seconds a round, in the time that promises live in
    manager.wait_for(lambda _: "HANGS" not in manager.status)
    since = len(manager.words)
    assert manager.is_fed(10), manager.status
    assert not [word for word in manager.words[since:] if "HANGS" in word]


def test_a_hang_of_a_sticks_guardian_stops_the_feeding_until_it_has_ended(
    app: App, manager: Manager
) -> None:
    def errand() -> Errand:
        raise AssertionError("there is no such stick")

    lever = Lever()
    lever.hold()
    life = Life("usb:9-9", lever.around(errand))
    life.start()
    assert manager.wait_for(lambda _: " thread camera-app-stick-usb:9-9:" in manager.status)
    assert manager.starves(WATCHDOG_S)
    lever.let_go()
    assert life.wait_over(LIMIT_S)
    assert manager.is_fed(), manager.status


def test_a_sign_comes_several_times_in_the_time_that_the_watchdog_gives() -> None:
    assert look_every_s(2.0) == 0.5
    assert look_every_s(30.0) == look_every_s(None) == LOOK_EVERY_S
