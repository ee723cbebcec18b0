"""Where Edge TPUs sit, as the kernel shows it: read from sysfs and /dev, nothing is opened.

A place has a name that stays the same whatever is plugged in or out elsewhere: the port for USB,
the device file for PCIe. All paths are below a root, so that a made-up machine can be looked at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

ROOT_VARIABLE = "CAMERA_APP_SYSTEM_ROOT"
PLACE_PATTERN = r"^(usb:\d+-\d+(\.\d+)*|pci:apex_\d+)$"

# Vendor and product of a USB stick before its firmware is loaded, at first use, and after.
FRESH_IDS = ("1a6e", "089a")
READY_IDS = ("18d1", "9302")

# What USB 2 carries. A stick that reports less sits behind a bad cable or an old hub.
LEAST_SPEED_MBIT = 480.0

USB_DEVICES = "sys/bus/usb/devices"
APEX_CLASS = "sys/class/apex"
_APEX_FILE = re.compile(r"apex_\d+")


class Bus(StrEnum):
    """What a stick is plugged into."""

    USB = "usb"
    PCI = "pci"


@dataclass(frozen=True, slots=True)
class Place:
    """A place in which an Edge TPU sits right now.

    Attributes:
        name: Stable: `usb:1-1.4` or `pci:apex_0`.
        bus: The part of the name before the colon.
        device_file: Absolute, without the root; a USB stick gets another each time it is plugged
            in, and when its firmware is loaded.
        product: As the stick says; empty if it says nothing.
        speed_mbit: Of the USB link; None on PCIe.
        has_firmware: A fresh USB stick is another device than one that was used before.
    """

    name: str
    bus: Bus
    device_file: str
    product: str = ""
    speed_mbit: float | None = None
    has_firmware: bool = True

    @property
    def port(self) -> str:
        """The part of the name after the colon: what kernel and library call the device."""
        return self.name.partition(":")[2]

    @property
    def is_too_slow(self) -> bool:
        return self.speed_mbit is not None and self.speed_mbit < LEAST_SPEED_MBIT


def system_root() -> Path:
    """Return the folder below which sysfs and /dev are looked for."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/")


def find_places(root: Path | None = None) -> tuple[Place, ...]:
    """Return every place with an Edge TPU in it, USB first, in the order of their numbers."""
    below = root or system_root()
    found = [*_usb_places(below), *_pci_places(below)]
    return tuple(sorted(found, key=lambda place: (place.bus != Bus.USB, _numbers(place.name))))


def find_place(name: str, root: Path | None = None) -> Place | None:
    """Return the place of this name; None if no Edge TPU is in it now."""
    return next((place for place in find_places(root) if place.name == name), None)


def is_permitted(place: Place, root: Path | None = None) -> bool:
    """Tell whether this process may use the stick's device file.

    A root without any device files of that bus says nothing about permissions.
    """
    path = _below(root or system_root(), place.device_file)
    if not path.exists():
        return not _bus_folder(path, place.bus).is_dir()
    return os.access(path, os.R_OK | os.W_OK)


def temperature_c(place: str, root: Path | None = None) -> float | None:
    """Return how hot the chip is, in degrees Celsius; None where no driver tells.

    Only the one for PCIe does.
    """
    bus, _, port = place.partition(":")
    if bus != Bus.PCI:
        return None
    text = _text((root or system_root()) / APEX_CLASS / port / "temp")
    try:
        return int(text) / 1000  # the driver counts in thousandths of a degree
    except ValueError:
        return None


def _usb_places(root: Path) -> Iterator[Place]:
    folder = root / USB_DEVICES
    for port in _names(folder):
        if ":" in port:  # an interface of a device, not a device
            continue
        ids = (_text(folder / port / "idVendor"), _text(folder / port / "idProduct"))
        if ids in (FRESH_IDS, READY_IDS):
            yield _usb_place(folder / port, has_firmware=ids == READY_IDS)


def _usb_place(folder: Path, *, has_firmware: bool) -> Place:
    bus, device = _number(folder / "busnum"), _number(folder / "devnum")
    return Place(
        name=f"{Bus.USB}:{folder.name}",
        bus=Bus.USB,
        device_file=f"/dev/bus/usb/{bus:03d}/{device:03d}",
        product=_text(folder / "product"),
        speed_mbit=_speed(_text(folder / "speed")),
        has_firmware=has_firmware,
    )


def _pci_places(root: Path) -> Iterator[Place]:
    for name in _names(root / "dev"):
        if _APEX_FILE.fullmatch(name):
            yield Place(f"{Bus.PCI}:{name}", Bus.PCI, f"/dev/{name}")


def _names(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except OSError:  # a machine without that bus
        return []


def _text(path: Path) -> str:
    """Return the content of a file of sysfs; empty if it is gone, as after a pulled plug."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    text = _text(path)
    return int(text) if text.isdecimal() else 0


def _speed(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]


def _below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _bus_folder(path: Path, bus: Bus) -> Path:
    return path.parent.parent if bus == Bus.USB else path.parent
