"""Run by test_broker.py on a file system of one megabyte: fills it, and makes room again.

Arguments: that folder, where to leave what the checker reads, the broker's port, the device.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.errors import StoreFull
from tests.torture.service import Service
from tests.waiting import wait_until

COUNT = 400
BALLAST_BYTES = 820_000


def main(folder: Path, out: Path, port: int, device: str) -> None:
    ballast = folder / "ballast"
    with Service(folder, port, device) as service:
        ballast.write_bytes(bytes(BALLAST_BYTES))
        refused = sum(not _is_committed(service, number) for number in range(1, COUNT + 1))
        print(f"full {service.store.stats().state} {refused > 0}")
        ballast.unlink()
        assert wait_until(lambda: service.store.stats().state == "open")
        service.commit(range(1001, 1021))
        service.drain()
        print(f"open {service.store.stats().backlog}")
    with closing(sqlite3.connect(folder / "events.db")) as whole:
        whole.execute("VACUUM INTO ?", (str(out / "events.db"),))
    shutil.copy(folder / "promised.jsonl", out)


def _is_committed(service: Service, number: int) -> bool:
    """Return whether the disk took an event, and so promise it or not."""
    try:
        service.commit([number])
    except StoreFull:
        return False
    return True


main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
