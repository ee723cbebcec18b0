"""What can be told about the sticks of this machine without touching one that may be in use.

The library is tried in a child, for it may not fit; a stick is opened only when that is asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from camera_app.children import ChannelClosed, ChildProcess
from camera_app.inference.edgetpu import findings
from camera_app.inference.edgetpu.child import LIBRARY_ENTRY
from camera_app.inference.edgetpu.findings import LIBRARY, Finding, StickFailed
from camera_app.inference.edgetpu.lock import holder_of
from camera_app.inference.edgetpu.places import (
    Place,
    find_places,
    is_permitted,
    temperature_c,
)
from camera_app.inference.edgetpu.stick import OPEN_LIMIT_S, Performance, Stick
from camera_app.inference.edgetpu.wire import Unintelligible, Version, understood
from camera_app.models import ModelPack

LIBRARY_LIMIT_S = 15.0
TRIAL_RUNS = 20
TRIAL_LIMIT_S = 5.0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A stick, seen from outside.

    Attributes:
        place: Where it sits.
        temperature_c: Of the chip; None where no driver tells.
        used_by: Process of this house that has it, 0 if that one has not said; None: nobody.
        findings: What is wrong with it, as far as that can be seen.
    """

    place: Place
    temperature_c: float | None
    used_by: int | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What opening a stick brought.

    Attributes:
        open_s: How long it took.
        invoke_ms: Median of some runs, by pack.
        findings: What is wrong with it, or with packs on it.
    """

    open_s: float
    invoke_ms: dict[str, float]
    findings: tuple[Finding, ...]


def survey_sticks() -> tuple[Surveyed, ...]:
    """Return every stick of this machine."""
    return tuple(_surveyed(place) for place in find_places())


def _surveyed(place: Place) -> Surveyed:
    found = []
    if place.is_too_slow:
        found.append(findings.wrong_cable(place))
    if not is_permitted(place):
        found.append(findings.no_permission(place))
    return Surveyed(place, temperature_c(place.name), holder_of(place.name), tuple(found))


def library_version(limit_s: float = LIBRARY_LIMIT_S) -> str:
    """Return what the Edge TPU's library says of itself.

    Raises:
        StickFailed: It cannot be loaded.
    """
    child = ChildProcess(LIBRARY_ENTRY, {}, name="tpu-library")
    child.start()
    try:
        packet = child.channel.receive(limit_s)
        said = understood(packet) if packet is not None else None
    except ChannelClosed as error:
        text = f"it crashed its process ({child.end(grace_s=1.0)})"
        raise StickFailed(findings.library_missing(LIBRARY, text)) from error
    except Unintelligible as error:
        raise StickFailed(findings.unintelligible(LIBRARY, str(error))) from error
    finally:
        child.end()
    if isinstance(said, Finding):
        raise StickFailed(said)
    if not isinstance(said, Version):
        text = f"that did not end within {limit_s:.0f} s"
        raise StickFailed(findings.library_missing(LIBRARY, text))
    return said.text


def try_out(
    place: Place,
    packs: Sequence[ModelPack],
    performance: Performance | None = None,
    *,
    open_limit_s: float = OPEN_LIMIT_S,
) -> Trial:
    """Open a stick, have its packs answer, measure, and close it.

    Another program than ours that has this stick loses it thereby.
    """
    stick = Stick(place.name, packs, performance)
    began_s = time.monotonic()
    try:
        stick.open(open_limit_s)
        open_s = time.monotonic() - began_s
        invoke_ms = {name: _median_ms(stick, name) for name in stick.stats.packs}
        return Trial(open_s, invoke_ms, tuple(stick.stats.refused.values()))
    except StickFailed as failure:
        refused = tuple(stick.stats.refused.values())
        others = tuple(finding for finding in refused if finding != failure.finding)
        return Trial(time.monotonic() - began_s, {}, (failure.finding, *others))
    finally:
        stick.close()


def _median_ms(stick: Stick, pack: str) -> float:
    inputs = [np.zeros(spec.shape, spec.dtype) for spec in stick.inputs(pack)]
    took = []
    for _ in range(TRIAL_RUNS):
        began_s = time.perf_counter()
        stick.invoke(pack, inputs, TRIAL_LIMIT_S)
        took.append(time.perf_counter() - began_s)
    return median(took) * 1000
