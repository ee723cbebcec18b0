"""Who stays where one should pass: told once a stay, and again now and then if that is wanted.

A stay begins with the first sight inside a zone and ends when the zone's inertia lets it end, so a
foot that trembles on the border begins no new one. Only what is seen inside counts as staying.
"""

from __future__ import annotations

from collections.abc import Iterable

from camera_app.clock import nanoseconds
from camera_app.config import ZoneSettings
from camera_app.events.zones import Stay, counts_foot_of
from camera_app.values import Loitering


class Loiterer:
    """Follows the stays of one object."""

    def __init__(self) -> None:
        # By zone: beginning of the stay that was told, and how often it was due by then.
        self._told: dict[str, tuple[int, int]] = {}

    def update(self, stays: Iterable[Stay], label: str, at_ns: int) -> list[Loitering]:
        """Return what is to be told of the zones that an object was just seen in.

        Args:
            stays: Its stays that go on.
            label: Its class.
            at_ns: When it was seen.
        """
        found = []
        for stay in stays:
            zone = stay.zone
            if not zone.loitering_s or not counts_foot_of(zone.labels, label):
                continue
            due = times_due(zone, at_ns - stay.since_ns)
            since_ns, told = self._told.get(zone.name, (stay.since_ns, 0))
            if since_ns != stay.since_ns:
                told = 0
            if due > told:
                self._told[zone.name] = stay.since_ns, due
                found.append(Loitering(zone.name, stay.since_ns, due - 1))
        return found


def times_due(zone: ZoneSettings, stayed_ns: int) -> int:
    """Return how often a stay of this length was to be told by now."""
    over_ns = stayed_ns - nanoseconds(zone.loitering_s)
    if over_ns < 0:
        return 0
    repeat_ns = nanoseconds(zone.loitering_repeat_s)
    return 1 + (over_ns // repeat_ns if repeat_ns else 0)
