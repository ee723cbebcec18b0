"""Run by test_event_store.py on a file system of one megabyte, given as argument."""

from __future__ import annotations

import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.clock import SystemClock
from camera_app.config import RetentionSettings
from camera_app.errors import StoreFull
from camera_app.store import EventStore
from tests.store.conftest import make_change

COUNT = 300


def main(folder: Path) -> None:
    ballast = folder / "ballast"
    store = EventStore(folder / "events.db", SystemClock(), RetentionSettings(max_days=1e5))
    store.start()
    ballast.write_bytes(bytes(820_000))
    commits = [store.commit([make_change(number)]) for number in range(1, COUNT + 1)]
    try:
        commits[-1].wait(20)
    except StoreFull:
        print("full")
    with closing(sqlite3.connect(folder / "events.db")) as other:
        print(other.execute("PRAGMA integrity_check").fetchone()[0])
    ballast.unlink()
    pause = threading.Event()
    for _ in range(2000):
        if store.stats().committed == COUNT:
            break
        pause.wait(0.01)
    store.stop()
    with closing(sqlite3.connect(folder / "events.db")) as other:
        found = other.execute("SELECT count(*), max(seq) FROM event_change").fetchone()
    print("complete" if found == (COUNT, COUNT) else found)


main(Path(sys.argv[1]))
