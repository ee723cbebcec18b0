"""Supply, heat, clock and memory: each fault written into the files of a made-up machine."""

from __future__ import annotations

import os

import pytest

from camera_app.doctor.checks import clock, memory, power, temperature

from .conftest import UNSYNCHRONISED, MadeMachine, kinds

PI = "Raspberry Pi 4 Model B Rev 1.5\0"
THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"
RIBBON = '[camera.front]\nsource = "picamera:0"\n'


# --- power ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bits", "found"),
    [
        (0x0, []),
        (0x1, ["power.under_voltage"]),
        (0x10001, ["power.under_voltage"]),
        (0x10000, ["power.had_under_voltage"]),
        (0x4, ["power.throttled"]),
        (0x40000, ["power.had_throttled"]),
        (0xE0000, ["power.had_throttled"]),
        (0x50005, ["power.under_voltage", "power.throttled"]),
    ],
)
def test_each_bit_of_the_firmwares_word_is_told(
    made: MadeMachine, bits: int, found: list[str]
) -> None:
    made.program("usr/bin/vcgencmd", f'echo "throttled=0x{bits:x}"')
    examined = power.examine(made.subject())
    assert kinds(examined) == found
    assert examined.facts == (f"the firmware's word is 0x{bits:x}",)


def test_the_kernels_word_needs_no_command(made: MadeMachine) -> None:
    made.write(THROTTLED, "20008\n")
    made.program("usr/bin/vcgencmd", 'echo "throttled=0x0"')
    [finding] = power.examine(made.subject()).findings
    assert finding.kind == "power.throttled"
    assert finding.what == "the processor is slowed down now: it is at its soft limit of heat"


def test_the_kernels_own_watch_of_the_supply_is_heard(made: MadeMachine) -> None:
    made.write("sys/class/hwmon/hwmon1/name", "rpi_volt\n")
    alarm = made.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert kinds(power.examine(made.subject())) == ["power.under_voltage"]
    alarm.write_text("0\n")
    assert kinds(power.examine(made.subject())) == []


def test_a_pi_that_does_not_tell_is_told_and_another_machine_is_not(made: MadeMachine) -> None:
    assert power.examine(made.subject()).skipped
    made.write("proc/device-tree/model", PI)
    made.program("usr/bin/vcgencmd", "exit 1")
    [finding] = power.examine(made.subject()).findings
    assert finding.kind == "power.silent"
    assert "usermod -aG video" in finding.line


# --- temperature ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("millidegrees", "found"),
    [
        (60_000, []),
        (74_900, []),
        (75_000, ["temperature.warm"]),
        (79_900, ["temperature.warm"]),
        (80_000, ["temperature.hot"]),
        (91_500, ["temperature.hot"]),
    ],
)
def test_heat_is_told_before_it_slows_the_processor_down(
    made: MadeMachine, millidegrees: int, found: list[str]
) -> None:
    made.write("sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    made.write("sys/class/thermal/thermal_zone0/temp", f"{millidegrees}\n")
    examined = temperature.examine(made.subject())
    assert kinds(examined) == found
    assert examined.facts == (f"{millidegrees / 1000:.1f} °C",)


def test_a_machine_without_a_thermometer_has_no_fever(made: MadeMachine) -> None:
    assert temperature.examine(made.subject()).skipped


# --- clock ---------------------------------------------------------------------------------------


def timedatectl(made: MadeMachine, *, ntp: str, synchronised: str) -> None:
    made.command("timedatectl", f"echo NTP={ntp}; echo NTPSynchronized={synchronised}")


def test_a_clock_that_is_kept_is_well(made: MadeMachine) -> None:
    timedatectl(made, ntp="yes", synchronised="yes")
    made.write("sys/class/rtc/rtc0/date", "")
    assert kinds(clock.examine(made.subject())) == []


def test_a_clock_that_nobody_keeps_is_told(made: MadeMachine) -> None:
    timedatectl(made, ntp="no", synchronised="no")
    made.write("sys/class/rtc/rtc0/date", "")
    made.kernel_clock = UNSYNCHRONISED
    [finding] = clock.examine(made.subject()).findings
    assert finding.kind == "clock.not_kept"
    assert finding.line == "sudo timedatectl set-ntp true"


def test_a_time_service_that_hears_nobody_is_told_and_so_is_a_missing_clock(
    made: MadeMachine,
) -> None:
    timedatectl(made, ntp="yes", synchronised="no")
    made.kernel_clock = UNSYNCHRONISED
    assert kinds(clock.examine(made.subject())) == ["clock.not_synchronised", "clock.no_rtc"]


def test_chrony_is_a_time_service_too(made: MadeMachine) -> None:
    timedatectl(made, ntp="no", synchronised="no")
    made.write("proc/812/comm", "chronyd\n")
    made.write("sys/class/rtc/rtc0/date", "")
    made.kernel_clock = UNSYNCHRONISED
    assert kinds(clock.examine(made.subject())) == ["clock.not_synchronised"]


def test_timesyncd_leaves_a_mark_where_the_kernel_may_not_be_asked(made: MadeMachine) -> None:
    made.command("timedatectl", "exit 1")
    made.kernel_clock = None
    made.write("run/systemd/timesync/synchronized", "")
    assert kinds(clock.examine(made.subject())) == []


@pytest.mark.parametrize("now_s", [0.0, 1_500_000_000.0, 4_000_000_000.0])
def test_a_date_that_cannot_be_is_told(made: MadeMachine, now_s: float) -> None:
    made.now_s = now_s
    assert "clock.implausible" in kinds(clock.examine(made.subject()))


def test_files_from_the_future_show_that_the_clock_was_put_back(made: MadeMachine) -> None:
    subject = made.subject(RIBBON)
    assert subject.config_path is not None
    ahead_s = made.now_s + 10 * 86_400
    os.utime(subject.config_path, (ahead_s, ahead_s))
    [finding] = [f for f in clock.examine(subject).findings if f.kind == "clock.behind"]
    assert finding.what == "files of this camera are 10 days ahead of the clock"


# --- memory --------------------------------------------------------------------------------------


def meminfo(
    made: MadeMachine, *, available_mb: int = 2000, cma_mb: int = 0, free_mb: int = 0
) -> None:
    lines = [f"MemAvailable: {available_mb * 1000_000 // 1024} kB"]
    if cma_mb:
        lines += [f"CmaTotal: {cma_mb * 1024} kB", f"CmaFree: {free_mb * 1024} kB"]
    made.write("proc/meminfo", "\n".join(lines) + "\n")


def test_contiguous_memory_that_is_too_small_for_a_ribbon_camera_is_told(made: MadeMachine) -> None:
    meminfo(made, cma_mb=16, free_mb=16)
    assert kinds(memory.examine(made.subject())) == []  # nobody needs it
    made.write("boot/config.txt", "")
    [finding] = memory.examine(made.subject(RIBBON)).findings
    assert finding.kind == "memory.cma_small"
    # 4 buffers of 1280x720 at 1.5 bytes a pixel are 5.5 MB; libcamera's own about 32.
    assert "take about 38 MB" in finding.what
    assert finding.line.endswith("cma-128/' /boot/config.txt && sudo reboot")


def test_two_large_ribbon_cameras_need_more_of_it(made: MadeMachine) -> None:
    meminfo(made, cma_mb=64, free_mb=64)
    large = "\n".join(
        f'[camera.c{n}]\nsource = "picamera:{n}"\nwidth = 2304\nheight = 1296' for n in range(3)
    )
    [finding] = memory.examine(made.subject(large)).findings
    assert finding.kind == "memory.cma_small"
    assert "cma-256/" in finding.line


def test_a_board_that_takes_other_memory_for_cameras_lacks_none(made: MadeMachine) -> None:
    """A Pi 5 has 64 MB of it or less, and its cameras run."""
    meminfo(made, cma_mb=16, free_mb=16)
    made.link("dev/dma_heap/vidbuf_cached", "/dev/dma_heap/system")
    assert kinds(memory.examine(made.subject(RIBBON))) == []


def test_contiguous_memory_that_somebody_else_has_is_told(made: MadeMachine) -> None:
    meminfo(made, cma_mb=256, free_mb=10)
    assert kinds(memory.examine(made.subject(RIBBON))) == ["memory.cma_used"]


def test_little_memory_pressure_and_kills_are_told(made: MadeMachine) -> None:
    meminfo(made, available_mb=120)
    made.write("proc/vmstat", "pgfault 12\noom_kill 3\n")
    made.write(
        "proc/pressure/memory",
        "some avg10=40.00 avg60=22.50 avg300=3.00 total=1\n"
        "full avg10=1.00 avg60=1.00 avg300=1.00 total=1\n",
    )
    examined = memory.examine(made.subject())
    assert kinds(examined) == ["memory.low", "memory.pressure", "memory.killed"]
    assert "22 % of the last minute" in examined.findings[1].what


def test_plenty_of_memory_is_well(made: MadeMachine) -> None:
    meminfo(made)
    made.write("proc/vmstat", "oom_kill 0\n")
    made.write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
    assert kinds(memory.examine(made.subject())) == []
