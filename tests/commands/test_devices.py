from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camera_app.cli import main
from camera_app.inference.edgetpu.lock import StickLock
from camera_app.models import PrivateKey, find_pack
from tools.edgetpu_sim.build import compiler
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import SimulatedSticks


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSticks]:
    if compiler() is None:
        pytest.skip("the simulated Edge TPU needs a C compiler")
    with SimulatedSticks(tmp_path / "sticks", usb=1, pci=1, latency_ms=1.0) as simulated:
        for name, value in simulated.environment().items():
            monkeypatch.setenv(name, value)
        yield simulated


@pytest.fixture
def pack(tmp_path: Path, signing_key: PrivateKey) -> str:
    """A pack of our own with a file for the simulated stick."""
    folder = tmp_path / "pack"
    make_twin_pack(find_pack("person_small"), folder, signing_key)
    return str(folder)


def devices(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    assert main(["devices", "--json", *words]) == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_machine_without_a_stick_has_its_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CAMERA_APP_SYSTEM_ROOT", str(tmp_path))
    found = devices(capsys)
    assert found["sticks"] == []
    assert found["cpu"]["cores"] >= 1
    assert re.match(r"(ai-edge-litert|tflite-runtime) \d", found["cpu"]["runtime"])
    assert main(["devices"]) == 0
    assert "no Edge TPU is plugged in\n" in capsys.readouterr().out


def test_sticks_are_shown_without_being_touched(
    sticks: SimulatedSticks, capsys: pytest.CaptureFixture[str]
) -> None:
    sticks["pci0"].temperature_c = 48.5
    found = devices(capsys)
    assert [stick["name"] for stick in found["sticks"]] == ["usb:9-1", "pci:apex_0"]
    assert [stick["speed_mbit"] for stick in found["sticks"]] == [5000.0, None]
    assert [stick["temperature_c"] for stick in found["sticks"]] == [None, 48.5]
    assert "SIMULATED" in found["library"]["version"]
    assert [stick.opens for stick in sticks.values()] == [0, 0]


def test_a_probe_opens_them_and_a_model_is_timed(
    sticks: SimulatedSticks, pack: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = devices(capsys, "--model", pack)
    for stick in found["sticks"]:
        assert stick["findings"] == []
        assert stick["open_s"] > 0
        assert list(stick["invoke_ms"]) == ["person_small"]
    assert [stick.is_open for stick in sticks.values()] == [False, False]
    assert main(["devices", "--probe"]) == 0
    assert capsys.readouterr().out.count("opened in") == 2


def test_one_that_is_in_use_is_left_alone(
    sticks: SimulatedSticks, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = StickLock("usb:9-1")
    lock.take(4711)
    found = devices(capsys, "--probe")
    usb, pci = found["sticks"]
    assert (usb["used_by"], usb["open_s"]) == (4711, None)
    assert pci["open_s"] > 0
    assert main(["devices"]) == 0
    assert "in use by process 4711" in capsys.readouterr().out
    lock.release()


def test_what_is_wrong_is_told_with_what_to_do(
    sticks: SimulatedSticks, capsys: pytest.CaptureFixture[str]
) -> None:
    sticks["usb0"].unplug()
    sticks["usb0"].plug(speed_mbit=12)
    sticks["pci0"].create_fail = 1
    found = devices(capsys, "--probe", code=1)
    kinds = [[finding["kind"] for finding in stick["findings"]] for stick in found["sticks"]]
    assert kinds == [["wrong_cable"], ["refused"]]
    assert main(["devices"]) == 1
    assert "wrong_cable: usb:9-1: the stick is connected at 12 Mbit/s" in capsys.readouterr().out


def test_a_missing_library_matters_only_where_there_is_a_stick(
    sticks: SimulatedSticks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "")
    found = devices(capsys, code=1)
    assert found["library"]["finding"]["kind"] == "library_missing"
    for stick in sticks.values():
        stick.unplug()
    assert devices(capsys)["library"]["finding"]["kind"] == "library_missing"


def test_a_wrong_name_of_a_pack_is_told(
    sticks: SimulatedSticks, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "--model", "no-such-pack"]) == 1
    assert "no-such-pack" in capsys.readouterr().err
