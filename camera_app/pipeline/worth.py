"""What a look at a region is worth, so that under load the least is left out first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from camera_app.config import CameraSettings
from camera_app.scheduling.load import Worth
from camera_app.values import Box

HasRule = Callable[[str], bool]
# A followed object: where it is expected, its class, and whether it moves or is in doubt.
Followed = tuple[Box, str, bool]


def rules_of(settings: CameraSettings) -> HasRule:
    """Return what tells whether a rule of the owner's waits for a class: a zone, or a line."""
    named = [zone.labels for zone in settings.zones] + [line.labels for line in settings.lines]
    wanted = [labels or settings.events.labels for labels in named]
    if not all(wanted):
        return lambda _label: True
    return frozenset(chain.from_iterable(wanted)).__contains__


def worth_of(
    region: Box, moving: Sequence[Box], followed: Iterable[Followed], has_rule: HasRule
) -> Worth:
    """Return what another look at a region is worth.

    Args:
        region: In pixels of the frame.
        moving: What moves.
        followed: What is followed.
        has_rule: Tells the classes that a rule waits for.
    """
    inside = [one for one in followed if region.intersection(one[0]) > 0]
    lively = [label for _, label, is_lively in inside if is_lively]
    if any(map(has_rule, lively)):
        return Worth.RULE
    if lively:
        return Worth.TRACK
    if any(region.intersection(box) > 0 for box in moving):
        return Worth.MOTION
    return Worth.STANDING if inside else Worth.MOTION
