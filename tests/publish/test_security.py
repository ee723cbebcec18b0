"""TLS and passwords, against a real mosquitto and certificates made for the test."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from camera_app.config import MqttSettings
from camera_app.errors import BrokerRefused
from camera_app.publish.security import (
    is_loopback,
    read_password,
    tls_context,
    unencrypted_password_warning,
)
from tests.publish.conftest import Camera, make_change
from tests.publish.mosquitto import LIMIT_S, Mosquitto
from tests.waiting import wait_until

Brokers = Callable[..., Mosquitto]
Cameras = Callable[..., Camera]


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        self._make(
            f"-subj|/CN=test authority|-keyout|{self._key}|-out|{self.certificate}"
            "|-addext|keyUsage=critical,keyCertSign"
        )

    def issue(self, name: str) -> tuple[Path, Path]:
        """Return certificate and key for a name or address."""
        certificate, key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        kind = "IP" if name[0].isdigit() else "DNS"
        self._make(
            f"-subj|/CN={name}|-keyout|{key}|-out|{certificate}"
            f"|-CA|{self.certificate}|-CAkey|{self._key}|-addext|subjectAltName={kind}:{name}"
            "|-addext|basicConstraints=critical,CA:FALSE"
        )
        key.chmod(0o644)
        return certificate, key

    def _make(self, options: str) -> None:
        kind = "req|-x509|-newkey|ec|-pkeyopt|ec_paramgen_curve:P-256|-nodes|-days|2"
        command = ["openssl", *kind.split("|"), *options.split("|")]
        subprocess.run(command, check=True, capture_output=True)

    def options(self, name: str) -> dict[str, str]:
        """Return what mosquitto needs to serve under a name."""
        certificate, key = self.issue(name)
        return {
            "cafile": str(self.certificate),
            "certfile": str(certificate),
            "keyfile": str(key),
        }


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Authority(tmp_path / "authority")


def test_an_encrypted_backlog_arrives(
    broker: Brokers, camera: Cameras, authority: Authority
) -> None:
    running = broker(**authority.options("127.0.0.1"))
    cam = camera(running.port, ca_file=authority.certificate)
    cam.store.commit([make_change(number) for number in range(1, 401)])
    cam.publisher.start()

    assert cam.publisher.wait_drained(LIMIT_S)
    assert cam.publisher.stats().acknowledged == 400


def test_a_broker_under_another_name_is_not_trusted(
    broker: Brokers, camera: Cameras, authority: Authority
) -> None:
    cam = camera(broker(**authority.options("other.example")).port, ca_file=authority.certificate)
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().state == "refused")
    assert "not trusted" in cam.publisher.stats().last_error
    assert "Check ca_file" in cam.publisher.stats().last_error


def test_a_broker_of_another_authority_is_not_trusted(
    broker: Brokers, camera: Cameras, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path / "stranger")
    cam = camera(broker(**authority.options("127.0.0.1")).port, ca_file=stranger.certificate)
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().state == "refused")
    assert "not trusted" in cam.publisher.stats().last_error


def test_a_client_certificate_opens_the_door(
    broker: Brokers, camera: Cameras, authority: Authority
) -> None:
    running = broker(**authority.options("127.0.0.1"), require_certificate="true")
    certificate, key = authority.issue("camera")
    cam = camera(
        running.port,
        ca_file=authority.certificate,
        client_certificate_file=certificate,
        client_key_file=key,
    )
    cam.publisher.start()

    assert wait_until(lambda: cam.publisher.stats().is_connected)


def test_without_the_client_certificate_the_door_stays_shut(
    broker: Brokers, camera: Cameras, authority: Authority
) -> None:
    running = broker(**authority.options("127.0.0.1"), require_certificate="true")
    cam = camera(running.port, ca_file=authority.certificate)
    cam.publisher.start()

    assert wait_until(lambda: "client certificate" in cam.publisher.stats().last_error)
    assert not cam.publisher.stats().is_connected


def test_tls_at_a_port_without_is_said(
    broker: Brokers, camera: Cameras, authority: Authority
) -> None:
    cam = camera(broker().port, ca_file=authority.certificate)
    cam.publisher.start()

    assert wait_until(lambda: bool(cam.publisher.stats().last_error))
    assert not cam.publisher.stats().is_connected


@pytest.mark.parametrize("key", ["ca_file", "client_certificate_file"])
def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, key: str) -> None:
    file = tmp_path / "no.pem"
    file.write_text("nothing")
    settings = {key: file, "tls": True}
    if key == "client_certificate_file":
        settings["client_key_file"] = file

    with pytest.raises(BrokerRefused, match=f"Correct {key}") as caught:
        tls_context(MqttSettings.model_validate(settings))
    assert caught.value.where == str(file)


def test_the_host_name_is_checked() -> None:
    context = tls_context(MqttSettings(tls=True))
    assert context is not None
    assert context.check_hostname
    assert tls_context(MqttSettings()) is None


def test_a_password_ends_before_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(b" pass word \r\n")
    assert read_password(MqttSettings(password_file=file)) == " pass word "
    assert read_password(MqttSettings()) is None


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("192.168.1.4", False),
        ("hub.local", False),
        ("localhost.example.org", False),
    ],
)
def test_loopback_is_told_from_the_network(host: str, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours
    warning = unencrypted_password_warning(MqttSettings(host=host, username="camera"))
    assert bool(warning) is not is_ours
    assert not unencrypted_password_warning(MqttSettings(host=host))
    assert not unencrypted_password_warning(MqttSettings(host=host, username="u", tls=True))
