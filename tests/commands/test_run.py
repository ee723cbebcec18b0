"""The service as an owner starts it: a process of its own, a real broker, a clip as camera."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt import publish
from paho.mqtt.enums import CallbackAPIVersion

from camera_app.cli import main
from camera_app.kernel import tree
from camera_app.store import EventFilter, EventQueries, EventSummary
from camera_app.store.known_good import read_standing
from tests import wire
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until

LIMIT_S = 60.0


class Service:
    """`camera-app run` in a process of its own."""

    def __init__(self, folder: Path, shared: Path) -> None:
        self.folder = folder
        self.config = folder / "camera.toml"
        self.output: list[str] = []
        self._shared = shared
        self._process: subprocess.Popen[str] | None = None
        self._said = threading.Condition()

    def configure(self, port: int, source: str | None = None, model: str = "") -> None:
        clip = self._shared / "clips" / "signers" / "book.mkv"
        self.config.write_text(
            f"""
            device_id = "desk"
            [data]
            folder = "{self.folder / "data"}"
            [mqtt]
            host = "127.0.0.1"
            port = {port}
            [camera.porch]
            source = "{source or f"{clip}?loop=1"}"
            model = "{model}"
            """
        )

    def start(self) -> None:
        self.output.clear()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "camera_app", "run", "--config", str(self.config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._said:
                self.output.append(line.rstrip())
                self._said.notify_all()
        process.stdout.close()

    def wait_for(self, text: str) -> None:
        with self._said:
            found = self._said.wait_for(lambda: any(text in line for line in self.output), LIMIT_S)
        assert found, "\n".join(self.output)

    def end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        return process.wait(LIMIT_S)

    def reload(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def events(self) -> list[EventSummary]:
        with EventQueries(self.folder / "data" / "events.db") as queries:
            return list(queries.events(EventFilter()))


@pytest.fixture
def service(tmp_path: Path, shared: Path) -> Iterator[Service]:
    service = Service(tmp_path, shared)
    yield service
    service.end(signal.SIGKILL)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, {})
    broker.start()
    yield broker
    broker.stop()


class Subscriber:
    """Hears everything below the device, in order."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._heard = threading.Condition()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "listener")
        self._client.on_connect = lambda client, *_: client.subscribe("camera_app/#", 1)
        self._client.on_message = self._take
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _take(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        with self._heard:
            self.messages.append((message.topic.removeprefix("camera_app/desk/"), message.payload))
            self._heard.notify_all()

    def wait_for(self, holds: Callable[[str, bytes], bool]) -> None:
        with self._heard:
            found = self._heard.wait_for(
                lambda: any(holds(*message) for message in self.messages), LIMIT_S
            )
        assert found, self.messages

    def ledger(self) -> list[dict[str, object]]:
        return [json.loads(payload) for topic, payload in self.messages if topic == "porch/event"]

    def close(self) -> None:
        """Hang up, and hold what came against the reference of the wire."""
        self._client.disconnect()
        self._client.loop_stop()
        found = [
            problem
            for topic, payload in self.messages
            for problem in wire.problems(
                f"camera_app/desk/{topic}", payload, is_retained=None, qos=None
            )
        ]
        assert list(dict.fromkeys(found))[:5] == []


@pytest.fixture
def subscriber(broker: Mosquitto) -> Iterator[Subscriber]:
    subscriber = Subscriber(broker.port)
    yield subscriber
    subscriber.close()


@pytest.mark.shared
def test_a_person_before_the_camera_reaches_the_hub_and_the_disk(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    service.configure(broker.port)
    service.start()
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("porch/person", b"1"))
    subscriber.wait_for(lambda topic, _: topic == "porch/event")
    assert service.end(signal.SIGTERM) == 0
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("availability", b"offline"))
    ledger = subscriber.ledger()
    assert [change["seq"] for change in ledger] == list(range(1, len(ledger) + 1))
    assert (ledger[0]["type"], ledger[-1]["type"]) == ("started", "ended")
    assert ledger[-1]["reason"] == "stopped"
    last = dict(subscriber.messages)
    assert (last["porch/person"], last["porch/availability"]) == (b"0", b"offline")
    assert {event.event_id for event in service.events()} == {c["event_id"] for c in ledger}
    snapshots = service.folder / "data" / "snapshots" / "porch"
    assert {path.stem for path in snapshots.iterdir()} == {c["event_id"] for c in ledger}


@pytest.mark.shared
def test_the_service_leaves_to_its_children_what_only_they_use(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    """Each library costs memory in each process that has it."""
    run_until_an_event(service, broker, subscriber)
    (child,) = set(tree(service.pid)) - {service.pid}
    assert ("/av.libs/" in mapped(child), "/av.libs/" in mapped(service.pid)) == (True, False)
    assert ("litert" in mapped(child), "litert" in mapped(service.pid)) == (False, True)


def run_until_an_event(service: Service, broker: Mosquitto, subscriber: Subscriber) -> None:
    service.configure(broker.port)
    service.start()
    subscriber.wait_for(lambda topic, _: topic == "porch/event")


def mapped(pid: int) -> str:
    """Return the files that a process has in its memory."""
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.shared
def test_what_a_killed_service_left_open_is_ended_by_the_next(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    run_until_an_event(service, broker, subscriber)
    service.end(signal.SIGKILL)
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("availability", b"offline"))
    first = str(subscriber.ledger()[0]["event_id"])
    service.start()
    subscriber.wait_for(
        lambda topic, payload: topic == "porch/event" and b'"interrupted"' in payload
    )
    ended = [c for c in subscriber.ledger() if c["type"] == "ended"]
    assert (ended[0]["event_id"], ended[0]["reason"]) == (first, "interrupted")


@pytest.mark.shared
def test_without_a_broker_the_camera_watches_and_keeps(service: Service, tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    later = Mosquitto(tmp_path / "later", {})  # has a port, is not started
    service.configure(later.port)
    service.start()
    snapshots = service.folder / "data" / "snapshots" / "porch"
    service.wait_for("camera porch delivers")
    pause = threading.Event()
    for _ in range(600):
        if snapshots.is_dir() and any(snapshots.glob("*.jpg")):
            break
        pause.wait(LIMIT_S / 600)
    later.start()
    subscriber = Subscriber(later.port)
    subscriber.wait_for(lambda topic, _: topic == "porch/event")  # told late, not lost
    assert subscriber.ledger()[0]["seq"] == 1
    assert service.end(signal.SIGTERM) == 0
    subscriber.close()
    later.stop()


def ends_at_once(service: Service, expected: int = 1) -> str:
    service.start()
    process = service._process
    assert process is not None
    code = process.wait(LIMIT_S)
    assert code == expected, "\n".join(service.output)
    service.wait_for("camera-app:")
    return "\n".join(service.output)


def test_a_wrong_configuration_is_refused_with_every_problem(
    service: Service, tmp_path: Path
) -> None:
    service.config.write_text(
        'device_id = "Porch Pi"\n[mqtt]\nhots = "hub"\n[camera.front]\nsource = "x"\nfps = -1\n'
    )
    told = ends_at_once(service, 78)  # systemd must not try again
    for line in ("line 1: device_id", "line 3: mqtt.hots", "line 6: camera.front.fps"):
        assert line in told
    assert "did you mean 'host'?" in told
    assert "Traceback" not in told


@pytest.mark.shared
def test_a_data_folder_that_cannot_be_written_is_an_error_with_the_remedy(
    service: Service,
) -> None:
    service.configure(1)
    text = service.config.read_text().replace(f"{service.folder / 'data'}", "/proc/camera-app")
    service.config.write_text(text)
    told = ends_at_once(service)
    assert "/proc/camera-app" in told
    assert "write" in told
    assert "Traceback" not in told


def test_a_model_without_weights_is_an_error_that_says_what_to_do(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    service.configure(1, source="synthetic:", model="yolox_nano_person_256")
    told = ends_at_once(service)
    assert "weights are missing" in told
    assert "Traceback" not in told


def test_the_service_uses_packs_of_the_keys_that_its_configuration_trusts(
    service: Service,
    strangers_pack: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("CAMERA_APP_MODEL_PATH", str(tmp_path))
    folder, key = strangers_pack
    service.configure(1, source="synthetic:")
    text = service.config.read_text()
    assert "[inference]" not in text
    text += f'\n[inference]\nmodel = "{folder}"\n'
    service.config.write_text(text)
    assert "a key that is not trusted here" in ends_at_once(service)
    service.config.write_text(f'{text}\n[models]\ntrusted_keys = ["{key}"]\n')
    assert "weights are missing" in ends_at_once(service)


def ask(broker: Mosquitto, place: str) -> None:
    publish.single(f"camera_app/desk/{place}/set", "PRESS", qos=1, port=broker.port)


def results(subscriber: Subscriber) -> list[dict[str, object]]:
    return [json.loads(payload) for topic, payload in subscriber.messages if topic == "result"]


def test_a_restart_that_is_asked_for_begins_anew_with_the_file_as_it_is(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    service.configure(broker.port, "synthetic:", "person_small")
    service.start()
    service.wait_for("READY")
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("availability", b"online"))
    service.config.write_text(service.config.read_text() + "events.min_score = 0.35\n")
    ask(broker, "restart")
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("porch/threshold", b"0.35"))
    assert results(subscriber)[0]["accepted"] is True
    # The same process, so that whoever watches over it need not know.
    service.wait_for("STOPPING")
    assert service.is_running()
    assert service.end(signal.SIGTERM) == 0
    assert service.output.count("READY") == 2


def test_a_restart_with_a_wrong_file_is_refused_and_the_camera_goes_on(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    service.configure(broker.port, "synthetic:", "person_small")
    service.start()
    service.wait_for("READY")
    subscriber.wait_for(lambda topic, payload: (topic, payload) == ("availability", b"online"))
    service.config.write_text(service.config.read_text() + "fps = 0\nsecret = 'hunter2'\n")
    ask(broker, "restart")
    subscriber.wait_for(lambda topic, _: topic == "result")
    (result,) = results(subscriber)
    assert result["accepted"] is False
    assert "camera.porch.fps, camera.porch.secret" in str(result["error"])
    assert "hunter2" not in str(result)
    assert service.is_running()
    assert "STOPPING" not in service.output


def has_applied(service: Service) -> bool:
    standing = read_standing(service.folder / "data")
    return standing is not None and standing.outcome == "applied"


def test_a_file_is_read_anew_at_sighup_and_at_the_hubs_word(
    service: Service, broker: Mosquitto, subscriber: Subscriber
) -> None:
    """A camera comes, a mistake is refused and told, and the mended file is taken on."""
    service.configure(broker.port, "synthetic:")
    right = service.config.read_text()
    service.start()
    subscriber.wait_for(lambda *message: message == ("porch/availability", b"online"))

    service.config.write_text(right + '[camera.side]\nsource = "synthetic:"\n')
    service.reload()
    subscriber.wait_for(lambda *message: message == ("side/availability", b"online"))

    service.config.write_text(right + "fps = -1\n")
    publish.single("camera_app/desk/reload/set", "PRESS", 1, hostname="127.0.0.1", port=broker.port)
    subscriber.wait_for(lambda topic, payload: topic == "result" and b"camera.porch.fps" in payload)
    subscriber.wait_for(
        lambda topic, payload: (
            topic == "configuration"
            and [one["where"] for one in json.loads(payload)["problems"]] == ["camera.porch.fps"]
        )
    )
    assert main(["config", "status", "--config", str(service.config)]) == 1

    service.config.write_text(right)
    service.reload()
    subscriber.wait_for(lambda *message: message == ("side/availability", b""))
    assert wait_until(lambda: has_applied(service))
    assert main(["config", "status", "--config", str(service.config)]) == 0
    assert service.end(signal.SIGTERM) == 0
