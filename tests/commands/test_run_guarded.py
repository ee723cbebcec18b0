"""What the running service opens to others: no port, and no file."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from paho.mqtt import publish

from camera_app.kernel import tree
from tests.commands.test_run import Service, Subscriber
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until

TCP_LISTEN = "0A"
TCP_CLOSED = "07"
UNIX_ACCEPTS = 0x10000
TABLES = ("tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "unix", "packet")


def sockets_of(pids: list[int]) -> set[str]:
    """Return the inodes of all sockets that processes have open."""
    found = set()
    for pid in pids:
        with suppress(OSError):  # it has ended since
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    found.add(entry.readlink().name)
    return {name[8:-1] for name in found if name.startswith("socket:[")}


def listening(pids: list[int]) -> list[str]:
    """Return the sockets of processes that somebody else may send to, as the kernel shows them."""
    mine, found = sockets_of(pids), []
    for table in TABLES:
        path = Path(f"/proc/{pids[0]}/net/{table}")
        for line in path.read_text().splitlines()[1:] if path.exists() else []:
            fields = line.split()
            inode, is_open = _socket(table, fields)
            if inode in mine and is_open:
                found.append(f"{table}: {line.strip()}")
    return found


def _socket(table: str, fields: list[str]) -> tuple[str, bool]:
    """Return a socket's inode, and whether it takes what nobody asked for."""
    if table == "unix":
        return fields[6], bool(int(fields[3], 16) & UNIX_ACCEPTS) or len(fields) > 7
    if table == "packet":
        return fields[8], True
    if table.startswith("tcp"):
        return fields[9], fields[3] == TCP_LISTEN
    # A datagram socket that is connected to one address takes from there alone.
    return fields[9], fields[3] == TCP_CLOSED or not table.startswith("udp")


@dataclass
class Running:
    """A service that has written all that it writes."""

    folder: Path
    pids: list[int]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run it as a careless owner would: every file that it makes may be read by all."""
    from tests.conftest import SHARED

    if not (SHARED / "clips").is_dir():
        pytest.skip("needs the shared test data")
    folder = tmp_path_factory.mktemp("guarded")
    broker_folder = folder / "broker"
    broker_folder.mkdir()
    broker = Mosquitto(broker_folder, {})
    broker.start()
    service = Service(folder, SHARED)
    service.configure(broker.port)
    before = os.umask(0)
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    patch.delenv("CAMERA_APP_MODEL_PATH", raising=False)
    try:
        service.start()
        subscriber = Subscriber(broker.port)
        subscriber.wait_for(lambda topic, _: topic == "porch/event")
        said = "camera_app/desk/porch/threshold/set"
        publish.single(said, "0.35", qos=1, port=broker.port)
        subscriber.wait_for(lambda topic, payload: (topic, payload) == ("porch/threshold", b"0.35"))
        data = folder / "data"
        assert wait_until(lambda: any(data.rglob("*.jpg")) and any(data.rglob("settings.json")))
        assert service._process is not None
        yield Running(folder, tree(service._process.pid))
    finally:
        os.umask(before)
        patch.undo()
        assert service.end(signal.SIGTERM) == 0
        subscriber.close()
        broker.stop()


@pytest.mark.shared
def test_nobody_listens_unless_that_was_configured(running: Running) -> None:
    assert len(running.pids) >= 2  # the service and its camera
    assert len(sockets_of(running.pids)) >= 2  # to the broker, to the camera's process
    assert listening(running.pids) == []


@pytest.mark.parametrize("kind", ["tcp", "udp", "unix"])
def test_a_socket_that_listens_would_be_found(kind: str) -> None:
    family = socket.AF_UNIX if kind == "unix" else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as one:
        one.bind(b"\0guarded-test" if kind == "unix" else ("127.0.0.1", 0))
        if kind != "udp":
            one.listen()
        mine = [line for line in listening([os.getpid()]) if line.startswith(kind)]
    assert len(mine) >= 1


@pytest.mark.shared
def test_whatever_the_service_writes_is_closed_to_others(running: Running) -> None:
    """The group may look, by design; nobody but the service may write."""
    data = running.folder / "data"
    made = [data, *data.rglob("*"), *(running.folder / "cache").rglob("*")]
    modes = {path.relative_to(running.folder): stat.S_IMODE(path.stat().st_mode) for path in made}
    names = {path.name for path in modes}
    assert {"events.db", "events.db-wal", "settings.json"} <= names
    assert any(path.suffix == ".jpg" for path in modes)
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o027} == {}


def test_a_stricter_owner_stays_stricter(tmp_path: Path) -> None:
    service = Service(tmp_path, tmp_path)
    service.configure(1, source="synthetic:", model="person_small")
    before = os.umask(0o077)
    try:
        service.start()
    finally:
        os.umask(before)
    service.wait_for("READY")
    assert service.end(signal.SIGTERM) == 0
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").rglob("*")]
    assert modes
    assert [oct(mode) for mode in modes if mode & 0o077] == []
