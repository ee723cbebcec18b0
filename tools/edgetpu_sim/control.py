"""The control file of one simulated device: numbers that the library and the levers share.

The layout is that of control.h, where the fields are told from each other by what writes them;
what they mean stands in docs/guide/simulated-edgetpu.md.
"""

from __future__ import annotations

import mmap
from enum import IntEnum
from pathlib import Path

MAGIC = b"LTPUSIM1"
SIZE_BYTES = 4096
FOR_EVER = -1

LEVERS = {
    "present": 8,
    "generation": 16,
    "latency_us": 24,
    "first_us": 32,
    "on_unplug": 40,
    "fail_at": 48,
    "fail_n": 56,
    "hang_at": 64,
    "hang_us": 72,
    "busy_mode": 80,
    "claim": 88,
    "compute": 96,
    "create_fail": 104,
    "prep_mode": 112,
    "create_us": 120,
    "garbage": 256,
    "hang_next": 264,
    "fail_next": 272,
}
COUNTERS = {
    "invokes": 128,
    "owner_pid": 136,
    "opens": 144,
    "last_us": 152,
    "busy_us": 160,
    "nodes": 168,
    "hung": 176,
}
# Not the library's business: what the levers themselves must remember between two processes.
NOTES = {"nominal_us": 280, "is_loaded": 288, "speed_mbit": 296}
OFFSETS = {**LEVERS, **COUNTERS, **NOTES}
PATH_OFFSET = 512
PATH_BYTES = 256


class OnUnplug(IntEnum):
    """What the library does when its device is gone."""

    ABORT = 0
    FAIL = 1
    ABORT_AT_ONCE = 2
    HANG = 3


class BusyMode(IntEnum):
    """What a second process meets that opens the device."""

    REFUSE = 0
    STEAL = 1


class PrepMode(IntEnum):
    """What happens when a network is loaded."""

    WORK = 0
    FAIL = 1
    NEEDS_NEWER_RUNTIME = 2
    CRASH = 3


class ControlFile:
    """One file, mapped. Every field is one aligned store: nobody sees half of a number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._page = mmap.mmap(file.fileno(), SIZE_BYTES)
        self._bytes = memoryview(self._page)
        self._numbers = self._bytes.cast("q")

    @classmethod
    def create(cls, path: Path, *, shown_path: str) -> ControlFile:
        """Make the file of a device that is not plugged.

        Args:
            path: Its last part, such as `usb0`, is the slot.
            shown_path: What `edgetpu_list_devices` says.
        """
        content = bytearray(SIZE_BYTES)
        content[: len(MAGIC)] = MAGIC
        encoded = shown_path.encode()
        assert len(encoded) < PATH_BYTES, shown_path
        content[PATH_OFFSET : PATH_OFFSET + len(encoded)] = encoded
        path.write_bytes(content)
        return cls(path)

    @property
    def shown_path(self) -> str:
        """What `edgetpu_list_devices` says."""
        return bytes(self._bytes[PATH_OFFSET : PATH_OFFSET + PATH_BYTES]).rstrip(b"\0").decode()

    def __getitem__(self, field: str) -> int:
        return int(self._numbers[OFFSETS[field] // 8])

    def __setitem__(self, field: str, value: int) -> None:
        self._numbers[OFFSETS[field] // 8] = value

    def close(self) -> None:
        """Let go of the file; it stays."""
        self._numbers.release()
        self._bytes.release()
        self._page.close()
