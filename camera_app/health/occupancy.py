"""How many of each class are before a camera and in its zones: what automations look at. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from camera_app.config import CameraSettings
from camera_app.values import Event

Place = tuple[str, str]  # zone, or empty for the whole camera, and label


def places_of(settings: CameraSettings, known_labels: Sequence[str]) -> list[Place]:
    """Return every place that is counted, so that a zero is told from the first moment.

    Args:
        settings: The camera's.
        known_labels: What its models can find; nothing else is counted.
    """
    wanted = settings.events.labels or known_labels
    labels = [label for label in wanted if label in known_labels]
    places = [("", label) for label in labels]
    for zone in settings.zones:
        places += [
            (zone.name, label) for label in labels if not zone.labels or label in zone.labels
        ]
    return places


def occupancy(places: Sequence[Place], open_events: Iterable[Event]) -> dict[Place, int]:
    """Return how many open events each place holds now; every place is in it."""
    counts = Counter(
        place
        for event in open_events
        for place in [("", event.label), *((zone, event.label) for zone in event.zones)]
    )
    return {place: counts[place] for place in places}
