"""How busy scenes are is counted from where the service has settled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from camera_app.clock import NS_PER_S, ManualClock
from camera_app.health import read_activities
from camera_app.health.activity import ActivityRecord
from camera_app.health.status import CameraFigures, DeviceFigures
from camera_app.media import SnapshotStats
from camera_app.values import FrameCounts
from tests.health.figures import SOURCE, WATCH, WELL


def at(uptime_s: float, frames: int, looks: int, changes: int, stills: int) -> DeviceFigures:
    """Return figures of a service that has run for a while, with one camera."""
    counts = FrameCounts(frames, looks, {"still": frames - looks}, 0)
    watch = replace(WATCH, counts=counts, regions=2 * looks, changes=changes)
    camera = CameraFigures(SOURCE, watch, stills=SnapshotStats(written=stills))
    return replace(WELL, uptime_ns=round(uptime_s * NS_PER_S), cameras={"front": camera})


@pytest.fixture
def record(tmp_path: Path) -> ActivityRecord:
    return ActivityRecord(tmp_path, ManualClock())


def test_the_first_looks_of_a_run_are_not_what_a_day_is_like(
    record: ActivityRecord, tmp_path: Path
) -> None:
    """At the start it looks at every frame, and whoever stands there makes an event."""
    for figures in (at(1, 10, 10, 0, 0), at(5, 50, 45, 1, 1), at(105, 1050, 65, 3, 2)):
        record.tell(figures)
    record.write()
    activity = read_activities(tmp_path)["front"]
    assert activity.looked_share == pytest.approx(20 / 1000)
    assert activity.regions == pytest.approx(2.0)
    assert activity.changes_per_s == pytest.approx(2 / 100)
    assert activity.stills_per_s == pytest.approx(1 / 100)


def test_a_camera_that_was_made_anew_is_counted_from_there(
    record: ActivityRecord, tmp_path: Path
) -> None:
    """A reload makes it anew; its counts begin at nothing, but the uptime does not."""
    for figures in (at(5, 50, 45, 1, 1), at(1000, 10, 0, 0, 0), at(1100, 1010, 500, 10, 5)):
        record.tell(figures)
    record.write()
    activity = read_activities(tmp_path)["front"]
    assert activity.looked_share == pytest.approx(0.5)
    assert activity.changes_per_s == pytest.approx(0.1)


def test_a_run_that_is_too_short_leaves_the_record_of_one_before_alone(
    record: ActivityRecord, tmp_path: Path
) -> None:
    for figures in (at(5, 50, 50, 0, 0), at(9, 90, 90, 0, 0)):
        record.tell(figures)
    record.write()
    assert read_activities(tmp_path) == {}
