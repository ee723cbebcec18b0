"""The few calls of the Edge TPU's library that are not the runtime's. Only in the child.

The library is loaded here first, by its name: when the runtime then loads it by the same name, it
finds it there, and what fails, fails here, where it can be told apart.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.findings import LIBRARY, StickFailed
from camera_app.inference.edgetpu.places import Bus

# From edgetpu_c.h: kinds of devices.
_BUSES = {0: Bus.PCI, 1: Bus.USB}


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class Listed:
    """A device as the library lists it.

    Attributes:
        bus: Its kind.
        path: Of sysfs for USB, of the device file for PCIe.
    """

    bus: Bus
    path: str


class Library:
    """libedgetpu, loaded."""

    def __init__(self, place: str) -> None:
        """Load it.

        Args:
            place: What errors name.

        Raises:
            StickFailed: It is not there, or is something else.
        """
        try:
            self._library = ctypes.CDLL(LIBRARY)
            self._declare()
        except OSError as error:
            raise StickFailed(findings.library_missing(place, str(error))) from error
        except AttributeError as error:
            raise StickFailed(findings.lacks_entry_points(place, str(error))) from error

    def _declare(self) -> None:
        library = self._library
        library.edgetpu_version.restype = ctypes.c_char_p
        library.edgetpu_list_devices.argtypes = [ctypes.POINTER(ctypes.c_size_t)]
        library.edgetpu_list_devices.restype = ctypes.POINTER(_Device)
        library.edgetpu_free_devices.argtypes = [ctypes.POINTER(_Device)]
        library.edgetpu_free_devices.restype = None
        # Used by the runtime; asked for here so that a wrong library is told by name.
        _ = library.tflite_plugin_create_delegate, library.tflite_plugin_destroy_delegate

    @property
    def version(self) -> str:
        text: bytes = self._library.edgetpu_version()
        return text.decode("utf-8", "replace")

    def devices(self) -> list[Listed]:
        """Return what the library sees, in its order. It opens none of them."""
        count = ctypes.c_size_t()
        listed = self._library.edgetpu_list_devices(ctypes.byref(count))
        if not listed:
            return []
        try:
            found = [(listed[index].type, listed[index].path) for index in range(count.value)]
        finally:
            self._library.edgetpu_free_devices(listed)
        return [Listed(_BUSES[kind], path.decode()) for kind, path in found if kind in _BUSES]


def device_option(devices: list[Listed], bus: Bus, port: str) -> str | None:
    """Return what the library calls a place: `usb:1`; None if it does not see it.

    It counts the devices of each kind by themselves, in the order of its list.
    """
    paths = [device.path for device in devices if device.bus == bus]
    for index, path in enumerate(paths):
        if path.rstrip("/").rpartition("/")[2] == port:
            return f"{bus}:{index}"
    return None
