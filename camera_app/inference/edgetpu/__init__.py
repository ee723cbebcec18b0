"""Edge TPUs: where they sit, what can be wrong with them, and one as a device that runs networks.

Each lives in a child process of its own. What is listed here is imported when it is first asked
for, because that child imports this package too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from camera_app.lazy import finder

if TYPE_CHECKING:
    from camera_app.inference.edgetpu.findings import Finding, FindingKind, StickFailed
    from camera_app.inference.edgetpu.places import PLACE_PATTERN, Bus, Place, find_places
    from camera_app.inference.edgetpu.stick import (
        OPEN_LIMIT_S,
        PLACES,
        Performance,
        Stick,
        StickStats,
    )
    from camera_app.inference.edgetpu.survey import (
        Surveyed,
        Trial,
        library_version,
        survey_sticks,
        try_out,
    )
    from camera_app.inference.edgetpu.watch import PlaceWatch

__all__ = [
    "OPEN_LIMIT_S",
    "PLACES",
    "PLACE_PATTERN",
    "Bus",
    "Finding",
    "FindingKind",
    "Performance",
    "Place",
    "PlaceWatch",
    "Stick",
    "StickFailed",
    "StickStats",
    "Surveyed",
    "Trial",
    "find_places",
    "library_version",
    "survey_sticks",
    "try_out",
]

_HOMES = {
    "OPEN_LIMIT_S": "stick",
    "PLACES": "stick",
    "PLACE_PATTERN": "places",
    "Bus": "places",
    "Finding": "findings",
    "FindingKind": "findings",
    "Performance": "stick",
    "Place": "places",
    "PlaceWatch": "watch",
    "Stick": "stick",
    "StickFailed": "findings",
    "StickStats": "stick",
    "Surveyed": "survey",
    "Trial": "survey",
    "find_places": "places",
    "library_version": "survey",
    "survey_sticks": "survey",
    "try_out": "survey",
}

__getattr__ = finder(__name__, _HOMES)
