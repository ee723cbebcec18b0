"""`camera-app health`, asked about a service that really runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from camera_app.cli import main
from camera_app.readiness import FILE_NAME
from tests.publish.mosquitto import Mosquitto
from tests.waiting import wait_until

LIMIT_S = 60.0


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "broker"
    folder.mkdir()
    broker = Mosquitto(folder, {})
    yield broker
    broker.stop()


@pytest.fixture
def service(tmp_path: Path, runtime: Path, broker: Mosquitto) -> Iterator[subprocess.Popen[bytes]]:
    config = tmp_path / "camera.toml"
    config.write_text(
        f"""
        [data]
        folder = "{tmp_path / "data"}"
        [mqtt]
        host = "127.0.0.1"
        port = {broker.port}
        [inference]
        model = "person_small"
        cpu_seats = 1
        [camera.front]
        source = "synthetic:?width=320&height=240"
        """
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "camera_app", "run", "--config", str(config)],
            env={**os.environ, "RUNTIME_DIRECTORY": str(runtime)},
            stdout=log,
            stderr=log,
        )
    yield process
    process.kill()
    process.wait()


def ask(runtime: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["health", "--runtime-folder", str(runtime), *words])
    out, err = capsys.readouterr()
    return code, out + err


def test_a_service_is_ready_when_it_sees_and_its_broker_is_there(
    service: subprocess.Popen[bytes],
    broker: Mosquitto,
    runtime: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def lacks_its_broker_alone() -> bool:
        code, said = ask(runtime, capsys)
        return (code, said.count("\n")) == (1, 1) and "deliver: broker: unreachable" in said

    def is_ready() -> bool:
        return ask(runtime, capsys) == (0, "ready: it sees and delivers\n")

    assert wait_until(lacks_its_broker_alone, LIMIT_S)
    broker.start()
    assert wait_until(is_ready, LIMIT_S)
    code, said = ask(runtime, capsys, "--json")
    assert (code, json.loads(said)["ready"], json.loads(said)["shortfalls"]) == (0, True, [])
    service.send_signal(signal.SIGTERM)
    service.wait(LIMIT_S)
    assert ask(runtime, capsys)[0] == 1
    assert not (runtime / FILE_NAME).exists()


def test_a_service_that_stopped_telling_is_not_ready(
    runtime: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago_ns = time.monotonic_ns() - 60_000_000_000
    plain = {"schema": 1, "ready": True, "shortfalls": [], "told_ns": long_ago_ns}
    (runtime / FILE_NAME).write_text(json.dumps(plain))

    assert ask(runtime, capsys) == (
        1,
        "not ready: the service has stopped telling; it hangs, or was killed\n",
    )
    code, said = ask(runtime, capsys, "--json")
    assert (code, json.loads(said)["ready"], json.loads(said)["stale"]) == (1, False, True)


def test_asking_costs_little_because_nothing_large_is_imported() -> None:
    """It is started twice a minute, on boards on which importing everything takes seconds."""
    script = (
        "import sys; from camera_app.cli import main; main(['health', '--runtime-folder', '/-']);"
        "print([name for name in ('numpy', 'cv2', 'av', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert done.stdout == b"[]\n"


def test_without_a_service_it_says_so(runtime: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ask(runtime, capsys)

    assert code == 1
    assert "no service tells its readiness here" in said
