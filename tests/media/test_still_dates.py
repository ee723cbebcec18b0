"""Stills of a machine that does not know the date yet get their right one later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from camera_app.clock import NS_PER_S, ManualClock
from camera_app.media import StillDates

RIGHT_NS = 1_800_000_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S


class Desk:
    """A machine whose clock is a month behind, and what it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(100 * NS_PER_S, RIGHT_NS - 30 * DAY_NS)
        self.is_dated = False
        self.dates = StillDates(self.clock, lambda: self.is_dated)

    def keep(self, name: str) -> Path:
        path = self.folder / name
        path.write_bytes(b"a picture")
        os.utime(path, ns=(self.clock.wall_ns(),) * 2)
        self.dates.note(path)
        return path

    def learn_the_date(self) -> None:
        self.clock.wall_offset_ns += 30 * DAY_NS
        self.is_dated = True


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_was_kept_before_the_date_was_known_is_dated_anew(desk: Desk) -> None:
    """It looked a month old, and was the first to go."""
    path, wrong_ns = desk.keep("early.jpg"), desk.clock.wall_ns()
    desk.clock.advance(60)
    desk.dates.correct()
    assert path.stat().st_mtime_ns == wrong_ns, "nobody knows better yet"
    desk.learn_the_date()
    desk.dates.correct()
    assert path.stat().st_mtime_ns == wrong_ns + 30 * DAY_NS


def test_what_is_kept_with_the_date_known_is_left_as_it_is(desk: Desk) -> None:
    desk.learn_the_date()
    path = desk.keep("later.jpg")
    os.utime(path, ns=(1, 1))
    desk.dates.correct()
    assert path.stat().st_mtime_ns == 1


def test_one_that_is_gone_keeps_none_from_its_date(desk: Desk) -> None:
    desk.keep("gone.jpg").unlink()
    path = desk.keep("here.jpg")
    desk.learn_the_date()
    desk.dates.correct()
    assert path.stat().st_mtime_ns == desk.clock.wall_ns()
