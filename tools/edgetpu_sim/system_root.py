"""What the kernel would show of a stick, as plain files under a root of our own.

Only what tells sticks from other devices and says how they are: the identity, the speed and the
number of a USB device; the device file and the temperature of a PCIe one. A device appears and
goes in one step, as for the kernel's readers.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

VENDOR_BEFORE_FIRMWARE = ("1a6e", "089a")
VENDOR_WITH_FIRMWARE = ("18d1", "9302")
USB_DEVICES = Path("sys/bus/usb/devices")
USB_NODES = Path("dev/bus/usb")
APEX_CLASS = Path("sys/class/apex")
START_TEMPERATURE_C = 45.0


@dataclass(frozen=True, slots=True)
class Showing:
    """How a stick is plugged.

    Attributes:
        device_number: Given anew at every plugging.
        is_loaded: Its firmware runs: a USB stick then has another identity.
        speed_mbit: Of the USB link.
    """

    device_number: int
    is_loaded: bool
    speed_mbit: int


class SystemFiles(Protocol):
    """The files of one stick."""

    path: str

    def show(self, showing: Showing) -> None:
        """Make them appear."""

    def hide(self) -> None:
        """Make them go."""


class UsbFiles:
    """A USB stick at a port, such as `9-1` or `1-1.4`."""

    def __init__(self, root: Path, port: str) -> None:
        self._root = root
        self._port = port
        self.path = f"/{USB_DEVICES}/{port}"

    def show(self, showing: Showing) -> None:
        self.hide()
        vendor, product = VENDOR_WITH_FIRMWARE if showing.is_loaded else VENDOR_BEFORE_FIRMWARE
        bus = int(self._port.partition("-")[0])
        node = self._nodes / f"{showing.device_number:03d}"
        node.parent.mkdir(parents=True, exist_ok=True)
        node.touch()
        _appear(
            self._root / USB_DEVICES / self._port,
            {
                "idVendor": vendor,
                "idProduct": product,
                "speed": str(showing.speed_mbit),
                "busnum": str(bus),
                "devnum": str(showing.device_number),
                "devpath": self._port.partition("-")[2],
            },
        )

    def hide(self) -> None:
        devices = self._root / USB_DEVICES / self._port
        if devices.exists():
            number = int((devices / "devnum").read_text())
            (self._nodes / f"{number:03d}").unlink(missing_ok=True)
        _vanish(devices)

    @property
    def _nodes(self) -> Path:
        return self._root / USB_NODES / f"{int(self._port.partition('-')[0]):03d}"


class PcieFiles:
    """A PCIe or M.2 card."""

    def __init__(self, root: Path, number: int) -> None:
        self._node = root / "dev" / f"apex_{number}"
        self._class = root / APEX_CLASS / f"apex_{number}"
        self.path = f"/dev/apex_{number}"

    def show(self, showing: Showing) -> None:  # noqa: ARG002 - of USB only
        self.hide()
        self._node.parent.mkdir(parents=True, exist_ok=True)
        _appear(self._class, {"temp": _millidegrees(START_TEMPERATURE_C), "status": "ALIVE"})
        self._node.touch()

    def hide(self) -> None:
        self._node.unlink(missing_ok=True)
        _vanish(self._class)

    def set_temperature(self, celsius: float) -> None:
        """Change what the driver says of the chip's temperature."""
        place = self._class / "temp"
        new = place.with_suffix(".new")
        new.write_text(f"{_millidegrees(celsius)}\n")
        new.replace(place)


def make_root(root: Path) -> None:
    """Make the folders that the kernel has also without any stick."""
    for folder in (USB_DEVICES, USB_NODES, Path("dev")):
        (root / folder).mkdir(parents=True, exist_ok=True)


def _millidegrees(celsius: float) -> str:
    return str(round(celsius * 1000))


def _appear(folder: Path, files: Mapping[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(folder)
    aside.mkdir(parents=True)
    for name, text in files.items():
        (aside / name).write_text(f"{text}\n")
    aside.rename(folder)


def _vanish(folder: Path) -> None:
    if folder.exists():
        folder.rename(_aside(folder))
    shutil.rmtree(_aside(folder), ignore_errors=True)


def _aside(folder: Path) -> Path:
    # Beside the folder that readers list, not in it.
    return folder.parent.with_name(f"{folder.parent.name}.aside") / folder.name
