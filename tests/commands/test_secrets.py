"""Passwords of a service that runs: in no log, no process list, no file of its own, no message."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.kernel import tree
from tests.commands.test_run import Service
from tests.publish.conftest import Subscriber as Reader
from tests.publish.mosquitto import Mosquitto, users_only
from tests.waiting import wait_until

SECRET = "Tr0ub4dor-and-3"
CAMERA_SECRET = "c0rrect-h0rse"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, users_only(folder, porch=SECRET))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def mute_camera() -> Iterator[int]:
    """A port at which something takes connections and says nothing: whoever asks it waits."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def service(tmp_path: Path, broker: Mosquitto, mute_camera: int) -> Iterator[Service]:
    service = Service(tmp_path, tmp_path)
    for name, secret in (("mqtt", SECRET), ("camera", CAMERA_SECRET)):
        (tmp_path / f"{name}-password").write_text(f"{secret}\n")
    service.config.write_text(
        f"""
        device_id = "desk"
        [data]
        folder = "{tmp_path / "data"}"
        [log]
        level = "debug"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        username = "porch"
        password_file = "{tmp_path / "mqtt-password"}"
        status_interval_s = 1
        [camera.porch]
        source = "rtsp://user:{{password}}@127.0.0.1:{mute_camera}/none"
        password_file = "{tmp_path / "camera-password"}"
        """
    )
    yield service
    service.end(signal.SIGKILL)


def test_passwords_stay_where_they_belong(service: Service, broker: Mosquitto) -> None:
    reader = Reader(broker.port, "#", username="porch", password=SECRET)
    try:
        service.start()
        service.wait_for("connected to")
        assert reader.wait_for(lambda got: any(m.topic.endswith("/status") for m in got), 30.0)
        assert service._process is not None
        pid = service._process.pid
        assert wait_until(lambda: len(tree(pid)) > 1)  # the camera's own runs
        processes = tree(pid)
        shown = [
            Path(f"/proc/{process}/{what}").read_bytes()
            for process in processes
            for what in ("cmdline", "environ")
            if Path(f"/proc/{process}").exists()
        ]
        assert service.end(signal.SIGTERM) == 0
    finally:
        reader.close()
    data = [file.read_bytes() for file in (service.folder / "data").rglob("*") if file.is_file()]
    told = [message.payload for message in reader.messages]
    output = "\n".join(service.output).encode()
    assert len(processes) > 1
    for secret in (SECRET.encode(), CAMERA_SECRET.encode()):
        holders = [text for text in (*shown, *data, *told, output) if secret in text]
        assert holders == []
    assert os.environ.get("PATH", "").encode() in b"".join(shown)  # it looks where it should
