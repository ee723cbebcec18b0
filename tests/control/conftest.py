"""What the tests of commands share: the whole camera in this process, before a real broker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_app.app import App
from camera_app.config import Config, parse_config
from tests.publish.conftest import Subscriber
from tests.publish.mosquitto import LIMIT_S, Mosquitto
from tests.waiting import wait_until

ROOT = "camera_app/cam1"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    made = Mosquitto(folder, {})
    made.start()
    yield made
    made.stop()


class Owner(Subscriber):
    """Hears everything, and commands."""

    def command(self, place: str, payload: str, *, retain: bool = False) -> None:
        """Ask for something and wait until the broker has it."""
        self.tell(f"{ROOT}/{place}/set", payload, retain=retain)

    def tell(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Tell something and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    def ask(self, place: str, payload: str) -> dict[str, Any]:
        """Ask for something; return the result."""
        before = len(self.results())
        self.command(place, payload)
        assert self.wait_for(lambda _: len(self.results()) > before)
        return self.results()[-1]

    def results(self) -> list[dict[str, Any]]:
        return [message.json for message in self.on(f"{ROOT}/result")]

    def newest(self, place: str) -> bytes | None:
        told = self.on(f"{ROOT}/{place}")
        return told[-1].payload if told else None

    def wait_newest(self, place: str, payload: bytes) -> None:
        assert self.wait_for(lambda _: self.newest(place) == payload), self.newest(place)


@pytest.fixture
def owner(broker: Mosquitto) -> Iterator[Owner]:
    made = Owner(broker.port)
    yield made
    made.close()


Started = Callable[..., App]


def configuration(
    port: int, folder: Path, more: str = "", camera: str = "", *, mqtt: str = "", data: str = ""
) -> Config:
    return parse_config(
        f"""
        device_id = "cam1"
        [data]
        folder = "{folder}"
        {data}
        [mqtt]
        host = "127.0.0.1"
        port = {port}
        {mqtt}
        [inference]
        model = "person_small"
        cpu_seats = 1
        edgetpu = "off"
        {more}
        [camera.front]
        source = "synthetic:"
        fps = 5
        {camera}
        """
    )


@pytest.fixture
def started(broker: Mosquitto, tmp_path: Path) -> Iterator[Started]:
    """Return a starter of whole cameras; what it started is stopped in the end."""
    running: list[App] = []

    def start(
        more: str = "", camera: str = "", *, mqtt: str = "", data: str = "", **options: Any
    ) -> App:
        for before in running:
            before.stop()
        running.clear()
        folder = tmp_path / "data"
        config = configuration(broker.port, folder, more, camera, mqtt=mqtt, data=data)
        app = App(config, **options)
        app.start()
        running.append(app)
        return app

    yield start
    for app in running:
        app.stop()


__all__ = ["Owner", "Started", "configuration", "wait_until"]
