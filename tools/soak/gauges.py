"""What a service takes, over time, and whether that grows. Pure, but for `read`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from camera_app.bench.processes import pss_mb
from camera_app.kernel import numbers_of
from camera_app.media import used_bytes

SECONDS_AN_HOUR = 3600.0
# The first part of a run fills caches and reaches limits.
WARM_UP_SHARE = 0.25
# Over less than this nobody can tell growth from chance.
SHORTEST_S = 300.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What was taken at one moment.

    Attributes:
        at_s: Seconds since the run began.
        memory_mb: What the service's own process has of its own: no pages of files, which belong
            to whoever else has them, more or less of them as other programs come and go.
        tree_mb: Of all its processes, shared pages divided (PSS).
        descriptors: Of the service's own process.
        threads: Of the service's own process.
        disk_mb: All files of its data folder.
        children: Name and number of each process below it.
    """

    at_s: float
    memory_mb: float
    tree_mb: float
    descriptors: int
    threads: int
    disk_mb: float
    children: frozenset[tuple[str, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Limit:
    """How much a gauge may grow.

    Attributes:
        gauge: Name of the field of `Sample`.
        what: In words.
        noise: By how much it may be more at the end than at the beginning, by chance.
        per_hour: What it may grow by in an hour besides.
    """

    gauge: str
    what: str
    noise: float
    per_hour: float

    def allowed(self, hours: float) -> float:
        """Return by how much it may have grown after so long."""
        return self.noise + self.per_hour * hours


LIMITS = (
    Limit("memory_mb", "memory of the service's own, MB", noise=5.0, per_hour=6.0),
    Limit("descriptors", "open file descriptors", noise=3.0, per_hour=3.0),
    Limit("threads", "threads", noise=2.0, per_hour=1.0),
    Limit("disk_mb", "disk, MB", noise=5.0, per_hour=3.0),
)


@dataclass(frozen=True, slots=True)
class Growth:
    """How one gauge went.

    Attributes:
        limit: The gauge, and what it may grow by.
        usual: Its median.
        highest: Its highest value.
        grown: Its slope over the time that was measured.
        hours: How long that was; None: too short to tell growth from chance.
    """

    limit: Limit
    usual: float
    highest: float
    grown: float
    hours: float | None

    @property
    def is_flat(self) -> bool | None:
        """Whether it did not grow beyond its limit; None: it was not measured for long enough."""
        return None if self.hours is None else self.grown <= self.limit.allowed(self.hours)


def growth_of(samples: Sequence[Sample], limit: Limit) -> Growth:
    """Return how a gauge went after the warm-up."""
    begins_s = samples[0].at_s + WARM_UP_SHARE * (samples[-1].at_s - samples[0].at_s)
    points = [
        (one.at_s, float(getattr(one, limit.gauge))) for one in samples if one.at_s >= begins_s
    ]
    span_s = points[-1][0] - points[0][0]
    values = [value for _, value in points]
    return Growth(
        limit,
        usual=median(values),
        highest=max(values),
        grown=slope(points) * span_s,
        hours=span_s / SECONDS_AN_HOUR if span_s >= SHORTEST_S else None,
    )


def slope(points: Sequence[tuple[float, float]], *, most: int = 300) -> float:
    """Return what grows a second: the median slope of all pairs, which outliers do not bend.

    Args:
        points: Moment and value.
        most: Points that are looked at; of more only every so many.
    """
    some = points[:: max(1, len(points) // most)]
    slopes = [
        (after[1] - before[1]) / (after[0] - before[0])
        for before, after in itertools.combinations(some, 2)
        if after[0] > before[0]
    ]
    return median(slopes) if slopes else 0.0


def back_after_s(samples: Sequence[Sample], name: str, pid: int, killed_s: float) -> float | None:
    """Return how long after a child was killed another one of its name was there, or None."""
    for sample in samples:
        if sample.at_s >= killed_s and any(
            other == name and number != pid for other, number in sample.children
        ):
            return sample.at_s - killed_s
    return None


def read(pid: int, data: Path, at_s: float) -> Sample:
    """Return what a service takes now.

    Raises:
        psutil.Error: It is not there any more.
    """
    service = psutil.Process(pid)
    children = []
    for child in service.children(recursive=True):
        with suppress(psutil.Error):  # it has ended since
            children.append((child.name(), child.pid))
    return Sample(
        at_s=at_s,
        memory_mb=_own_mb(pid),
        tree_mb=pss_mb(pid),
        descriptors=service.num_fds(),
        threads=service.num_threads(),
        disk_mb=used_bytes(data) / 1e6,
        children=frozenset(children),
    )


def _own_mb(pid: int) -> float:
    told = numbers_of(f"/proc/{pid}/status")
    return (told.get("RssAnon", 0) + told.get("RssShmem", 0)) * 1024 / 1e6
