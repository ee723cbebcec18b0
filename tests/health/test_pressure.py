"""Heat, voltage and other work, on made-up machines."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from camera_app.clock import ManualClock
from camera_app.health.pressure import PressureGauge
from camera_app.scheduling import Pressure
from tests.made_files import MadeFiles

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class Machine(MadeFiles):
    """The files of a machine that never was."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.clock = ManualClock()
        self.own_cpu_ns = 0
        self.gauge = PressureGauge(self.clock, lambda: self.own_cpu_ns, root)

    def zone(self, number: int, kind: str, temperature: str) -> None:
        self.write(f"sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
        self.write(f"sys/class/thermal/thermal_zone{number}/temp", f"{temperature}\n")

    def command(self, text: str) -> Path:
        return self.program("usr/bin/vcgencmd", text)

    def cpu(self, *, user: float, nice: float = 0.0, idle: float) -> None:
        """Set what two cores did since the start, in seconds."""
        values = [round(each * TICKS_A_SECOND) for each in (user, nice, 0, idle, 0, 0, 0, 0)]
        self.write("proc/stat", f"cpu  {' '.join(map(str, values))} 0 0\ncpu0 1 2 3\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "root")


def test_a_machine_that_tells_nothing_suffers_from_nothing(machine: Machine) -> None:
    assert machine.gauge.read() == Pressure()


def test_the_hottest_zone_of_the_processor_counts(machine: Machine) -> None:
    machine.zone(0, "cpu-thermal", "61500")
    machine.zone(1, "iwlwifi_1", "99000")
    machine.zone(2, "x86_pkg_temp", "63000")
    machine.zone(3, "cpu-broken", "no idea")
    assert machine.gauge.read().temperature_c == 63.0


def test_a_sensor_whose_driver_comes_late_is_found(machine: Machine) -> None:
    assert machine.gauge.read().temperature_c is None
    machine.zone(0, "cpu-thermal", "61500")
    machine.clock.advance(60.0)
    assert machine.gauge.read().temperature_c == 61.5


@pytest.mark.parametrize(
    ("word", "is_throttled", "is_low"),
    [
        ("0x0", False, False),
        ("50000", False, False),  # it was, and is not now
        ("50005", True, True),
        ("1", False, True),
        ("2", True, False),
        ("8", True, False),
        ("nonsense", False, False),
    ],
)
def test_the_word_of_the_firmware_tells_what_holds_now(
    machine: Machine, word: str, is_throttled: bool, is_low: bool
) -> None:
    machine.write("sys/devices/platform/soc/soc:firmware/get_throttled", word)
    pressure = machine.gauge.read()
    assert (pressure.throttled, pressure.under_voltage) == (is_throttled, is_low)


def test_the_command_is_asked_where_there_is_no_file_and_not_each_second(machine: Machine) -> None:
    command = machine.command("echo throttled=0x5")
    assert machine.gauge.read() == Pressure(throttled=True, under_voltage=True)
    command.unlink()
    machine.clock.advance(4.9)
    assert machine.gauge.read().throttled
    machine.clock.advance(0.1)
    assert not machine.gauge.read().throttled


@pytest.mark.parametrize("text", ["exit 1", "echo VCHI initialization failed", "exec sleep 60"])
def test_a_command_that_fails_or_hangs_tells_nothing(
    machine: Machine, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camera_app.health.firmware.VCGENCMD_LIMIT_S", 0.2)
    machine.command(text)
    assert machine.gauge.read() == Pressure()


def test_the_alarm_of_the_supply_is_heard(machine: Machine) -> None:
    machine.write("sys/class/hwmon/hwmon0/name", "nvme")
    machine.write("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "1")
    machine.write("sys/class/hwmon/hwmon1/name", "rpi_volt")
    machine.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0")
    assert not machine.gauge.read().under_voltage
    machine.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1")
    assert machine.gauge.read().under_voltage


def test_other_work_is_what_neither_we_nor_low_priority_take(machine: Machine) -> None:
    """Of two cores: ours half of one, others half of one, low priority the other one whole."""
    user, nice, share = 0.0, 0.0, 0.0
    for _ in range(20):
        machine.cpu(user=user, nice=nice, idle=0.0)
        share = machine.gauge.read().cpu_busy_share
        user, nice = user + 1.0, nice + 1.0
        machine.own_cpu_ns += 500_000_000
    assert share == pytest.approx(0.25, abs=0.01)
