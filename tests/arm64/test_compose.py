"""The example with a broker: nothing is open that need not be, and it fits the image."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from camera_app.config import load_config
from tools.arm64.__main__ import DOCKERFILE, REPOSITORY
from tools.arm64.dockerfile import Cmd, Copy, Env, User, parse

FOLDER = REPOSITORY / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text(encoding="utf-8"))
CAMERA, BROKER = COMPOSE["services"]["camera"], COMPOSE["services"]["mosquitto"]
STEPS = [step.instruction for step in parse(DOCKERFILE.read_text(encoding="utf-8"))[-1].steps]
USER = next(step for step in STEPS if isinstance(step, User))


@pytest.mark.parametrize("service", [CAMERA, BROKER], ids=["camera", "broker"])
def test_neither_may_more_than_it_needs(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"ports", "privileged", "network_mode", "cap_add", "pid"} & service.keys()


def test_the_camera_is_built_from_our_file_and_keeps_its_user_and_health_check() -> None:
    assert CAMERA["build"] == {"context": "..", "dockerfile": DOCKERFILE.name}
    assert not {"user", "healthcheck", "entrypoint", "command"} & CAMERA.keys()


def test_what_the_camera_writes_is_a_volume_or_memory_that_its_user_owns() -> None:
    owned = {
        step.target.rstrip("/") for step in STEPS if isinstance(step, Copy) and step.owner == USER
    }
    volumes = dict(volume.split(":")[:2] for volume in CAMERA["volumes"] if ":/" in volume)
    assert volumes["camera-data"] in owned
    assert "camera-data" in COMPOSE["volumes"]
    [runtime] = [place for place in CAMERA["tmpfs"] if place.startswith("/run/camera-app:")]
    assert {f"uid={USER.uid}", f"gid={USER.gid}"} <= set(runtime.split(":")[1].split(","))
    environment = dict(pair for step in STEPS if isinstance(step, Env) for pair in step.values)
    assert environment["RUNTIME_DIRECTORY"] == "/run/camera-app"


def test_its_configuration_is_right_and_lies_where_the_image_looks() -> None:
    config = load_config(FOLDER / "camera.toml")
    [words] = [step.command for step in STEPS if isinstance(step, Cmd)]

    assert f"./camera.toml:{words[-1]}:ro" in CAMERA["volumes"]
    assert config.mqtt.host in COMPOSE["services"]


def test_the_password_is_a_file_that_only_the_camera_is_handed() -> None:
    password_file = load_config(FOLDER / "camera.toml").mqtt.password_file
    assert CAMERA["secrets"] == ["mqtt-password"]
    assert str(password_file) == f"/run/secrets/{CAMERA['secrets'][0]}"
    assert COMPOSE["secrets"][CAMERA["secrets"][0]]["file"] == "./secrets/mqtt-password"
    assert "secrets" not in BROKER
    ignored = (REPOSITORY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {"/docker/secrets/", "/docker/mosquitto/passwords"} <= set(ignored)


def test_the_broker_wants_a_password() -> None:
    lines = (FOLDER / "mosquitto/mosquitto.conf").read_text(encoding="utf-8").splitlines()

    assert "password_file /mosquitto/config/passwords" in lines
    assert not any(line.startswith("allow_anonymous") for line in lines)
    assert "./mosquitto:/mosquitto/config:ro" in BROKER["volumes"]


def test_the_line_that_makes_the_brokers_passwords_does(tmp_path: Path) -> None:
    """The guide has mosquitto hash a file that was written with the password in the clear."""
    program = shutil.which("mosquitto_passwd", path="/usr/bin:/usr/local/bin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    passwords = tmp_path / "passwords"
    passwords.write_text("camera:hush hush\n")
    passwords.chmod(0o600)
    subprocess.run([program, "-U", str(passwords)], check=True)

    assert passwords.read_text().startswith("camera:$")
    assert "hush" not in passwords.read_text()
