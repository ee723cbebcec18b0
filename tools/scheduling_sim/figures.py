"""What a run shows, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from camera_app.clock import NS_PER_S
from camera_app.histogram import percentile
from tools.scheduling_sim.cameras import SimulatedCamera
from tools.scheduling_sim.world import Change

NS_PER_MS = 1_000_000
HOUR_NS = 3600 * NS_PER_S


@dataclass(frozen=True, slots=True)
class CameraFigures:
    """What some cameras had together.

    Attributes:
        fps: Frames a second that were looked at, of each camera, the fewest first.
        p50_ms: Age of a frame when its last region was answered, median.
        p99_ms: The same, 99 of 100 are younger.
        longest_gap_s: Between two frames of one camera that were looked at.
        shed: Frames that were not, by cause.
        regions_shed: Regions of frames that were, by cause.
    """

    fps: tuple[float, ...]
    p50_ms: float
    p99_ms: float
    longest_gap_s: float
    shed: Counter[str]
    regions_shed: Counter[str]

    @property
    def mean_fps(self) -> float:
        return sum(self.fps) / len(self.fps)


def camera_figures(cameras: Iterable[SimulatedCamera], span_s: float) -> CameraFigures:
    """Return the figures of some cameras.

    Args:
        cameras: One at least.
        span_s: How long they were counted, in seconds.
    """
    cameras = list(cameras)
    latencies = sorted(one for camera in cameras for one in camera.latencies_ns)
    shed: Counter[str] = Counter()
    regions_shed: Counter[str] = Counter()
    for camera in cameras:
        shed.update(camera.shed)
        regions_shed.update(camera.regions_shed)
    return CameraFigures(
        fps=tuple(sorted(camera.looked_at / span_s for camera in cameras)),
        p50_ms=(percentile(latencies, 0.50) or 0.0) / NS_PER_MS,
        p99_ms=(percentile(latencies, 0.99) or 0.0) / NS_PER_MS,
        longest_gap_s=max(camera.longest_gap_ns for camera in cameras) / NS_PER_S,
        shed=shed,
        regions_shed=regions_shed,
    )


def most_an_hour(changes: Iterable[Change], what: str, value: str | None = None) -> int:
    """Return how often something changed in the hour in which it changed most.

    Args:
        changes: In the order of time.
        what: A device's name, or `rung`.
        value: Only changes to this; None for all.
    """
    moments = [
        change.at_ns for change in changes if change.what == what and value in (None, change.value)
    ]
    most, first = 0, 0
    for last, moment_ns in enumerate(moments):
        while moment_ns - moments[first] >= HOUR_NS:
            first += 1
        most = max(most, last - first + 1)
    return most


def told(counts: Counter[str]) -> str:
    """Return counts as words, the most first."""
    return ", ".join(f"{cause} {count}" for cause, count in counts.most_common()) or "none"
