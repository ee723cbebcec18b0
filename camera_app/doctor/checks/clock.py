"""The clock: whether it is right, who keeps it so, and what it does while the power is off.

Events carry wall time, certificates are valid between dates, and a Raspberry Pi has no clock of
its own: it starts in the past until the network tells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.store import DATABASE_NAME

# This program did not exist before; and nobody expects it to run unchanged after.
EARLIEST_S = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
LATEST_S = datetime(2066, 1, 1, tzinfo=UTC).timestamp()
DAY_S = 86_400.0

SYNCHRONISED_MARK = "run/systemd/timesync/synchronized"

_kinds = Kinds("clock")
IMPLAUSIBLE = _kinds.error(
    "implausible",
    "the date cannot be right: events get wrong stamps, and TLS refuses every certificate",
    "Let the network set the clock",
    "sudo timedatectl set-ntp true && timedatectl",
)
BEHIND = _kinds.error(
    "behind",
    "files of this camera are from the future: the clock was put back, or lost the time",
    "Let the network set the clock; a clock module with a battery keeps it while the power is off",
    "sudo timedatectl set-ntp true && timedatectl",
)
NOBODY = _kinds.error(
    "not_kept",
    "nothing keeps the clock right: no time service is switched on",
    "Switch one on",
    "sudo timedatectl set-ntp true",
)
UNSYNCHRONISED = _kinds.warning(
    "not_synchronised",
    "the kernel's clock is not synchronised: the time service has not heard from a server",
    "See whether the time servers can be reached; in a network without internet name one that can",
    "timedatectl timesync-status || chronyc tracking",
)
NO_RTC = _kinds.note(
    "no_rtc",
    "the board has no clock that runs while the power is off: until the network tells the time, "
    "stamps are corrected afterwards",
    "Nothing has to be done; a clock module helps where there is no network at start",
    "ls /sys/class/rtc",
)


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """What is known of the clock.

    Attributes:
        now_s: Wall time, seconds since 1970.
        newest_s: When the newest file of this camera was written; None: there is none.
        is_synchronised: None: nobody tells.
        is_kept: Some time service is switched on; None: nobody tells.
        has_rtc: There is a clock with a battery.
    """

    now_s: float
    newest_s: float | None
    is_synchronised: bool | None
    is_kept: bool | None
    has_rtc: bool


def examine(subject: Subject) -> Examined:
    """Look at the clock."""
    facts = read(subject)
    words = {True: "synchronised", False: "not synchronised", None: "synchronisation is not told"}
    stamp = datetime.fromtimestamp(facts.now_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    rtc = "has a clock of its own" if facts.has_rtc else "no clock of its own"
    return Examined((stamp, words[facts.is_synchronised], rtc), tuple(judge(facts)))


def read(subject: Subject) -> ClockFacts:
    """Ask kernel, time services and files."""
    machine = subject.machine
    told = _timedatectl(machine)
    return ClockFacts(
        now_s=machine.wall_s(),
        newest_s=max(_written(subject), default=None),
        is_synchronised=_is_synchronised(machine, told),
        is_kept=_is_kept(machine, told),
        has_rtc=any(machine.entries("sys/class/rtc", "rtc")),
    )


def judge(facts: ClockFacts) -> Iterator[Finding]:
    """Say what is wrong with a clock."""
    if not EARLIEST_S <= facts.now_s <= LATEST_S:
        year = datetime.fromtimestamp(facts.now_s, UTC).strftime("%Y-%m-%d")
        yield IMPLAUSIBLE.found(f"the clock says {year}, which cannot be")
    elif facts.newest_s is not None and facts.newest_s > facts.now_s + DAY_S:
        days = (facts.newest_s - facts.now_s) / DAY_S
        yield BEHIND.found(f"files of this camera are {days:.0f} days ahead of the clock")
    if facts.is_synchronised is not True and facts.is_kept is False:
        yield NOBODY.found("no time service is switched on")
    elif facts.is_synchronised is False:
        yield UNSYNCHRONISED.found("the clock is not synchronised")
    if not facts.has_rtc and facts.is_synchronised is not True:
        yield NO_RTC.found("this board has no clock that runs while the power is off")


def _timedatectl(machine: Machine) -> dict[str, str]:
    ran = machine.run(("timedatectl", "show", "--property=NTP", "--property=NTPSynchronized"))
    if ran.code != 0:
        return {}
    pairs = (line.partition("=") for line in ran.output.splitlines())
    return {key: value.strip() for key, _, value in pairs}


def _is_synchronised(machine: Machine, told: dict[str, str]) -> bool | None:
    """Ask the kernel first: whoever keeps the time tells it so."""
    kernel = machine.kernel_clock()
    if kernel is not None and kernel.is_kept:
        return True
    if machine.has(SYNCHRONISED_MARK) or told.get("NTPSynchronized") == "yes":
        return True
    return None if kernel is None and "NTPSynchronized" not in told else False


def _is_kept(machine: Machine, told: dict[str, str]) -> bool | None:
    if told.get("NTP") == "yes" or _runs_another(machine):
        return True
    return False if told.get("NTP") == "no" else None


def _runs_another(machine: Machine) -> bool:
    """Say whether a time service runs that timedatectl may not know of."""
    names = {"chronyd", "ntpd", "ntpsec", "systemd-timesyn"}
    return any(
        machine.text(f"proc/{pid}/comm") in names
        for pid in machine.entries("proc")
        if pid.isdecimal()
    )


def _written(subject: Subject) -> Iterator[float]:
    paths = [subject.config_path] if subject.config_path is not None else list[Path]()
    if subject.config is not None:
        paths.append(subject.config.data.folder / DATABASE_NAME)
    for path in paths:
        try:
            yield path.stat().st_mtime
        except OSError:  # nothing was written yet
            continue


CHECK = Check("clock", "date, time service, clock with a battery", examine, _kinds.made)
