"""The supply, and whether the board is slowed down: the word of a Raspberry Pi's firmware."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from camera_app.doctor.findings import Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.health.firmware import (
    SINCE_START_SHIFT,
    THROTTLED_BITS,
    UNDER_VOLTAGE_BIT,
    Sensors,
    asked_throttled_bits,
    told_throttled_bits,
)

_kinds = Kinds("power")
_SUPPLY = (
    "Use the supply that belongs to the board (5.1 V 3 A for a Pi 4, 5 A for a Pi 5) and a short, "
    "thick cable, and give USB devices a hub with a supply of its own"
)
UNDER_VOLTAGE = _kinds.error(
    "under_voltage",
    "the supply is too weak right now: cards get damaged, sticks drop off, the board slows down",
    _SUPPLY,
    "vcgencmd get_throttled",
)
HAD_UNDER_VOLTAGE = _kinds.warning(
    "had_under_voltage",
    "the supply was too weak at some time since the start",
    _SUPPLY,
    "journalctl -k --grep 'nder-voltage'",
)
THROTTLED = _kinds.warning(
    "throttled",
    "the firmware slows the processor down right now, because of heat or a weak supply",
    "Cool the board, and see to its supply",
    "watch -n 2 'vcgencmd measure_temp; vcgencmd get_throttled'",
)
HAD_THROTTLED = _kinds.note(
    "had_throttled",
    "the firmware slowed the processor down at some time since the start",
    "Cool the board, and see to its supply",
    "vcgencmd get_throttled",
)
SILENT = _kinds.note(
    "silent",
    "this is a Raspberry Pi, and its firmware does not tell how its supply does",
    "Install its tools, and let this user ask: the group video may",
    "sudo apt-get install -y raspi-utils && sudo usermod -aG video <user>",
)


@dataclass(frozen=True, slots=True)
class Supply:
    """What is told of the supply.

    Attributes:
        bits: The firmware's word; None: it does not tell.
        alarm: The kernel's watch is alarmed; None: there is no watch.
        is_pi: The board is one that should tell.
    """

    bits: int | None
    alarm: bool | None
    is_pi: bool


def examine(subject: Subject) -> Examined:
    """Look at the supply."""
    supply = read(subject.machine)
    if supply.bits is None and supply.alarm is None and not supply.is_pi:
        return Examined(skipped="this machine does not tell")
    findings = tuple(judge(supply, subject.user))
    word = "" if supply.bits is None else f"the firmware's word is 0x{supply.bits:x}"
    return Examined((word,) if word else (), findings)


def read(machine: Machine) -> Supply:
    """Read what firmware and kernel tell."""
    bits = told_throttled_bits(machine.root)
    if bits is None:
        bits = asked_throttled_bits(machine.root)
    return Supply(bits, Sensors.find(machine.root).has_low_voltage_alarm(), machine.is_pi)


def judge(supply: Supply, user: str) -> Iterator[Finding]:
    """Say what is wrong with a supply."""
    if supply.bits is None and supply.alarm is None:
        yield SILENT.found("the firmware does not tell how the supply does", user=user)
        return
    bits = supply.bits or 0
    before = bits >> SINCE_START_SHIFT
    if bits >> UNDER_VOLTAGE_BIT & 1 or supply.alarm:
        yield UNDER_VOLTAGE.found("the supply is too weak now")
    elif before >> UNDER_VOLTAGE_BIT & 1:
        yield HAD_UNDER_VOLTAGE.found("the supply was too weak at some time since the start")
    if _any_of(bits):
        yield THROTTLED.found(f"the processor is slowed down now: {_reasons(bits)}")
    elif _any_of(before):
        yield HAD_THROTTLED.found(
            f"the processor was slowed down at some time since the start: {_reasons(before)}"
        )


def _any_of(bits: int) -> bool:
    return any(bits >> bit & 1 for bit in THROTTLED_BITS)


def _reasons(bits: int) -> str:
    names = {1: "its clock is capped", 2: "it is throttled", 3: "it is at its soft limit of heat"}
    return ", ".join(name for bit, name in names.items() if bits >> bit & 1)


CHECK = Check("power", "supply and throttling, as the firmware tells them", examine, _kinds.made)
