from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from camera_app.inference.edgetpu.places import (
    PLACE_PATTERN,
    Bus,
    Place,
    find_place,
    find_places,
    is_permitted,
    temperature_c,
)
from tools.edgetpu_sim.system_root import PcieFiles, Showing, UsbFiles, make_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path)
    return tmp_path


def plug(root: Path, port: str, *, is_loaded: bool = True, speed_mbit: int = 5000) -> UsbFiles:
    files = UsbFiles(root, port)
    files.show(Showing(device_number=7, is_loaded=is_loaded, speed_mbit=speed_mbit))
    return files


def plug_card(root: Path, number: int) -> PcieFiles:
    files = PcieFiles(root, number)
    files.show(Showing(device_number=0, is_loaded=True, speed_mbit=0))
    return files


def test_a_stick_is_the_same_place_before_and_after_its_firmware_is_loaded(root: Path) -> None:
    plug(root, "1-1.4", is_loaded=False)
    fresh = find_places(root)
    plug(root, "1-1.4")
    ready = find_places(root)
    assert [place.name for place in fresh + ready] == ["usb:1-1.4", "usb:1-1.4"]
    assert [place.has_firmware for place in fresh + ready] == [False, True]


def test_other_devices_and_interfaces_are_no_sticks(root: Path) -> None:
    plug(root, "2-1")
    (root / "sys/bus/usb/devices/2-1:1.0").mkdir()
    hub = root / "sys/bus/usb/devices/usb2"
    hub.mkdir()
    (hub / "idVendor").write_text("1d6b\n")
    (hub / "idProduct").write_text("0003\n")
    (root / "dev/apex").touch()
    assert [place.name for place in find_places(root)] == ["usb:2-1"]


def test_all_that_is_known_of_a_stick_is_told(root: Path) -> None:
    plug(root, "3-2", speed_mbit=480)
    (root / "sys/bus/usb/devices/3-2/product").write_text("Edge TPU\n")
    assert find_place("usb:3-2", root) == Place(
        name="usb:3-2",
        bus=Bus.USB,
        device_file="/dev/bus/usb/003/007",
        product="Edge TPU",
        speed_mbit=480.0,
    )


def test_places_are_in_the_order_of_their_numbers(root: Path) -> None:
    for port in ("10-1", "2-1.10", "2-1.9"):
        plug(root, port)
    for number in (10, 9):
        plug_card(root, number)
    names = ["usb:2-1.9", "usb:2-1.10", "usb:10-1", "pci:apex_9", "pci:apex_10"]
    assert [place.name for place in find_places(root)] == names


def test_usb_1_is_too_slow_and_usb_2_is_not(root: Path) -> None:
    plug(root, "1-1", speed_mbit=12)
    plug(root, "1-2", speed_mbit=480)
    plug_card(root, 0)
    assert [place.is_too_slow for place in find_places(root)] == [True, False, False]


def test_a_machine_without_usb_has_no_places(tmp_path: Path) -> None:
    assert find_places(tmp_path) == ()


def test_a_stick_that_vanishes_while_it_is_read_is_not_there(root: Path) -> None:
    plug(root, "1-1")
    (root / "sys/bus/usb/devices/1-1/idProduct").unlink()
    assert find_places(root) == ()


def test_only_a_card_tells_its_temperature(root: Path) -> None:
    plug(root, "1-1")
    plug_card(root, 0).set_temperature(61.25)
    assert temperature_c("pci:apex_0", root) == 61.25
    assert temperature_c("usb:1-1", root) is None
    assert temperature_c("pci:apex_1", root) is None


def test_a_device_file_must_be_there_and_be_ours(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug(root, "1-1")
    plug_card(root, 0)
    usb, card = find_places(root)
    assert is_permitted(usb, root)
    assert is_permitted(card, root)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert not is_permitted(usb, root)
    assert not is_permitted(card, root)
    monkeypatch.undo()
    (root / "dev/bus/usb/001/007").unlink()  # as in a container that was not given the device
    assert not is_permitted(usb, root)


@pytest.mark.parametrize("name", ["usb:1-1", "usb:10-1.4.2", "pci:apex_0"])
def test_names_of_places_fit_the_pattern(name: str) -> None:
    assert re.fullmatch(PLACE_PATTERN, name)


@pytest.mark.parametrize("name", ["usb:", "usb:1", "usb:1-1:1.0", "pci:0", "apex_0", "usb:1-1 "])
def test_what_names_no_place_does_not(name: str) -> None:
    assert not re.fullmatch(PLACE_PATTERN, name)
