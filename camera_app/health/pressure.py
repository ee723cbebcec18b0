"""What the machine suffers from: heat, a weak supply, other work. Read from files, and `vcgencmd`.

All paths are below a root, so that a made-up machine can be looked at. What cannot be read is not
suffered from: a machine without such files has no such troubles to tell.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.inference.edgetpu.places import system_root
from camera_app.scheduling import Pressure

_log = logging.getLogger(__name__)

THERMAL = "sys/class/thermal"
HWMON = "sys/class/hwmon"
# The firmware's own word, where the kernel passes it on; else the command asks the firmware.
THROTTLED_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled"
VCGENCMD = ("usr/bin/vcgencmd", "opt/vc/bin/vcgencmd")
VCGENCMD_LIMIT_S = 1.0
VCGENCMD_EVERY_S = 5.0  # it starts a process
CPU_ZONES = ("cpu", "soc", "x86_pkg_temp", "acpitz")

# Bits of the firmware's word: what holds now. The upper half tells what has ever been.
UNDER_VOLTAGE_BIT = 0
THROTTLED_BITS = (1, 2, 3)  # clock capped, clock throttled, soft limit of temperature

NEW_SHARE = 0.3  # weight of the newest second in the share of other work


@dataclass(frozen=True, slots=True)
class _CpuTimes:
    """Processor time since the machine started, of all cores, in ticks.

    Attributes:
        busy: What ran, low priority left out: that makes room for us.
        total: All there was.
    """

    busy: int
    total: int


class PressureGauge:
    """Reads the pressure; belongs to one thread.

    Args:
        clock: Time.
        networks_cpu_ns: Returns the processor time that our networks have taken so far.
        root: Below which to look; None: the machine's.
    """

    def __init__(
        self, clock: Clock, networks_cpu_ns: Callable[[], int], root: Path | None = None
    ) -> None:
        self._clock = clock
        self._networks_cpu_ns = networks_cpu_ns
        self._root = root or system_root()
        self._cpu: tuple[_CpuTimes, int] | None = None  # and our networks' share of it
        self._others_share = 0.0
        self._asked_ns: int | None = None
        self._bits = 0

    def read(self) -> Pressure:
        """Return the pressure now."""
        bits = self._throttled_bits()
        return Pressure(
            temperature_c=self._temperature_c(),
            throttled=any(bits >> bit & 1 for bit in THROTTLED_BITS),
            under_voltage=bool(bits >> UNDER_VOLTAGE_BIT & 1) or self._has_low_voltage_alarm(),
            cpu_busy_share=self._cpu_busy_share(),
        )

    def _temperature_c(self) -> float | None:
        """Return how hot the processor is: the hottest of its zones."""
        found = [
            celsius
            for zone in _entries(self._root / THERMAL, "thermal_zone")
            if _text(zone / "type").lower().startswith(CPU_ZONES)
            and (celsius := _celsius(_text(zone / "temp"))) is not None
        ]
        return max(found, default=None)

    def _throttled_bits(self) -> int:
        text = _text(self._root / THROTTLED_FILE)
        if text:
            return _hexadecimal(text)
        now_ns = self._clock.monotonic_ns()
        if self._asked_ns is None or now_ns - self._asked_ns >= nanoseconds(VCGENCMD_EVERY_S):
            self._asked_ns = now_ns
            self._bits = self._asked_firmware()
        return self._bits

    def _asked_firmware(self) -> int:
        command = next((self._root / name for name in VCGENCMD if (self._root / name).exists()), "")
        if not command:
            return 0
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
            return 0
        return _hexadecimal(done.stdout.decode("ascii", "replace").partition("=")[2])

    def _has_low_voltage_alarm(self) -> bool:
        return any(
            _text(chip / "in0_lcrit_alarm") == "1"
            for chip in _entries(self._root / HWMON, "hwmon")
            if _text(chip / "name") == "rpi_volt"
        )

    def _cpu_busy_share(self) -> float:
        """Return the share of all cores that others took of late; smoothed."""
        times = _cpu_times(_text(self._root / "proc/stat"))
        if times is None:
            return 0.0
        ours_ns = self._networks_cpu_ns()
        before, self._cpu = self._cpu, (times, ours_ns)
        if before is None or times.total <= before[0].total:
            return self._others_share
        total = times.total - before[0].total
        ours = seconds(ours_ns - before[1]) * os.sysconf("SC_CLK_TCK")
        share = min(1.0, max(0.0, (times.busy - before[0].busy - ours) / total))
        self._others_share += NEW_SHARE * (share - self._others_share)
        return self._others_share


def _cpu_times(stat: str) -> _CpuTimes | None:
    """Return the times in the first line of /proc/stat."""
    words = stat.partition("\n")[0].split()
    if len(words) < 9 or words[0] != "cpu":
        return None
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, words[1:9])
    busy = user + system + irq + softirq + steal
    return _CpuTimes(busy, busy + nice + idle + iowait)


def _entries(folder: Path, prefix: str) -> Iterator[Path]:
    try:
        yield from sorted(path for path in folder.iterdir() if path.name.startswith(prefix))
    except OSError:  # a machine without such a folder
        return


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # not there, or a sensor that does not answer just now
        return ""


def _celsius(text: str) -> float | None:
    try:
        return int(text) / 1000
    except ValueError:
        return None


def _hexadecimal(text: str) -> int:
    try:
        return int(text.strip(), 16)
    except ValueError:
        return 0
