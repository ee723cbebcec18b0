"""How busy each camera's scene has been: written down now and then, so that costs can be foreseen.

What a configuration will cost depends most on how often something moves before the cameras, and
only the running service knows that. The figures are counts since its start, a few bytes a camera.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from camera_app.clock import Clock, nanoseconds, seconds
from camera_app.errors import StoreError
from camera_app.health.status import DeviceFigures
from camera_app.store.small_files import read_small, write_small

_log = logging.getLogger(__name__)

RECORD_NAME = "activity.json"
SCHEMA = 1
EVERY_S = 1800.0  # memory cards wear out
# A run that is younger than this says little, and leaves the record of one before alone.
WORTH_S = 10.0
LIMIT_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Activity:
    """How busy a camera's scene is.

    Attributes:
        looked_share: Of its frames that networks look at, 0.0 to 1.0.
        regions: That are looked at in such a frame, on average.
        changes_per_s: Event changes.
        stills_per_s: Stills that are written.
    """

    looked_share: float
    regions: float
    changes_per_s: float
    stills_per_s: float


def activities(figures: DeviceFigures) -> dict[str, Activity]:
    """Return how busy each camera was since the start; those that brought nothing are left out."""
    span_s = seconds(figures.uptime_ns)
    found = {}
    for name, camera in figures.cameras.items():
        counts = camera.watch.counts
        if not counts.captured or not span_s:
            continue
        found[name] = Activity(
            looked_share=counts.looked_at / counts.captured,
            regions=camera.watch.regions / max(1, counts.looked_at),
            changes_per_s=camera.watch.changes / span_s,
            stills_per_s=camera.stills.written / span_s,
        )
    return found


class ActivityRecord:
    """The file of a running service. Belongs to the heartbeat's thread.

    Args:
        folder: The data folder.
        clock: Time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._path = folder / RECORD_NAME
        self._clock = clock
        self._written_ns = clock.monotonic_ns()
        self._newest: DeviceFigures | None = None

    def tell(self, figures: DeviceFigures) -> None:
        """Take note; write it down when it is time."""
        self._newest = figures
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._written_ns >= nanoseconds(EVERY_S):
            self._written_ns = now_ns
            self.write()

    def write(self) -> None:
        """Write down what was told last."""
        figures = self._newest
        if figures is None or figures.uptime_ns < nanoseconds(WORTH_S):
            return
        cameras = {name: asdict(one) for name, one in activities(figures).items()}
        try:
            write_small(self._path, json.dumps({"schema": SCHEMA, "cameras": cameras}, indent=1))
        except StoreError as error:
            _log.debug("how busy the cameras are cannot be written down: %s", error)


def read_activities(folder: Path) -> Mapping[str, Activity]:
    """Return how busy cameras were by the last word of a service; nothing where there is none."""
    try:
        text = read_small(folder / RECORD_NAME, LIMIT_BYTES)
        plain: Any = {} if text is None else json.loads(text)
        if plain.get("schema") != SCHEMA:
            return {}
        return {str(name): Activity(**one) for name, one in plain["cameras"].items()}
    except (StoreError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning("how busy the cameras were is not known: %s", error)
        return {}
