"""How busy each camera's scene has been: written down now and then, so that costs can be foreseen.

What a configuration will cost depends most on how often something moves before the cameras, and
only the running service knows that. The figures are counts since it has settled, a few bytes a
camera: right after the start all is new to it, it looks at nearly every frame, and whoever stands
there makes an event.
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
from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.store.small_files import read_small, write_small

_log = logging.getLogger(__name__)

RECORD_NAME = "activity.json"
SCHEMA = 1
EVERY_S = 1800.0  # memory cards wear out
SETTLED_S = 5.0
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


@dataclass(frozen=True, slots=True)
class Beginning:
    """From when on a camera is counted.

    Attributes:
        uptime_ns: Of the service, then.
        camera: Its figures, then.
    """

    uptime_ns: int
    camera: CameraFigures


def activities(figures: DeviceFigures, began: Mapping[str, Beginning]) -> dict[str, Activity]:
    """Return how busy each camera was since it began; those that brought nothing are left out."""
    found: dict[str, Activity] = {}
    for name in figures.cameras.keys() & began.keys():
        activity = _activity(began[name], figures.cameras[name], figures.uptime_ns)
        if activity is not None:
            found[name] = activity
    return found


def _activity(began: Beginning, camera: CameraFigures, uptime_ns: int) -> Activity | None:
    before, watch = began.camera.watch, camera.watch
    span_s = seconds(uptime_ns - began.uptime_ns)
    frames = watch.counts.captured - before.counts.captured
    looks = watch.counts.looked_at - before.counts.looked_at
    if frames <= 0 or span_s <= 0.0:
        return None
    return Activity(
        looked_share=looks / frames,
        regions=(watch.regions - before.regions) / max(1, looks),
        changes_per_s=(watch.changes - before.changes) / span_s,
        stills_per_s=(camera.stills.written - began.camera.stills.written) / span_s,
    )


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
        self._began: dict[str, Beginning] = {}

    def tell(self, figures: DeviceFigures) -> None:
        """Take note; write it down when it is time."""
        self._newest = figures
        if figures.uptime_ns >= nanoseconds(SETTLED_S):
            self._note_beginnings(figures)
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._written_ns >= nanoseconds(EVERY_S):
            self._written_ns = now_ns
            self.write()

    def write(self) -> None:
        """Write down what was told last."""
        figures = self._newest
        if figures is None or figures.uptime_ns < nanoseconds(WORTH_S):
            return
        found = activities(figures, self._began)
        cameras = {name: asdict(one) for name, one in found.items()}
        try:
            write_small(self._path, json.dumps({"schema": SCHEMA, "cameras": cameras}, indent=1))
        except StoreError as error:
            _log.debug("how busy the cameras are cannot be written down: %s", error)

    def _note_beginnings(self, figures: DeviceFigures) -> None:
        """Count cameras that are new from now on; one that was made anew counts from nothing."""
        for name, camera in figures.cameras.items():
            began = self._began.get(name)
            frames = camera.watch.counts.captured
            if began is None or frames < began.camera.watch.counts.captured:
                self._began[name] = Beginning(figures.uptime_ns, camera)


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
