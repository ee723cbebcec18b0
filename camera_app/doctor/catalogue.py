"""All checks, in the order in which they are told, and all that they can find."""

from __future__ import annotations

from collections.abc import Iterator

from camera_app.doctor.checks import (
    accelerator,
    broker,
    cameras,
    clock,
    configuration,
    disk,
    memory,
    models,
    permissions,
    power,
    python,
    service,
    temperature,
)
from camera_app.doctor.findings import Kind
from camera_app.doctor.subject import Kinds

CHECKS = (
    configuration.CHECK,
    service.CHECK,
    python.CHECK,
    power.CHECK,
    temperature.CHECK,
    clock.CHECK,
    memory.CHECK,
    disk.CHECK,
    permissions.CHECK,
    cameras.CHECK,
    accelerator.CHECK,
    models.CHECK,
    broker.CHECK,
)

_kinds = Kinds("doctor")
HUNG = _kinds.error(
    "hung",
    "a check was not done in time: what it looked at hangs, or the machine is too busy",
    "Give it more time",
    "camera-app doctor --only <check> --deadline 60 --config <config>",
)
CRASHED = _kinds.error(
    "crashed",
    "a check failed by a mistake of ours; the others were done",
    "Please report the text",
    "camera-app doctor --only <check> --json --config <config>",
)


def all_kinds() -> Iterator[Kind]:
    """Yield everything that can be found, in the order of the checks."""
    for check in CHECKS:
        yield from check.kinds
    yield from _kinds.made
