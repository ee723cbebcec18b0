"""Simulated sticks and their levers, for tests and for the command line.

A lever changes the control file, which the library reads, and the files that the kernel would show,
which the application reads: both together, so that they never contradict each other for long. All
state stands in files, so any process may pull a lever of any other's sticks.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tools.edgetpu_sim.build import build
from tools.edgetpu_sim.control import FOR_EVER, BusyMode, ControlFile, OnUnplug, PrepMode
from tools.edgetpu_sim.errors import SimulationError
from tools.edgetpu_sim.system_root import PcieFiles, Showing, SystemFiles, UsbFiles, make_root

SLOTS_VARIABLE = "EDGETPU_SIM_DIR"
ROOT_VARIABLE = "CAMERA_APP_SYSTEM_ROOT"
USB3_MBIT = 5000
FIRST_BUS = 9  # high enough that nobody takes it for a real one


class Lever:
    """A field of the control file that may be set from outside, as an attribute."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = name

    def __get__(self, stick: SimulatedStick, owner: type | None = None) -> int:
        return stick.control[self._field]

    def __set__(self, stick: SimulatedStick, value: int) -> None:
        stick.control[self._field] = value


class Counter:
    """A field that the library counts, as an attribute."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = name

    def __get__(self, stick: SimulatedStick, owner: type | None = None) -> int:
        return stick.control[self._field]

    def __set__(self, stick: SimulatedStick, value: int) -> None:
        raise AttributeError(f"{self._field} is the library's to count")


class SimulatedStick:
    """One stick.

    Attributes:
        name: Its slot: `usb0`, `pci0` …
        control: The file that the library reads, for levers that have no method here.
        first_us: What the first answer of another network takes longer.
        on_unplug: What the library does once the stick is gone; an `OnUnplug`.
        busy_mode: What a second process meets; a `BusyMode`.
        prep_mode: What happens when a network is loaded; a `PrepMode`.
        create_fail: Not 0: no delegate is to be had.
        create_us: How long the delegate takes to be made; -1: until this changes.
        claim: 0: what was compiled; 1: every node of any network; k + 1: the first k.
        compute: 1: compiled programs that came from elsewhere answer zeros at once.
        invokes: Answers given or begun.
        owner_pid: Who has it open; stale when the owner was killed.
        opens: How often a process opened it.
        last_us: What the last answer took.
        busy_us: What all answers took of the stick's time.
        nodes: Nodes claimed in the network that was loaded last.
        hung: Hangs begun.
    """

    first_us = Lever()
    on_unplug = Lever()
    busy_mode = Lever()
    prep_mode = Lever()
    create_fail = Lever()
    create_us = Lever()
    claim = Lever()
    compute = Lever()
    invokes = Counter()
    owner_pid = Counter()
    opens = Counter()
    last_us = Counter()
    busy_us = Counter()
    nodes = Counter()
    hung = Counter()

    def __init__(self, control: ControlFile, files: SystemFiles, number: int) -> None:
        self.name = control.path.name
        self.control = control
        self._files = files
        self._number = number

    @property
    def path(self) -> str:
        """Where it sits, as `edgetpu_list_devices` says: /sys/bus/usb/devices/9-1."""
        return self._files.path

    @property
    def is_plugged(self) -> bool:
        return self.control["present"] != 0

    def plug(self, *, is_loaded: bool = True, speed_mbit: int = USB3_MBIT) -> None:
        """Plug it in, where it was.

        Args:
            is_loaded: False: as a USB stick stands before its first use since power came.
            speed_mbit: Of the USB link; a bad cable or hub makes it 12.
        """
        self.control["is_loaded"] = int(is_loaded)
        self.control["speed_mbit"] = speed_mbit
        self._show()
        self.control["present"] = 1

    def unplug(self) -> None:
        """Pull it out."""
        self.control["present"] = 0
        self.control["generation"] += 1
        self._files.hide()

    def reset(self) -> None:
        """Reset its port, as another process does that opens it: whoever has it open loses it."""
        self.control["generation"] += 1
        if self.is_plugged:
            self._show()

    def _show(self) -> None:
        self._files.show(
            Showing(
                device_number=2 + (self._number + 8 * self.control["generation"]) % 120,
                is_loaded=self.control["is_loaded"] != 0,
                speed_mbit=self.control["speed_mbit"],
            )
        )

    @property
    def latency_us(self) -> int:
        """What one answer takes, slowed down or not."""
        return self.control["latency_us"]

    @latency_us.setter
    def latency_us(self, value: int) -> None:
        self.control["nominal_us"] = self.control["latency_us"] = value

    def slow(self, factor: float) -> None:
        """Answer so many times slower than `latency_us` was set to; 1 is the way back."""
        self.control["latency_us"] = round(self.control["nominal_us"] * factor)

    def hang(self, for_s: float | None = None, *, times: int = 1) -> None:
        """Let the next answers hang.

        Args:
            for_s: How long; None: until `release`, or until it is unplugged.
            times: How many answers; -1: every one until `release`.
        """
        self.control["hang_us"] = FOR_EVER if for_s is None else round(for_s * 1e6)
        self.control["hang_next"] = times

    def release(self) -> None:
        """Let go of whatever hangs: answers, or the making of a delegate."""
        self.control["hang_next"] = self.control["hang_at"] = 0
        self.control["hang_us"] = 0
        self.control["create_us"] = 0
        if self.on_unplug == OnUnplug.HANG:
            self.on_unplug = OnUnplug.FAIL

    def fail(self, times: int = 1) -> None:
        """Let the next answers be errors; -1: every one; 0 is the way back."""
        self.control["fail_next"] = times

    def garbage(self, on: bool = True) -> None:
        """Let answers be noise."""
        self.control["garbage"] = int(on)

    @property
    def temperature_c(self) -> float:
        """Of a PCIe card's chip, as its driver shows it; USB sticks show none."""
        raise AttributeError("only to be set")

    @temperature_c.setter
    def temperature_c(self, value: float) -> None:
        if not isinstance(self._files, PcieFiles):
            raise SimulationError("a USB stick shows no temperature", where=self.name)
        self._files.set_temperature(value)

    @contextmanager
    def occupied(self) -> Iterator[None]:
        """Have it open as a process that is not the application; waits for no owner to let go.

        Raises:
            SimulationError: It has an owner.
        """
        with self.control.path.open("rb") as file:
            if not _locked(file):
                raise SimulationError(f"process {self.owner_pid} has it open", where=self.name)
            yield

    @contextmanager
    def stolen(self, *, limit_s: float = 2.0) -> Iterator[None]:
        """Open it as a second process does: its owner loses it, and cannot have it back.

        Args:
            limit_s: How long to wait for the owner to let go.

        Raises:
            SimulationError: The owner does not let go; it lost the stick all the same.
        """
        self.reset()
        limit = time.monotonic() + limit_s
        pause = threading.Event()
        with self.control.path.open("rb") as file:
            while not _locked(file):
                if time.monotonic() > limit:
                    raise SimulationError(
                        f"process {self.owner_pid} does not let go", where=self.name
                    )
                pause.wait(0.002)
            yield

    @property
    def is_open(self) -> bool:
        """Whether some process has it open."""
        with suppress(SimulationError), self.occupied():
            return False
        return True

    def close(self) -> None:
        """Let go of the control file; the stick stays as it is."""
        self.control.close()


class SimulatedSticks(Mapping[str, SimulatedStick]):
    """All sticks of one folder, by name: `usb0`, `usb1`, `pci0` …

    Used as a context manager it makes them, plugged, and unplugs them at the end; `attach` is for
    another process that wants to pull their levers.

    Args:
        folder: Gets `control/`, for the library, and `root/`, for the application.
        usb: How many USB sticks, or the ports they sit in, such as `1-1.4`.
        pci: How many PCIe cards.
        latency_ms: What one answer takes.
        is_plugged: Whether they are there from the start.
        library: The folder of the library; None: it is built.
    """

    def __init__(
        self,
        folder: Path,
        *,
        usb: int | Sequence[str] = 1,
        pci: int = 0,
        latency_ms: float = 7.0,
        is_plugged: bool = True,
        library: Path | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self._ports = [f"{FIRST_BUS}-{i + 1}" for i in range(usb)] if isinstance(usb, int) else usb
        self._pci_count = pci
        self._latency_us = round(latency_ms * 1000)
        self._is_plugged = is_plugged
        self._library = library
        self._sticks: dict[str, SimulatedStick] = {}

    @classmethod
    def attach(cls, folder: Path) -> SimulatedSticks:
        """Find the sticks that another process made.

        Raises:
            SimulationError: There are none.
        """
        sticks = cls(folder, usb=0)
        for path in sorted((sticks.folder / "control").glob("[up][sc][bi]*")):
            sticks._sticks[path.name] = sticks._stick(ControlFile(path))
        if not sticks._sticks:
            raise SimulationError(
                "no simulated sticks are here",
                where=str(folder),
                remedy="Start some: python -m tools.edgetpu_sim run --sticks 1 -- COMMAND",
            )
        return sticks

    def __enter__(self) -> Self:
        for kind in ("control", "root"):
            shutil.rmtree(self.folder / kind, ignore_errors=True)
        (self.folder / "control").mkdir(parents=True)
        make_root(self.folder / "root")
        shown = [f"/sys/bus/usb/devices/{port}" for port in self._ports]
        for number, path in enumerate(shown):
            self._add(f"usb{number}", path)
        for number in range(self._pci_count):
            self._add(f"pci{number}", f"/dev/apex_{number}")
        return self

    def _add(self, name: str, shown_path: str) -> None:
        path = self.folder / "control" / name
        stick = self._stick(ControlFile.create(path, shown_path=shown_path))
        stick.latency_us = self._latency_us
        # A card's driver gives up with an error; only the USB driver takes the process with it.
        stick.on_unplug = OnUnplug.FAIL if name.startswith("pci") else OnUnplug.ABORT
        self._sticks[name] = stick
        if self._is_plugged:
            stick.plug()

    def _stick(self, control: ControlFile) -> SimulatedStick:
        number = int(control.path.name[3:])
        root = self.folder / "root"
        if control.path.name.startswith("pci"):
            return SimulatedStick(control, PcieFiles(root, number), number)
        return SimulatedStick(control, UsbFiles(root, Path(control.shown_path).name), number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stick in self._sticks.values():
            stick.release()
            stick.unplug()
        self.close()

    def close(self) -> None:
        """Let go of the files; the sticks stay as they are."""
        for stick in self._sticks.values():
            stick.close()
        self._sticks.clear()

    def environment(self) -> dict[str, str]:
        """Return what a process must have in its environment to find these sticks, and only them.

        Raises:
            SimulationError: The library cannot be built.
        """
        library = self._library or build().parent
        before = os.environ.get("LD_LIBRARY_PATH", "")
        return {
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, (str(library), before))),
            SLOTS_VARIABLE: str(self.folder / "control"),
            ROOT_VARIABLE: str(self.folder / "root"),
        }

    def __getitem__(self, name: str) -> SimulatedStick:
        return self._sticks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sticks)

    def __len__(self) -> int:
        return len(self._sticks)


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


__all__ = ["BusyMode", "OnUnplug", "PrepMode", "SimulatedStick", "SimulatedSticks"]
