"""The levers, and the files that the kernel would show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.edgetpu_sim import build as building
from tools.edgetpu_sim.control import COUNTERS, LEVERS, NOTES, ControlFile
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.sticks import SimulatedSticks

HEADER = building.SOURCES / "control.h"


@pytest.fixture
def sticks(tmp_path: Path) -> SimulatedSticks:
    """Sticks without a library: what is tested here needs none."""
    return SimulatedSticks(tmp_path / "sim", usb=("9-1", "1-1.4"), pci=1, library=tmp_path)


def _read(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text().strip() for path in folder.iterdir()}


def test_both_languages_agree_on_the_control_file() -> None:
    offsets, offset = {}, 8
    for name, times in re.findall(r"^  int64_t (\w+)(?:\[(\d+)\])?;", HEADER.read_text(), re.M):
        offsets[name] = offset
        offset += 8 * int(times or 1)
    known = {name: place for name, place in offsets.items() if not name.startswith("unused")}

    assert known == {**LEVERS, **COUNTERS}
    assert not set(NOTES.values()) & set(known.values())


def test_the_kernel_shows_plugged_sticks(sticks: SimulatedSticks) -> None:
    with sticks:
        root = sticks.folder / "root"
        shown = _read(root / "sys/bus/usb/devices/1-1.4")

        assert shown == {
            "idVendor": "18d1",
            "idProduct": "9302",
            "speed": "5000",
            "busnum": "1",
            "devnum": shown["devnum"],
            "devpath": "1.4",
        }
        assert (root / "dev/bus/usb/001" / f"{int(shown['devnum']):03d}").exists()
        assert (root / "dev/apex_0").exists()
        assert _read(root / "sys/class/apex/apex_0") == {"temp": "45000", "status": "ALIVE"}


def test_an_unplugged_stick_leaves_nothing(sticks: SimulatedSticks) -> None:
    with sticks:
        for stick in sticks.values():
            stick.unplug()

        files = [path for path in (sticks.folder / "root").rglob("*") if path.is_file()]
        assert files == []
        assert [path.name for path in (sticks.folder / "root/sys/bus/usb/devices").iterdir()] == []
        assert not any(stick.is_plugged for stick in sticks.values())


def test_a_replugged_stick_is_another_device_at_the_same_place(sticks: SimulatedSticks) -> None:
    with sticks:
        place = sticks.folder / "root/sys/bus/usb/devices/9-1"
        before = _read(place)["devnum"]
        sticks["usb0"].unplug()
        sticks["usb0"].plug()

        assert _read(place)["devnum"] != before
        assert len(list((sticks.folder / "root/dev/bus/usb/009").iterdir())) == 1


def test_a_stick_can_be_fresh_and_slow(sticks: SimulatedSticks) -> None:
    with sticks:
        sticks["usb0"].plug(is_loaded=False, speed_mbit=12)
        shown = _read(sticks.folder / "root/sys/bus/usb/devices/9-1")

        assert (shown["idVendor"], shown["idProduct"], shown["speed"]) == ("1a6e", "089a", "12")


def test_a_card_shows_its_temperature_and_a_stick_does_not(sticks: SimulatedSticks) -> None:
    with sticks:
        sticks["pci0"].temperature_c = 81.5

        assert (sticks.folder / "root/sys/class/apex/apex_0/temp").read_text() == "81500\n"
        with pytest.raises(SimulationError, match="usb0: a USB stick shows no temperature"):
            sticks["usb0"].temperature_c = 50


def test_sticks_can_be_plugged_later(tmp_path: Path) -> None:
    with SimulatedSticks(tmp_path / "sim", is_plugged=False, library=tmp_path) as sticks:
        devices = sticks.folder / "root/sys/bus/usb/devices"
        assert list(devices.iterdir()) == []

        sticks["usb0"].plug()

        assert [path.name for path in devices.iterdir()] == ["9-1"]


def test_another_process_finds_the_same_sticks(sticks: SimulatedSticks) -> None:
    with sticks:
        others = SimulatedSticks.attach(sticks.folder)
        others["usb1"].unplug()
        others["usb0"].latency_us = 3000
        others.close()

        assert not sticks["usb1"].is_plugged
        assert not (sticks.folder / "root/sys/bus/usb/devices/1-1.4").exists()
        assert sticks["usb0"].latency_us == 3000


def test_where_no_sticks_are_none_are_found(tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match="no simulated sticks are here"):
        SimulatedSticks.attach(tmp_path)


def test_counters_are_the_librarys(sticks: SimulatedSticks) -> None:
    with sticks, pytest.raises(AttributeError, match="the library's to count"):
        sticks["usb0"].invokes = 5


def test_the_environment_names_the_sticks_and_only_them(
    sticks: SimulatedSticks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/lib")
    with sticks:
        assert sticks.environment() == {
            "LD_LIBRARY_PATH": f"{tmp_path}:/opt/lib",
            "EDGETPU_SIM_DIR": str(sticks.folder / "control"),
            "CAMERA_APP_SYSTEM_ROOT": str(sticks.folder / "root"),
        }


def test_a_control_file_has_one_page(tmp_path: Path) -> None:
    control = ControlFile.create(tmp_path / "usb0", shown_path="/sys/bus/usb/devices/9-1")
    control["latency_us"] = -7
    control.close()

    content = (tmp_path / "usb0").read_bytes()
    assert (len(content), content[:8]) == (4096, b"LTPUSIM1")
    assert int.from_bytes(content[24:32], "little", signed=True) == -7
    assert ControlFile(tmp_path / "usb0").shown_path == "/sys/bus/usb/devices/9-1"
