"""What a machine says of its heat and its supply: files of sysfs, and the firmware of a Pi.

All paths are below a root, so that a made-up machine can be looked at. What the values mean for
the work is told by whoever reads them.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.kernel import text_of

_log = logging.getLogger(__name__)

THERMAL = "sys/class/thermal"
HWMON = "sys/class/hwmon"
# The firmware's own word, where the kernel passes it on; else the command asks the firmware.
THROTTLED_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
VCGENCMD_LIMIT_S = 1.0
CPU_ZONES = ("cpu", "soc", "x86_pkg_temp", "acpitz")

# Bits of the firmware's word: what holds now. The same, so much higher: what has ever been.
UNDER_VOLTAGE_BIT = 0
THROTTLED_BITS = (1, 2, 3)  # clock capped, clock throttled, soft limit of temperature
SINCE_START_SHIFT = 16


@dataclass(frozen=True, slots=True)
class Sensors:
    """Where a machine tells its heat, and whether its supply is weak.

    Attributes:
        temperatures: Files of the processor's zones.
        alarms: Files of the kernel's own watch of the supply; none: there is no watch.
    """

    temperatures: tuple[Path, ...] = ()
    alarms: tuple[Path, ...] = ()

    @classmethod
    def find(cls, root: Path) -> Sensors:
        """Look for them; which there are changes only when a driver comes or goes."""
        return cls(
            tuple(
                zone / "temp"
                for zone in _entries(root / THERMAL, "thermal_zone")
                if text_of(zone / "type").lower().startswith(CPU_ZONES)
            ),
            tuple(
                chip / "in0_lcrit_alarm"
                for chip in _entries(root / HWMON, "hwmon")
                if text_of(chip / "name") == "rpi_volt"
            ),
        )

    def cpu_temperature_c(self) -> float | None:
        """Return how hot the processor is, the hottest of its zones; None where nothing tells."""
        told = (_celsius(text_of(file)) for file in self.temperatures)
        return max((celsius for celsius in told if celsius is not None), default=None)

    def has_low_voltage_alarm(self) -> bool | None:
        """Return whether the kernel's watch of the supply is alarmed; None: there is no watch."""
        return any(text_of(file) == "1" for file in self.alarms) if self.alarms else None


def told_throttled_bits(root: Path) -> int | None:
    """Return the firmware's word as the kernel passes it on; None where it does not."""
    text = text_of(f"{root}/{THROTTLED_FILE}")
    return _hexadecimal(text) if text else None


def asked_throttled_bits(root: Path) -> int | None:
    """Ask the firmware with its command, which starts a process; None: there is no answer."""
    command = next((root / name for name in VCGENCMD if (root / name).exists()), "")
    if not command:
        return None
    try:
        done = subprocess.run(
            [command, "get_throttled"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=VCGENCMD_LIMIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        _log.debug("the firmware does not tell whether it is throttled: %s", error)
        return None
    return _hexadecimal(done.stdout.decode("ascii", "replace").partition("=")[2])


def _entries(folder: Path, prefix: str) -> Iterator[Path]:
    """Yield what lies in a folder of sysfs under names that begin so, in order."""
    try:
        yield from sorted(path for path in folder.iterdir() if path.name.startswith(prefix))
    except OSError:  # a machine without such a folder
        return


def _celsius(text: str) -> float | None:
    try:
        return int(text) / 1000
    except ValueError:
        return None


def _hexadecimal(text: str) -> int | None:
    try:
        return int(text.strip(), 16)
    except ValueError:
        return None
