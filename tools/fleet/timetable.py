"""When the cameras of a fleet see somebody. Pure: the same seed gives the same times."""

from __future__ import annotations

import random
from dataclasses import dataclass

from camera_app.values import ChangeType

# A visit as the camera tells it: seconds after its start, what changes, why.
VISIT: tuple[tuple[float, ChangeType, str], ...] = (
    (0.0, ChangeType.STARTED, "appeared"),
    (0.5, ChangeType.UPDATED, "zones"),
    (1.5, ChangeType.UPDATED, "score"),
    (3.0, ChangeType.ENDED, "left"),
)
VISIT_S = VISIT[-1][0]


@dataclass(frozen=True, slots=True, order=True)
class Due:
    """One change of one visit, and when a camera has to tell it.

    Attributes:
        at_s: After the beginning of the run.
        camera: Its number in the fleet.
        visit: Number of the visit at that camera, from 0.
        step: Its place in `VISIT`.
    """

    at_s: float
    camera: int
    visit: int
    step: int


def timetable(cameras: int, events_per_minute: float, duration_s: float, seed: int) -> list[Due]:
    """Return every change that falls due, in order; the last end `VISIT_S` after the duration.

    Each camera has its visits at one distance, the first at a random moment, so that the fleet
    neither marches in step nor comes in crowds.

    Args:
        cameras: How many.
        events_per_minute: Visits of one camera.
        duration_s: Visits start before this.
        seed: Of the random moments.
    """
    chance = random.Random(seed)  # nosec B311 # the same trial every time
    period_s = 60.0 / events_per_minute
    found = []
    for camera in range(cameras):
        start_s, visit = chance.uniform(0.0, period_s), 0
        while start_s < duration_s:
            found += [Due(start_s + VISIT[step][0], camera, visit, step) for step in range(4)]
            start_s, visit = start_s + period_s, visit + 1
    return sorted(found)
