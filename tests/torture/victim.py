"""The store and the publisher as `app` builds them, in a process that dies where it is told to.

Started once; each job that it reads is done in a copy of itself, so that imports are paid once.
Lists of jobs and of answers are lines of JSON. What was promised durable is noted in
`promised.jsonl`.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from camera_app.capture.backoff import BackOff
from camera_app.clock import SystemClock
from camera_app.config import MqttSettings, RetentionSettings
from camera_app.publish import Publisher, StateBoard
from camera_app.store import DATABASE_NAME, EventStore, interrupted_changes
from camera_app.values import EventChange
from tests.publish.conftest import make_change
from tests.torture.breaks import BREAKS
from tests.torture.steps import Steps, die, watch_database, watch_network

WRITTEN_LIMIT_S = 10.0
AT_A_TIME = 8


@dataclass(frozen=True)
class Job:
    """What one copy does.

    Attributes:
        folder: Where its data is.
        port: The broker's, or a proxy's.
        device: Its id.
        first: Number of the first event that it makes.
        count: How many it makes, in turn for each of its cameras.
        fatal: Thread and number of the step at which it dies.
        fatal_size: A file that would grow beyond so many bytes ends it in the middle of that write.
        drains: Wait so long, in seconds, for the broker to have everything.
        dies_at_end: Does not stop cleanly.
        broken: Name of a break on purpose.
        max_events: Of the retention.
    """

    folder: str
    port: int
    device: str
    first: int = 1
    count: int = 3
    fatal: tuple[str, int] | None = None
    fatal_size: int | None = None
    drains: float = 10.0
    dies_at_end: bool = False
    broken: str = ""
    max_events: int = 1_000_000


def main() -> None:
    """Do lists of jobs until there are no more."""
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        jobs = [Job(**fields) for fields in json.loads(line)]
        print(json.dumps(_do(jobs)), flush=True)


def _do(jobs: Sequence[Job]) -> list[int]:
    """Return the exit code of each job; several are done at a time, for they mostly wait."""
    waiting, running, codes = list(enumerate(jobs)), dict[int, int](), [0] * len(jobs)
    while waiting or running:
        while waiting and len(running) < AT_A_TIME:
            number, job = waiting.pop(0)
            child = os.fork()
            if child == 0:
                _be(job)
            running[child] = number
        child, status = os.wait()
        codes[running.pop(child)] = os.waitstatus_to_exitcode(status)
    return codes


def _be(job: Job) -> None:
    """Do a job and end this process, however it goes."""
    code = 1
    try:
        code = 0 if _serve(job) else 3
    finally:
        sys.stderr.flush()
        os._exit(code)


def _serve(job: Job) -> bool:
    """Return whether the broker got everything."""
    folder = Path(job.folder)
    steps = Steps(None if job.fatal is None else (job.fatal[0], job.fatal[1]))
    watch_database(steps)
    watch_network(steps)
    if job.broken:
        BREAKS[job.broken]()
    if job.fatal_size is not None:
        _die_at_size(job.fatal_size)
    clock = SystemClock()
    retention = RetentionSettings(max_days=1e5, max_events=job.max_events)
    store = EventStore(folder / DATABASE_NAME, clock, retention)
    mqtt = MqttSettings(host="127.0.0.1", port=job.port, window=7)
    impatient = BackOff(random=lambda: 1.0, first_s=0.02, cap_s=0.1)
    publisher = Publisher(mqtt, job.device, store, StateBoard(), clock, back_off=impatient)
    store.start()
    left_open = interrupted_changes(store.path, clock.monotonic_ns(), clock.wall_ns())
    with (folder / "promised.jsonl").open("a", encoding="utf-8") as journal:
        for change in left_open:
            _commit(store, change, journal.fileno())
        publisher.start()
        for number in range(job.first, job.first + job.count):
            camera = "front" if number % 2 else "yard"
            _commit(store, make_change(number, camera=camera), journal.fileno())
    is_drained = store.wait_drained(job.drains)
    if job.dies_at_end:
        die()
    publisher.stop()
    store.stop()
    steps.write(folder / "steps.json")
    return is_drained


def _commit(store: EventStore, change: EventChange, journal: int) -> None:
    store.commit([change]).wait(WRITTEN_LIMIT_S)
    promise = {"camera": change.event.camera, "event_id": change.event.event_id}
    os.write(journal, f"{json.dumps(promise)}\n".encode())


def _die_at_size(limit: int) -> None:
    """Let the kernel end us inside the write that would make a file longer than this."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


if __name__ == "__main__":
    main()
