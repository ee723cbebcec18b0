"""Whether the camera can see and can deliver: what "ready" means, for whoever asks. Pure.

The container's health check, the words for systemd and the doctor all ask this one rule. It reads
the frozen figures of every part and knows nothing of files or topics; the values are in the module
`camera_app.readiness`, which costs nothing to import.
"""

from __future__ import annotations

from collections.abc import Iterator

from camera_app.clock import nanoseconds
from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.media import SpaceLevel
from camera_app.readiness import Ability, Readiness, Shortfall

# While pictures come, some are looked at or found unchanged several times a second; under load
# the scheduler promises each camera `min_fps`, which is seldom below one in some seconds.
UNSEEN_LIMIT_S = 15.0


def readiness_of(figures: DeviceFigures, now_ns: int) -> Readiness:
    """Return whether every camera that is to look sees, and whether events get out.

    A camera that the owner closed or paused is as it should be. So is a service without a broker,
    if none is configured: its events are kept here.

    Args:
        figures: Of every part.
        now_ns: Monotonic time.
    """
    return Readiness((*_unseeing(figures, now_ns), *_undelivering(figures)))


def _unseeing(figures: DeviceFigures, now_ns: int) -> Iterator[Shortfall]:
    if not figures.cameras:
        yield Shortfall(Ability.SEE, "cameras", "none is switched on")
    for name, camera in figures.cameras.items():
        problem = _problem_of(camera, now_ns)
        if problem:
            yield Shortfall(Ability.SEE, f"camera {name}", problem)


def _problem_of(camera: CameraFigures, now_ns: int) -> str:
    """Return why this camera does not see; empty: it does, or is not meant to."""
    source, watch = camera.source, camera.watch
    if watch.paused:
        return ""
    if not source.is_delivering:
        return f"brings no pictures: {source.state}"
    if not watch.counts.looked_at:
        return "none of its pictures has been looked at yet"
    since_ns = watch.unseen_since_ns
    if since_ns is not None and now_ns - since_ns > nanoseconds(UNSEEN_LIMIT_S):
        return f"nothing has looked at its pictures for {UNSEEN_LIMIT_S:.0f} s and more"
    return ""


def _undelivering(figures: DeviceFigures) -> Iterator[Shortfall]:
    store, publisher = figures.store, figures.publisher
    if store.state != "open":
        trouble = f": {store.trouble}" if store.trouble else ""
        yield Shortfall(Ability.DELIVER, "store", f"is {store.state}{trouble}")
    elif figures.space.level is SpaceLevel.FULL:
        yield Shortfall(Ability.DELIVER, "disk", "is full, and events wait in memory")
    if publisher is not None and not publisher.is_connected:
        trouble = f": {publisher.last_error}" if publisher.last_error else ""
        yield Shortfall(Ability.DELIVER, "broker", f"{publisher.state}{trouble}")
