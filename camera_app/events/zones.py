"""Which named parts of the picture an object stands in.

An object stands where its foot is, the middle of its lower edge. It has to stand in a zone for
the zone's inertia before it counts as inside, and out of it as long before it counts as outside:
a box that trembles on a border does not enter and leave with every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from camera_app.clock import nanoseconds
from camera_app.config import Vertex, ZoneSettings
from camera_app.values import Point, Size

FOOTLESS = frozenset({"face"})  # classes whose lower edge does not touch the ground


def counts_foot_of(labels: Sequence[str], label: str) -> bool:
    """Tell whether a rule for these classes counts where a label's foot goes; none named: all.

    What has no foot counts only where it is named: a face is beside its person otherwise.
    """
    return label in labels if labels else label not in FOOTLESS


def zones_at(zones: Sequence[ZoneSettings], foot: Point, label: str, size: Size) -> frozenset[str]:
    """Return the names of the zones that a foot stands in and that count this label.

    Args:
        zones: The camera's zones.
        foot: In pixels; one that lies on or past the frame's edge is taken as just inside.
        label: Class of the object.
        size: Size of the frame.
    """
    x = min(max(foot.x / size.width, 0.0), 1.0 - 1e-9)
    y = min(max(foot.y / size.height, 0.0), 1.0 - 1e-9)
    return frozenset(
        zone.name
        for zone in zones
        if (not zone.labels or label in zone.labels) and is_inside(zone.polygon, x, y)
    )


def is_inside(polygon: Sequence[Vertex], x: float, y: float) -> bool:
    """Tell whether a point lies in a polygon, by the even-odd rule."""
    inside = False
    ax, ay = polygon[-1]
    for bx, by in polygon:
        if (ay > y) != (by > y) and x < (bx - ax) * (y - ay) / (by - ay) + ax:
            inside = not inside
        ax, ay = bx, by
    return inside


@dataclass(slots=True)
class _Presence:
    """One zone as one object sees it.

    Attributes:
        is_inside: What counts now.
        doubted_ns: Since when the foot has said otherwise; None while it agrees.
        since_ns: When what counts now began to be seen.
    """

    is_inside: bool = False
    doubted_ns: int | None = None
    since_ns: int = 0


@dataclass(frozen=True, slots=True)
class Stay:
    """An object's stay in a zone that goes on.

    Attributes:
        zone: The zone.
        since_ns: When it was first seen there.
    """

    zone: ZoneSettings
    since_ns: int


class ZonePresence:
    """Follows one object through the zones of one camera."""

    def __init__(self, zones: Sequence[ZoneSettings]) -> None:
        self._zones = tuple(zones)
        self._presences = {zone.name: _Presence() for zone in zones}
        self._entered: list[str] = []

    @property
    def inside(self) -> tuple[str, ...]:
        """Names of the zones it stands in, in the order of the configuration."""
        return tuple(name for name, presence in self._presences.items() if presence.is_inside)

    @property
    def entered(self) -> tuple[str, ...]:
        """Names of the zones it has ever entered, in order of entering."""
        return tuple(self._entered)

    @property
    def stays(self) -> tuple[Stay, ...]:
        """Where it stands, by the last sight too, in the order of the configuration."""
        found = ((zone, self._presences[zone.name]) for zone in self._zones)
        return tuple(
            Stay(zone, presence.since_ns)
            for zone, presence in found
            if presence.is_inside and presence.doubted_ns is None
        )

    def update(self, foot: Point, label: str, size: Size, at_ns: int) -> None:
        """Take note of where the foot stands at a moment."""
        if not self._zones:
            return
        standing = zones_at(self._zones, foot, label, size)
        for zone in self._zones:
            self._weigh(zone, zone.name in standing, at_ns)

    def _weigh(self, zone: ZoneSettings, stands_inside: bool, at_ns: int) -> None:
        presence = self._presences[zone.name]
        if stands_inside == presence.is_inside:
            presence.doubted_ns = None
            return
        if presence.doubted_ns is None:
            presence.doubted_ns = at_ns
        if at_ns - presence.doubted_ns < nanoseconds(zone.inertia_s):
            return
        presence.since_ns = presence.doubted_ns
        presence.is_inside, presence.doubted_ns = stands_inside, None
        if stands_inside and zone.name not in self._entered:
            self._entered.append(zone.name)
