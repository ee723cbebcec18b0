"""How hot the processor is."""

from __future__ import annotations

from collections.abc import Iterator

from camera_app.doctor.findings import Finding
from camera_app.doctor.subject import Check, Examined, Kinds, Subject
from camera_app.health.firmware import Sensors
from camera_app.scheduling.rungs import HOT_C

WARM_C = 75.0

_kinds = Kinds("temperature")
HOT = _kinds.error(
    "hot",
    "the processor is so hot that it slows down, 80 °C or more",
    "Give it a heat sink and a fan, or a place that is cooler; until then look at less: a lower "
    "fps, a smaller model",
    "cat /sys/class/thermal/thermal_zone*/temp",
)
WARM = _kinds.warning(
    "warm",
    "the processor is within 5 °C of slowing down; a summer's day may do it",
    "Give it a heat sink or a fan",
    "cat /sys/class/thermal/thermal_zone*/temp",
)


def examine(subject: Subject) -> Examined:
    """Read the hottest zone of the processor."""
    celsius = Sensors.find(subject.machine.root).cpu_temperature_c()
    if celsius is None:
        return Examined(skipped="this machine does not tell")
    return Examined((f"{celsius:.1f} °C",), tuple(judge(celsius)))


def judge(celsius: float) -> Iterator[Finding]:
    """Say whether that is too hot."""
    if celsius >= HOT_C:
        yield HOT.found(f"the processor has {celsius:.1f} °C and slows down")
    elif celsius >= WARM_C:
        yield WARM.found(f"the processor has {celsius:.1f} °C, and slows down from {HOT_C:.0f} °C")


CHECK = Check("temperature", "heat of the processor", examine, _kinds.made)
