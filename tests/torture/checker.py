"""Says from outside whether every committed change was told: reads the database and what a
subscriber wrote down, and shares no code with the product.

    python tests/torture/checker.py DATABASE HEARD [PROMISED]

`HEARD` is what `listener.py` writes, `PROMISED` what `victim.py` does: a line of JSON each.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Heard:
    """One message as a subscriber got it.

    Attributes:
        session: Number of the subscriber's connection; between two it may have missed some.
        topic: Where.
        payload: What, parsed; a text that is no JSON stays one.
    """

    session: int
    topic: str
    payload: Any


@dataclass(frozen=True)
class Promise:
    """A change of which the service was told that it is on disk."""

    camera: str
    event_id: str


@dataclass(frozen=True)
class Finding:
    """One thing that must not be.

    Attributes:
        kind: `promise`: told durable and not in the database; `number`: a hole in the ledger's
            numbers without a gap; `missing`: in the ledger and never told; `order`: told before
            one that comes before it; `copy`: two messages of one number differ; `content`: told
            otherwise than stored; `unsettled`: still in the outbox at the end.
        text: What exactly.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    """One row of the ledger: a change, or a gap that stands for several."""

    camera: str
    seq: int
    event_id: str
    record: dict[str, Any]

    @property
    def first_seq(self) -> int:
        return int(self.record["from_seq"]) if self.record["type"] == "gap" else self.seq


def read_heard(path: Path) -> list[Heard]:
    return [Heard(**line) for line in _lines(path)]


def read_promises(path: Path) -> list[Promise]:
    return [Promise(**line) for line in _lines(path)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what each whole line says: whoever wrote it may have died in the last one."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def check(
    database: Path,
    heard: Sequence[Heard],
    promises: Iterable[Promise] = (),
    *,
    is_drained: bool = True,
    is_heard_from_the_start: bool = True,
) -> list[Finding]:
    """Return everything that is wrong; empty: nothing was lost, swapped or changed.

    Args:
        database: The camera's.
        heard: What a subscriber got on the topics of this device, in order.
        promises: What had to be durable.
        is_drained: The broker was given the time to take everything.
        is_heard_from_the_start: The subscriber was there before the camera.
    """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        rows = _rows(connection)
        waiting = [row for (row,) in connection.execute("SELECT row FROM outbox")]
        last_seq = dict(connection.execute("SELECT camera, last_seq FROM stream"))
        [[verdict]] = connection.execute("PRAGMA integrity_check").fetchall()
    findings = [Finding("number", f"the database is damaged: {verdict}")] * (verdict != "ok")
    told = [one for one in heard if one.topic.endswith(("/event", "/answer"))]
    findings += _unkept(rows, promises)
    findings += _holes(rows, last_seq)
    findings += _out_of_order(
        [one for one in told if one.topic.endswith("/event")],
        1 if is_heard_from_the_start else 0,
    )
    findings += _copies(told)
    findings += _differing(rows, told)
    if is_drained:
        findings += [Finding("unsettled", f"row {row} is still in the outbox") for row in waiting]
        findings += _untold(last_seq, told)
    return findings


def _rows(connection: sqlite3.Connection) -> list[Row]:
    found = connection.execute(
        "SELECT camera, seq, event_id, record FROM event_change ORDER BY camera, seq"
    )
    return [Row(camera, seq, event_id, json.loads(text)) for camera, seq, event_id, text in found]


def _unkept(rows: Sequence[Row], promises: Iterable[Promise]) -> Iterator[Finding]:
    kept = {(row.camera, row.event_id) for row in rows}
    gaps = {row.camera for row in rows if row.record["type"] == "gap"}
    for promise in promises:
        # Where the owner's limits removed rows, which of them went cannot be told any more.
        if (promise.camera, promise.event_id) not in kept and promise.camera not in gaps:
            yield Finding("promise", f"{promise.camera}: {promise.event_id} was promised")


def _holes(rows: Sequence[Row], last_seq: dict[str, int]) -> Iterator[Finding]:
    reached: dict[str, int] = {}
    for row in rows:
        after = reached.get(row.camera, 0)
        if row.first_seq != after + 1:
            yield Finding("number", f"{row.camera}: {row.first_seq} comes after {after}")
        reached[row.camera] = row.seq
    for camera, last in last_seq.items():
        if reached.get(camera, 0) != last:
            yield Finding("number", f"{camera}: ends at {reached.get(camera, 0)}, not {last}")


def _span(payload: dict[str, Any]) -> tuple[int, int]:
    """Return the first and last number that a message speaks for."""
    first = payload["from_seq"] if payload["type"] == "gap" else payload["seq"]
    return int(first), int(payload["seq"])


def _out_of_order(told: Sequence[Heard], whole_session: int) -> Iterator[Finding]:
    """Yield each message before which another had to come.

    Where a connection of the subscriber begins it may have missed some; from there on it must be
    able to take numbers in turn. In the session that was there before the camera, it cannot have.
    """
    reached: dict[tuple[str, int], int] = {}
    for one in told:
        first, last = _span(one.payload)
        stream = one.topic, one.session
        before = reached.get(stream)
        if before is None:
            before = 0 if one.session == whole_session else first - 1
        if first > before + 1:
            yield Finding("order", f"{one.topic}: {first} came after {before}")
        reached[stream] = max(before, last)


def _copies(told: Sequence[Heard]) -> Iterator[Finding]:
    known: dict[tuple[str, int, int], dict[str, Any]] = {}
    for one in told:
        plain = {key: value for key, value in one.payload.items() if key != "delayed"}
        key = plain["camera"], *_span(plain)
        if known.setdefault(key, plain) != plain:
            yield Finding("copy", f"{one.topic}: two messages of number {key[1:]} differ")


def _differing(rows: Sequence[Row], told: Sequence[Heard]) -> Iterator[Finding]:
    stored = {(row.camera, row.seq): row for row in rows}
    for one in told:
        row = stored.get((one.payload["camera"], one.payload["seq"]))
        if row is None or "gap" in (row.record["type"], one.payload["type"]):
            continue  # gone since; a gap stands in its place, or has grown since
        if not row.record.items() <= one.payload.items():
            yield Finding("content", f"{one.topic}: {row.seq} was told otherwise than stored")


def _untold(last_seq: dict[str, int], told: Sequence[Heard]) -> Iterator[Finding]:
    heard: dict[str, set[int]] = {}
    for one in told:
        first, last = _span(one.payload)
        heard.setdefault(one.payload["camera"], set()).update(range(first, last + 1))
    for camera, last in last_seq.items():
        for seq in sorted(set(range(1, last + 1)) - heard.get(camera, set())):
            yield Finding("missing", f"{camera}: {seq} was never told")


def main(arguments: Sequence[str]) -> int:
    """Print what is wrong; return 1 if anything is."""
    database, heard = Path(arguments[0]), read_heard(Path(arguments[1]))
    promises = read_promises(Path(arguments[2])) if len(arguments) > 2 else []
    findings = check(database, heard, promises)
    for finding in findings:
        print(f"{finding.kind}: {finding.text}")
    print(f"{len(heard)} messages, {len(promises)} promises, {len(findings)} findings")
    return int(bool(findings))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
