"""Secrets planted wherever an owner may put one, and looked for in all that comes out.

Whatever the service writes, says, serves or stores, and whatever the other commands print, is held
against each secret in each form that it could take.
"""

from __future__ import annotations

import base64
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest

from camera_app.demo.broker import free_port
from camera_app.kernel import tree
from camera_app.store.known_good import GOOD_NAME
from tests.commands.test_run import Service
from tests.publish.conftest import Received
from tests.publish.conftest import Subscriber as Reader
from tests.publish.mosquitto import Mosquitto, users_only

LIMIT_S = 60.0

# By where it is planted. Those with awkward letters are the ones that an owner need not escape.
PLANTED: Mapping[str, str] = {
    "address of a camera": "Inl1ne-S3cret",
    "address, escaped": "Esc%40ped-S3cret",
    "address of an HTTP camera": "Bas1c-S3cret",
    "token in an address": "T0ken-S3cret",
    "address that is mistyped": "Typ0-S3cret",
    "password file of a camera": "F1le:/@ S3cret\"'",
    "password in place of its file": "N0-file-S3cret",
    "password of the broker": "Br0ker-S3cret",
    "wrong password of the broker": "Wr0ng-S3cret",
    "credential of systemd": "Cr3dential-S3cret",
    "private key of a client": "S3cretKeyOfAClientInItsBase64Form",
    "private key of packs": "S3cretKeyThatSignsPacksInItsFile",
    "environment": "Env1ronment-S3cret",
    "unknown key of the file": "Unkn0wn-S3cret",
    "wrong type of a password": "Typ3-S3cret",
}


def forms(secret: str) -> list[str]:
    """Return a secret as it could be found."""
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("="),
        base64.b64encode(f"viewer:{secret}".encode()).decode().rstrip("="),
    ]


def leaks(outputs: Mapping[str, str]) -> list[str]:
    """Return what was found where, with the line that holds it."""
    found = []
    for place, secret in PLANTED.items():
        for output, text in outputs.items():
            for form in forms(secret):
                at = text.find(form)
                if at >= 0:
                    found.append(f"{place} in {output}: …{text[max(0, at - 60) : at + 60]!r}")
                    break
    return found


class _Denies(BaseHTTPRequestHandler):
    """A camera that wants another password, and says what it was told, as some do."""

    def do_GET(self) -> None:
        body = f"no: {self.path} {self.headers.get('Authorization', '')}\n".encode()
        self.send_response(401, f"denied {self.headers.get('Authorization', '')}")
        self.send_header("WWW-Authenticate", 'Basic realm="camera"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def denying_camera() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Denies)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def mute_camera() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, users_only(folder, porch=PLANTED["password of the broker"]))
    broker.start()
    yield broker
    broker.stop()


@dataclass
class House:
    """An owner's files with a secret in each, and what came out of them."""

    folder: Path
    service: Service
    broker: Mosquitto
    mute: int
    denying: int
    metrics: int = field(default_factory=free_port)
    outputs: dict[str, str] = field(default_factory=dict)

    def plant(self) -> None:
        credentials = self.folder / "credentials"
        credentials.mkdir()
        for path, name in (
            (self.folder / "mqtt-password", "password of the broker"),
            (self.folder / "wrong-password", "wrong password of the broker"),
            (self.folder / "camera-password", "password file of a camera"),
            (credentials / "camera", "credential of systemd"),
        ):
            path.write_text(f"{PLANTED[name]}\n")
        key = PLANTED["private key of a client"]
        (self.folder / "client.key").write_text(
            f"-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"
        )
        (self.folder / "signing.key").write_text(PLANTED["private key of packs"] + "\n")

    def configure(self, mqtt: str, log: str) -> None:
        here = self.folder
        lost, denying = f"127.0.0.1:{free_port()}", f"127.0.0.1:{self.denying}"
        self.service.config.write_text(
            f"""
            device_id = "desk"
            [data]
            folder = "{here / "data"}"
            [log]
            {log}
            [metrics]
            listen = "127.0.0.1:{self.metrics}"
            [inference]
            model = "person_small"
            [mqtt]
            host = "127.0.0.1"
            port = {self.broker.port}
            username = "porch"
            status_interval_s = 1
            {mqtt}
            [camera.works]
            source = "synthetic:"
            [camera.inline]
            source = "rtsp://viewer:{PLANTED["address of a camera"]}@{lost}/low"
            [camera.escaped]
            source = "rtsp://viewer:{PLANTED["address, escaped"]}@127.0.0.1:{self.mute}/low"
            [camera.http]
            source = "http://viewer:{PLANTED["address of an HTTP camera"]}@{denying}/v"
            [camera.token]
            source = "http://{denying}/v?token={PLANTED["token in an address"]}&x=1"
            [camera.mistyped]
            source = "rtsp:/viewer:{PLANTED["address that is mistyped"]}@127.0.0.1/low"
            [camera.file]
            source = "http://viewer:{{password}}@{denying}/v"
            password_file = "{here / "camera-password"}"
            [camera.credential]
            source = "rtsp://viewer:{{password}}@{lost}/low"
            password_file = "{here / "credentials" / "camera"}"
            [camera.nofile]
            source = "rtsp://viewer:{{password}}@{lost}/low"
            password_file = "{PLANTED["password in place of its file"]}"
            """
        )

    def listen(self, name: str) -> None:
        """Read both pages and the processes of the service that runs."""
        self.service.wait_for("metrics are at")
        for path in ("metrics", "ready"):
            url = f"http://127.0.0.1:{self.metrics}/{path}"
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    self.outputs[f"{name} /{path}"] = answer.read().decode()
            except urllib.error.HTTPError as error:
                with error:
                    self.outputs[f"{name} /{path}"] = error.read().decode()
        assert self.service._process is not None
        for process in tree(self.service._process.pid):
            with suppress(OSError):
                words = Path(f"/proc/{process}/cmdline").read_bytes()
                self.outputs[f"{name} words of {process}"] = words.decode(errors="replace")

    def command(self, *words: str, fails: bool | None = None) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "camera_app", *words],
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        if fails is not None:
            assert (done.returncode != 0) == fails, done
        self.outputs["camera-app " + " ".join(words)] = (done.stdout + done.stderr).decode()

    def keep_log(self, name: str) -> str:
        text = self.outputs[f"{name} log"] = "\n".join(self.service.output)
        return text

    def keep_files(self) -> None:
        for path in (self.folder / "data").rglob("*"):
            if path.name == GOOD_NAME:
                assert path.stat().st_mode & 0o077 == 0  # as it was written, and for nobody else
            elif path.is_file():
                self.outputs[f"file {path.name}"] = path.read_bytes().decode("latin-1")


@pytest.fixture
def house(
    tmp_path: Path,
    broker: Mosquitto,
    mute_camera: int,
    denying_camera: int,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[House]:
    service = Service(tmp_path, tmp_path)
    house = House(tmp_path, service, broker, mute_camera, denying_camera)
    house.plant()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("SOMEBODYS_TOKEN", PLANTED["environment"])
    monkeypatch.setenv("CAMERA_APP_SIGNING_KEY", str(tmp_path / "signing.key"))
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path / "runtime"))
    (tmp_path / "runtime").mkdir()
    yield house
    service.end(signal.SIGKILL)


# Those whose failure is told at once; one that says nothing is found out after its deadline.
FAIL = {"inline", "http", "token", "mistyped", "file", "credential", "nofile"}
UNUSABLE = """password_file = "{0}/mqtt-password"
client_certificate_file = "{0}/client.key"
client_key_file = "{0}/client.key"
"""


def test_no_secret_comes_out_of_a_service_or_a_command(house: House) -> None:
    works_with_cameras_that_fail(house)
    is_refused_by_the_broker(house)
    cannot_use_its_key(house)
    commands_say_no_more(house)
    a_wrong_file_is_told_without_them(house)
    house.keep_files()
    found = leaks(house.outputs)
    assert not found, "\n".join(found)


def works_with_cameras_that_fail(house: House) -> None:
    password = PLANTED["password of the broker"]
    reader = Reader(house.broker.port, "#", username="porch", password=password)
    path = house.folder / "mqtt-password"
    house.configure(f'password_file = "{path}"', 'level = "debug"\nformat = "json"')
    try:
        house.service.start()
        for text in (
            "camera works delivers",
            "connected to",
            *(f"camera {name}: " for name in FAIL),
            "401",  # the camera denied, and its words came as far as the log
        ):
            house.service.wait_for(text)
        assert reader.wait_for(lambda got: states(got) >= FAIL, LIMIT_S)
        house.listen("working")
        house.command("health", "--json")
        words = "--json", "--deadline", "3", "--config", str(house.service.config)
        house.command("doctor", *words)
        assert house.service.end(signal.SIGTERM) == 0
    finally:
        reader.close()
    for number, message in enumerate(reader.messages):
        house.outputs[f"message {number} on {message.topic}"] = (
            message.topic + " " + message.payload.decode("latin-1")
        )
    log = house.keep_log("working")
    lines = [line for line in log.splitlines() if line not in {"READY", "STOPPING"}]
    told = [json.loads(line) for line in lines]
    assert {one.get("camera") for one in told} >= FAIL


def states(messages: list[Received]) -> set[str]:
    """Return the cameras of which the newest status says why they fail."""
    told = [m for m in messages if m.topic.endswith("/status")]
    if not told:
        return set()
    cameras = json.loads(told[-1].payload)["cameras"]
    return {name for name, camera in cameras.items() if "trying again" in camera["state"]}


def is_refused_by_the_broker(house: House) -> None:
    path = house.folder / "wrong-password"
    house.configure(f'password_file = "{path}"', 'level = "info"\nformat = "human"')
    house.service.start()
    house.service.wait_for("camera works delivers")
    house.service.wait_for("does not allow this client")
    house.listen("refused")
    assert house.service.end(signal.SIGTERM) == 0
    house.keep_log("refused")


def cannot_use_its_key(house: House) -> None:
    house.configure(UNUSABLE.format(house.folder), 'level = "debug"\nformat = "human"')
    house.service.start()
    house.service.wait_for("client_certificate_file")
    house.listen("keyless")
    assert house.service.end(signal.SIGTERM) == 0
    house.keep_log("keyless")


def commands_say_no_more(house: House) -> None:
    config = str(house.service.config)
    data = house.folder / "data" / "events.db"
    house.command("config", "check", config, "--json")
    house.command("doctor", "--only", "configuration,permissions,broker", "--config", config)
    house.command("events", "list", "--db", str(data), "--json")
    house.command("events", "export", "--db", str(data))
    house.command("devices", "--json")
    house.command("models", "list", "--json")
    house.command("models", "keys", "show", str(house.folder / "signing.key"), fails=True)
    house.command("models", "sign", "--json", str(house.folder), fails=True)
    place = str(house.folder / "place")
    house.command("subscribe", "--state", place, "--config", config, "--once", fails=True)


def a_wrong_file_is_told_without_them(house: House) -> None:
    text, secret = house.service.config.read_text(), PLANTED["wrong type of a password"]
    wrong = house.folder / "wrong.toml"
    wrong.write_text(
        text.replace("status_interval_s = 1", "status_interval_s = -1")
        .replace(
            'username = "porch"',
            f'username = "porch"\npassword = "{PLANTED["unknown key of the file"]}"',
        )
        .replace(
            "[camera.works]\n",
            f'[camera.works]\npassword_file = ["{secret}"]\nfps = -1\n',
        )
    )
    house.command("config", "check", str(wrong), "--json", fails=True)
    house.command("run", "--config", str(wrong), fails=True)
    wrong.write_text(f'[mqtt]\npassword = "{PLANTED["unknown key of the file"]}\n')
    house.command("run", "--config", str(wrong), fails=True)


def test_a_secret_that_comes_out_is_found() -> None:
    """The search itself: without this, the test above would prove nothing."""
    for place, secret in PLANTED.items():
        for form in forms(secret):
            [found] = leaks({"somewhere": f"head {form} tail"})
            assert found.startswith(place)
    assert leaks({"somewhere": re.sub("S3cret", "***", " ".join(PLANTED))}) == []
