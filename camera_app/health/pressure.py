"""What the machine suffers from: heat, a weak supply, other work. Read from files, and `vcgencmd`.

All paths are below a root, so that a made-up machine can be looked at. What cannot be read is not
suffered from: a machine without such files has no such troubles to tell.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.health.firmware import (
    THROTTLED_BITS,
    UNDER_VOLTAGE_BIT,
    Sensors,
    asked_throttled_bits,
    told_throttled_bits,
)
from camera_app.inference.edgetpu.places import system_root
from camera_app.kernel import text_of
from camera_app.scheduling import Pressure

VCGENCMD_EVERY_S = 5.0  # it starts a process
SENSORS_EVERY_S = 60.0  # a driver may be loaded after us

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
        own_cpu_ns: Returns the processor time that we have taken so far, at no low priority.
        root: Below which to look; None: the machine's.
    """

    def __init__(
        self, clock: Clock, own_cpu_ns: Callable[[], int], root: Path | None = None
    ) -> None:
        self._clock = clock
        self._own_cpu_ns = own_cpu_ns
        self._root = root or system_root()
        self._cpu: tuple[_CpuTimes, int] | None = None  # and our share of it
        self._others_share = 0.0
        self._asked_ns: int | None = None
        self._bits = 0
        self._found_ns: int | None = None
        self._sensors = Sensors()

    def read(self) -> Pressure:
        """Return the pressure now."""
        bits, sensors = self._throttled_bits(), self._known_sensors()
        return Pressure(
            temperature_c=sensors.cpu_temperature_c(),
            throttled=any(bits >> bit & 1 for bit in THROTTLED_BITS),
            under_voltage=bool(bits >> UNDER_VOLTAGE_BIT & 1)
            or bool(sensors.has_low_voltage_alarm()),
            cpu_busy_share=self._cpu_busy_share(),
        )

    def _known_sensors(self) -> Sensors:
        now_ns = self._clock.monotonic_ns()
        if self._found_ns is None or now_ns - self._found_ns >= nanoseconds(SENSORS_EVERY_S):
            self._found_ns, self._sensors = now_ns, Sensors.find(self._root)
        return self._sensors

    def _throttled_bits(self) -> int:
        told = told_throttled_bits(self._root)
        if told is not None:
            return told
        now_ns = self._clock.monotonic_ns()
        if self._asked_ns is None or now_ns - self._asked_ns >= nanoseconds(VCGENCMD_EVERY_S):
            self._asked_ns = now_ns
            self._bits = asked_throttled_bits(self._root) or 0
        return self._bits

    def _cpu_busy_share(self) -> float:
        """Return the share of all cores that other programs took of late; smoothed."""
        times = _cpu_times(text_of(f"{self._root}/proc/stat"))
        if times is None:
            return 0.0
        ours_ns = self._own_cpu_ns()
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
