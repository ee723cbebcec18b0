"""Run by test_event_store.py: commits for ever and says each number once it is told durable."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.clock import SystemClock
from camera_app.config import RetentionSettings
from camera_app.store import EventStore
from tests.store.conftest import make_change


def main(folder: Path) -> None:
    store = EventStore(folder / "events.db", SystemClock(), RetentionSettings(max_days=1e5))
    store.start()
    number = 0
    while True:
        number += 1
        commit = store.commit([make_change(number)])
        if number % 3 == 0:
            print(commit.wait(20)[0].seq, flush=True)


main(Path(sys.argv[1]))
