"""The service under a service manager: a real socket, a real process, real hangs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt import publish

from camera_app.kernel import tree
from tests.commands.test_run import Service
from tests.commands.test_secrets import SECRET
from tests.health.manager import Manager
from tests.publish.mosquitto import Mosquitto, users_only
from tests.waiting import wait_until

WATCHDOG_S = 2.0


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    manager = Manager(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    monkeypatch.setenv("WATCHDOG_USEC", str(round(WATCHDOG_S * 1e6)))
    yield manager
    manager.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    (tmp_path / "broker").mkdir()
    broker = Mosquitto(tmp_path / "broker", {})
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def service(tmp_path: Path, broker: Mosquitto, manager: Manager) -> Iterator[Service]:
    service = Service(tmp_path, tmp_path)
    service.configure(broker.port, "synthetic:", "person_small")
    service.config.write_text(service.config.read_text() + "deadline_s = 1.0\n")
    service.start()
    yield service
    service.end(signal.SIGKILL)


def pid_of(service: Service) -> int:
    assert service._process is not None
    return service._process.pid


def says(manager: Manager, word: str) -> bool:
    return manager.wait_for(lambda words: word in words)


def test_a_service_says_when_it_is_ready_how_it_does_and_when_it_ends(
    service: Service, manager: Manager
) -> None:
    assert says(manager, "READY=1")
    assert says(manager, "STATUS=Watching 1 camera with the processor")
    assert manager.is_fed()
    assert service.end(signal.SIGTERM) == 0
    assert manager.words.index("READY=1") < manager.words.index("STOPPING=1")
    last = len(manager.words) - 1 - manager.words[::-1].index("WATCHDOG=1")
    assert last < manager.words.index("STOPPING=1")


def test_a_camera_whose_child_hangs_is_healed_without_a_restart_of_the_service(
    service: Service, manager: Manager
) -> None:
    """Its own thread has a deadline for it: the service goes on, and so does the feeding."""
    watching = "STATUS=Watching 1 camera with the processor"
    assert says(manager, watching)
    (child,) = set(tree(pid_of(service))) - {pid_of(service)}
    os.kill(child, signal.SIGSTOP)
    assert wait_until(lambda: child not in tree(pid_of(service)))
    assert wait_until(lambda: len(tree(pid_of(service))) == 2)
    assert manager.is_fed()
    assert manager.wait_for(lambda _: f"STATUS={manager.status}" == watching)
    assert not [word for word in manager.words if "HANGS" in word]


def test_a_service_that_hangs_as_a_whole_starves_its_watchdog_and_nothing_is_amiss_after(
    service: Service, manager: Manager
) -> None:
    assert says(manager, "READY=1")
    assert manager.is_fed()
    os.kill(pid_of(service), signal.SIGSTOP)
    assert manager.starves(WATCHDOG_S)
    os.kill(pid_of(service), signal.SIGCONT)
    assert manager.is_fed()
    assert not [word for word in manager.words if "HANGS" in word]


def test_a_service_that_begins_anew_says_reloading_and_keeps_its_process(
    service: Service, manager: Manager, broker: Mosquitto
) -> None:
    assert says(manager, "READY=1")
    pid = pid_of(service)
    publish.single("camera_app/desk/restart/set", "PRESS", qos=1, port=broker.port)
    assert says(manager, "RELOADING=1")
    assert manager.wait_for(lambda words: words.count("READY=1") == 2)
    assert manager.is_fed()
    assert "STOPPING=1" not in manager.words
    assert service.is_running()
    assert pid_of(service) == pid


def test_a_service_that_is_stopped_while_it_begins_anew_does_not_come_back(
    service: Service, manager: Manager, broker: Mosquitto
) -> None:
    """The signal came while its parts were stopped, and was forgotten with the process."""
    assert says(manager, "READY=1")
    publish.single("camera_app/desk/restart/set", "PRESS", qos=1, port=broker.port)
    assert says(manager, "RELOADING=1")
    assert service.end(signal.SIGTERM) == 0
    assert manager.words.count("READY=1") == 1


def test_a_password_that_systemd_hands_over_opens_the_brokers_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: Manager
) -> None:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, users_only(folder, porch=SECRET))
    broker.start()
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mqtt-password").write_text(f"{SECRET}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    service = Service(tmp_path, tmp_path)
    service.configure(broker.port, "synthetic:", "person_small")
    login = 'username = "porch"\npassword_file = "$CREDENTIALS_DIRECTORY/mqtt-password"\n'
    service.config.write_text(
        service.config.read_text().replace("[camera.porch]", f"{login}[camera.porch]")
    )
    service.start()
    try:
        service.wait_for(f"connected to 127.0.0.1:{broker.port}")
        assert says(manager, "STATUS=Watching 1 camera with the processor")
    finally:
        service.end(signal.SIGKILL)
        broker.stop()
