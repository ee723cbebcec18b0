"""Event changes that no camera made, for measuring what becomes of them."""

from __future__ import annotations

from camera_app.events import event_id
from camera_app.values import BestMoment, Box, ChangeType, Event, EventChange, Size


def made_change(number: int, *, camera: str, at_ns: int, wall_ns: int) -> EventChange:
    """Return the start of a person's event, as long as a camera's own.

    Args:
        number: Makes an event of its own of each, among those of one millisecond.
        camera: Whose it is.
        at_ns: When, monotonic.
        wall_ns: When, since 1970.
    """
    box = Box(101.5, 80.0, 160.0, 240.5)
    event = Event(
        event_id=event_id(wall_ns, number),
        camera=camera,
        label="person",
        started_ns=at_ns,
        last_seen_ns=at_ns,
        box=box,
        score=0.8125,
        top_score=0.875,
        best=BestMoment(at_ns, box, 0.875),
        frame_size=Size(1280, 720),
        zones=("gate",),
        entered_zones=("gate",),
    )
    return EventChange(ChangeType.STARTED, at_ns, wall_ns, event, "appeared")
