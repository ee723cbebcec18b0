"""The best picture of an event reaches the disk, and the disk stays bounded."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from camera_app.config import SnapshotSettings
from camera_app.media import SnapshotKeeper, tidy
from camera_app.values import BestMoment, Box, ChangeType, Event, EventChange, Frame, Size, Yuv420

BOX = Box(1, 1, 5, 5)


def frame(at_ns: int, brightness: int) -> Frame:
    luma = np.full((48, 64), brightness, np.uint8)
    chroma = np.full((24, 32), 128, np.uint8)
    return Frame("front", at_ns, at_ns, Yuv420(luma, chroma, chroma))


def event(best_ns: int, seen_ns: int) -> Event:
    best = BestMoment(best_ns, BOX, 0.9)
    return Event("e1", "front", "person", 0, seen_ns, BOX, 0.8, 0.8, best, Size(64, 48))


def change(kind: ChangeType, one: Event) -> EventChange:
    return EventChange(kind, one.last_seen_ns, one.last_seen_ns, one)


def brightness_of(path: Path) -> float:
    image = cv2.imread(str(path))
    assert image is not None
    return float(image.mean())


def test_the_picture_of_the_best_moment_is_kept_in_the_end(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(tmp_path / "snapshots", SnapshotSettings())
    first, best = event(1, 1), event(2, 2)
    ((_, path),) = keeper.consider(frame(1, 60), [first], [change(ChangeType.STARTED, first)])
    assert brightness_of(path) == pytest.approx(51, abs=3)  # limited range: (60 - 16) * 255 / 219
    keeper.consider(frame(2, 180), [best], [])
    keeper.consider(frame(3, 100), [replace(best, last_seen_ns=3)], [])
    keeper.consider(frame(4, 100), [], [change(ChangeType.ENDED, replace(best, last_seen_ns=3))])
    assert brightness_of(path) == pytest.approx(191, abs=3)
    assert [one.name for one in path.parent.iterdir()] == ["e1.jpg"]


def test_a_picture_that_was_written_is_not_written_again(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(tmp_path, SnapshotSettings())
    one = event(1, 1)
    keeper.consider(frame(1, 60), [one], [change(ChangeType.STARTED, one)])
    assert keeper.consider(frame(2, 60), [], [change(ChangeType.ENDED, one)]) == []
    assert keeper.stats.written == 1


def test_each_picture_is_noted_when_it_is_written_and_only_then(tmp_path: Path) -> None:
    noted: list[Path] = []
    keeper = SnapshotKeeper(tmp_path, SnapshotSettings(), note=noted.append)
    one, better = event(1, 1), event(2, 2)
    keeper.consider(frame(1, 60), [one], [change(ChangeType.STARTED, one)])
    assert noted == [tmp_path / "e1.jpg"]
    keeper.consider(frame(2, 60), [better], [])
    assert len(noted) == 1
    keeper.consider(frame(3, 60), [], [change(ChangeType.ENDED, replace(better, last_seen_ns=3))])
    assert noted == [tmp_path / "e1.jpg"] * 2


def test_a_folder_that_cannot_be_written_costs_the_picture_not_the_event(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    keeper = SnapshotKeeper(blocked / "snapshots", SnapshotSettings())
    one = event(1, 1)
    assert keeper.consider(frame(1, 60), [one], [change(ChangeType.STARTED, one)]) == []
    assert keeper.stats.failed == 1


def test_switched_off_nothing_is_kept(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(tmp_path / "none", SnapshotSettings(enabled=False))
    one = event(1, 1)
    keeper.consider(frame(1, 60), [one], [change(ChangeType.STARTED, one)])
    assert not (tmp_path / "none").exists()


def test_tidy_removes_the_oldest_beyond_the_limit(tmp_path: Path) -> None:
    for number in range(4):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(bytes(400_000))
        os.utime(path, (1000 + number, 1000 + number))
    settings = SnapshotSettings(max_megabytes=1, max_days=1)
    assert tidy(tmp_path, settings, wall_s=2000) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.jpg", "3.jpg"]
    assert tidy(tmp_path / "absent", settings, wall_s=2000) == 0


def test_the_owner_may_switch_it_off_and_on_again(tmp_path: Path) -> None:
    keeper = SnapshotKeeper(tmp_path, SnapshotSettings())
    one = event(1, 1)
    keeper.consider(frame(1, 60), [one], [])
    keeper.is_enabled = False
    assert keeper.consider(frame(2, 60), [one], [change(ChangeType.STARTED, one)]) == []
    keeper.is_enabled = True
    # What was held before is forgotten: the owner did not want it.
    assert keeper.consider(None, [], [change(ChangeType.ENDED, one)]) == []
    two = replace(event(3, 3), event_id="e2")
    assert keeper.consider(frame(3, 60), [two], [change(ChangeType.STARTED, two)])
