"""Run by test_space.py on a file system of eight megabytes, given as argument.

The disk fills from outside, step by step, and is cleared again. Each step prints what stood then.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.clock import SystemClock
from camera_app.config import RetentionSettings, SnapshotSettings
from camera_app.media import SnapshotKeeper, SpaceGuard
from camera_app.store import EventStore
from camera_app.values import Frame, Yuv420
from tests.store.conftest import make_change
from tests.waiting import wait_until

RESERVE = 4_000_000


class Disk:
    """The file system, and what somebody else puts on it."""

    def __init__(self, folder: Path) -> None:
        self.ballast = folder / "ballast"
        self._folder = folder

    def leave(self, free_bytes: int) -> None:
        """Fill it until so much is left."""
        status = os.statvfs(self._folder)
        rest = status.f_bavail * status.f_frsize - free_bytes
        with self.ballast.open("ab") as file:
            file.write(bytes(max(0, rest)))

    def fill(self) -> None:
        with self.ballast.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return


def main(folder: Path) -> None:
    logging.basicConfig(level="CRITICAL")
    data = folder / "data"
    store = EventStore(data / "events.db", SystemClock(), RetentionSettings(max_days=1e5))
    store.start()
    disk, stills = Disk(folder), data / "stills"
    guard = SpaceGuard(data, RESERVE, [stills])
    keeper = SnapshotKeeper(stills, SnapshotSettings(), lambda: guard.takes_snapshots)
    number = 0

    def happen() -> tuple[str, bool, bool]:
        """Let one event happen; return the level, and whether still and event are kept."""
        nonlocal number
        number += 1
        level = guard.look().level
        change = make_change(number)
        picture = np.random.default_rng(number).integers(0, 255, (480, 640), np.uint8)
        chroma = np.full((240, 320), 128, np.uint8)
        at_ns = change.event.last_seen_ns
        frame = Frame("front", number, at_ns, Yuv420(picture, chroma, chroma))
        best = replace(change.event.best, at_ns=at_ns)
        change = replace(change, event=replace(change.event, best=best))
        is_still = bool(keeper.consider(frame, [change.event], [change]))
        store.commit([change])
        is_kept = wait_until(lambda: store.stats().waiting == 0 or store.stats().is_full)
        return level.value, is_still, is_kept and not store.stats().is_full

    print("ample", *happen())
    disk.leave(3_500_000)
    print("less", *happen())
    disk.leave(1_800_000)
    print("little", *happen(), "gone:", guard.made_room > 0)
    disk.fill()
    while store.stats().state == "open":
        happen()
    print("full", *happen(), store.stats().state)
    with closing(sqlite3.connect(data / "events.db")) as other:
        print(other.execute("PRAGMA integrity_check").fetchone()[0])
    disk.ballast.unlink()
    wait_until(lambda: store.stats().committed == number)
    happen()
    print("cleared", *happen(), store.stats().state, store.stats().waiting)
    told = store.stats()
    store.stop()
    with closing(sqlite3.connect(data / "events.db")) as other:
        found = other.execute("SELECT count(*), max(seq) FROM event_change").fetchone()
    print("complete" if found == (number, number) and not told.shed_others else (found, number))


main(Path(sys.argv[1]))
