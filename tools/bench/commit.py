"""Events a second, one transaction each: our store against bare `sqlite3`, in one run.

Both sides start from the same `EventChange` values and write the same rows into the same schema
with the same pragmas (WAL, synchronous=FULL): for every event one insert into `event_change`, one
into `outbox`, one upsert of `event`, one upsert of `stream`, then COMMIT.

* `bare`: one thread makes the JSON and the tuples of an event and runs the six statements;
* `ready`: the same with all tuples made before the clock starts: SQLite and nothing else.

Ours makes the JSON and hands over to the writer's thread, and

* `waiting`: waits for each commit before it makes the next, as a careful caller would;
* `flowing`: hands over without waiting, as the service does, still one transaction each;
* `grouped`: the same, with everything that waits in one transaction: what the service really
  does under load, and no part of the comparison.

Rounds are interleaved and the order in a round rotates; a ratio is the median over rounds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from camera_app.bench.made import made_change
from camera_app.clock import NS_PER_S, SystemClock
from camera_app.config import RetentionSettings
from camera_app.events import canonical_json, change_record
from camera_app.store import EventStore
from camera_app.store.database import open_database
from camera_app.store.ledger import PUT_CHANGE, PUT_EVENT, PUT_OUTBOX, PUT_STREAM
from camera_app.values import EventChange

CAMERA = "front"
Row = tuple[object, ...]
# How far the producer may run ahead. Without such a bound it would make all changes at once, in a
# burst that no camera has, and the writer would fight it for the interpreter meanwhile.
WAITING = 16


def make_changes(count: int) -> list[EventChange]:
    """Return starts of so many events of one camera, a second apart, until now."""
    now_ns = time.time_ns()
    return [
        made_change(
            number,
            camera=CAMERA,
            at_ns=number * NS_PER_S,
            wall_ns=now_ns - (count - number) * NS_PER_S,
        )
        for number in range(1, count + 1)
    ]


def bare(path: Path, changes: list[EventChange]) -> float:
    """Return events a second of `sqlite3` on one thread, tuples made on the way."""
    return _insert_each(path, (_rows(n, change) for n, change in enumerate(changes, start=1)))


def ready(path: Path, changes: list[EventChange]) -> float:
    """Return events a second of `sqlite3` on one thread, given finished tuples."""
    return _insert_each(path, [_rows(n, change) for n, change in enumerate(changes, start=1)])


def _insert_each(path: Path, rows: Iterable[tuple[Row, Row, Row, Row]]) -> float:
    connection = open_database(path)
    count, began_s = 0, time.perf_counter()
    for ledger_row, outbox_row, event_row, stream_row in rows:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(PUT_CHANGE, ledger_row)
        connection.execute(PUT_OUTBOX, outbox_row)
        connection.execute(PUT_EVENT, event_row)
        connection.execute(PUT_STREAM, stream_row)
        connection.execute("COMMIT")
        count += 1
    took_s = time.perf_counter() - began_s
    connection.close()
    return count / took_s


def _rows(number: int, change: EventChange) -> tuple[Row, Row, Row, Row]:
    event, wall_ns = change.event, change.wall_ns
    record = canonical_json(change_record(change))
    kind, scores, zones = change.change.value, (event.score, event.top_score), '["door"]'
    return (
        (number, CAMERA, number, event.event_id, kind, wall_ns, wall_ns, record),
        (number,),
        (event.event_id, CAMERA, event.label, wall_ns, wall_ns, None, *scores, zones, 0, number),
        (CAMERA, number, number),
    )


def ours(path: Path, changes: list[EventChange], *, is_waiting: bool, group_limit: int) -> float:
    """Return events a second of the store, until the last one is on disk."""
    store = EventStore(
        path, SystemClock(), RetentionSettings(), group_limit=group_limit, waiting_limit=WAITING
    )
    store.start()
    try:
        began_s = time.perf_counter()
        for change in changes:
            commit = store.commit([change])
            if is_waiting:
                commit.wait(10.0)
        commit.wait(60.0)
        return len(changes) / (time.perf_counter() - began_s)
    finally:
        store.stop()


def waiting(path: Path, changes: list[EventChange]) -> float:
    return ours(path, changes, is_waiting=True, group_limit=1)


def flowing(path: Path, changes: list[EventChange]) -> float:
    return ours(path, changes, is_waiting=False, group_limit=1)


def grouped(path: Path, changes: list[EventChange]) -> float:
    return ours(path, changes, is_waiting=False, group_limit=500)


SIDES: tuple[Callable[[Path, list[EventChange]], float], ...] = (
    bare,
    ready,
    waiting,
    flowing,
    grouped,
)


def measure(folder: Path, rounds: int, count: int) -> dict[str, list[float]]:
    """Return the rates of every side, a figure a round."""
    rates: dict[str, list[float]] = {side.__name__: [] for side in SIDES}
    changes = make_changes(count)
    for turn in range(rounds):
        for step in range(len(SIDES)):
            side = SIDES[(turn + step) % len(SIDES)]
            place = Path(tempfile.mkdtemp(dir=folder))
            rates[side.__name__].append(side(place / "events.db", changes))
            shutil.rmtree(place)
    return rates


def summary(rates: dict[str, list[float]]) -> dict[str, float]:
    """Return medians, and ratios to the bare side of the same round."""

    def ratio(name: str, to: str) -> float:
        pairs = zip(rates[name], rates[to], strict=True)
        return round(statistics.median(our / their for our, their in pairs), 3)

    medians = {f"{name}_per_s": round(statistics.median(of)) for name, of in rates.items()}
    ours_to = [(name, to) for name in ("waiting", "flowing") for to in ("bare", "ready")]
    ratios = {f"{name}_to_{to}": ratio(name, to) for name, to in ours_to}
    return {**medians, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--events", type=int, default=200, help="a round and side")
    parser.add_argument("--folder", type=Path, default=Path(), help="on the disk to be measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        rates = measure(Path(folder), arguments.rounds, arguments.events)
    print(json.dumps({"sqlite": sqlite3.sqlite_version, **summary(rates)}, indent=2))


if __name__ == "__main__":
    main()
