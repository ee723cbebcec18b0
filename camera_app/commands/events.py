"""`camera-app events`: what the cameras have seen, listed, shown in full, or written to a file.

Reads the database only, also while the service writes it.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from camera_app.clock import NS_PER_S, Clock, SystemClock, iso_utc, seconds, wall_ns_of
from camera_app.config import DataSettings, load_config
from camera_app.errors import UsageError
from camera_app.store import (
    DATABASE_NAME,
    FILMS_FOLDER,
    CommittedChange,
    CrossingRow,
    EventFilter,
    EventQueries,
    EventSummary,
    StoredFilm,
)
from camera_app.values import Direction

LIST_LIMIT = 50
EPILOGUE = "exit codes: 0 all is well, 1 something is wrong and said, 2 not understood"

_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"^(\d+(?:\.\d+)?)([smhdw])$")

# The columns of CSV, in order; the JSON record of `show --json` has more.
CSV_COLUMNS = (
    "event_id",
    "camera",
    "label",
    "started_at",
    "last_seen_at",
    "ended_at",
    "duration_s",
    "score",
    "top_score",
    "entered_zones",
    "is_stationary",
    "crossings",
    "loitered_zones",
    "films",
)

Command = Callable[[argparse.Namespace], int]


def configure(subparsers: Any) -> None:
    """Add the parser of this command."""
    parser = subparsers.add_parser(
        "events", help="list, show and export events", description=__doc__, epilog=EPILOGUE
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = _add(actions, "list", run_list, "list events, the newest first")
    _add_filters(listing, limit=LIST_LIMIT)
    listing.add_argument("--json", action="store_true", help="print JSON for programs")
    crossing = _add(
        actions, "crossings", run_crossings, "count who crossed which line, and which way"
    )
    _add_who_and_when(crossing)
    crossing.add_argument("--line", metavar="NAME", help="of this line only")
    crossing.add_argument("--each", action="store_true", help="each crossing, the newest first")
    crossing.add_argument("--json", action="store_true", help="print JSON for programs")
    showing = _add(actions, "show", run_show, "show one event with all its changes")
    showing.add_argument("event_id", metavar="ID", help="its id, or the beginning of it")
    showing.add_argument("--json", action="store_true", help="print JSON for programs")
    exporting = _add(actions, "export", run_export, "write events to a file, the newest first")
    _add_filters(exporting, limit=None)
    exporting.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    exporting.add_argument("--out", default="-", metavar="FILE", help="default: standard output")


def _add(actions: Any, name: str, run: Command, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=EPILOGUE
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--config", type=Path, metavar="FILE", help="configuration of the camera")
    place.add_argument("--db", type=Path, metavar="FILE", help="the event database itself")
    parser.set_defaults(run=run)
    return parser


def _add_who_and_when(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--camera", metavar="NAME", help="of this camera only")
    parser.add_argument("--label", metavar="LABEL", help="of this kind only, such as person")
    when = "ISO 8601, or how long ago such as 90s, 30m, 2h, 7d"
    parser.add_argument("--since", metavar="TIME", help=f"from then on: {when}")
    parser.add_argument("--until", metavar="TIME", help="before that: the same forms")


def _add_filters(parser: argparse.ArgumentParser, *, limit: int | None) -> None:
    told = "all" if limit is None else str(limit)
    _add_who_and_when(parser)
    parser.add_argument("--zone", metavar="NAME", help="that entered this zone only")
    parser.add_argument("--line", metavar="NAME", help="that crossed this line only")
    parser.add_argument("--loitered", action="store_true", help="that loitered only")
    parser.add_argument(
        "--limit", type=_positive, default=limit, metavar="N", help=f"at most so many ({told})"
    )


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def run_list(arguments: argparse.Namespace) -> int:
    """Print events, a line each or as a JSON list."""
    with EventQueries(_database(arguments)) as queries:
        events = queries.events(_filter(arguments, SystemClock()))
        if arguments.json:
            _print_json([_plain(event) for event in events])
        else:
            _print_table(events)
    return 0


def run_crossings(arguments: argparse.Namespace) -> int:
    """Print how often each line was crossed, or each crossing."""
    with EventQueries(_database(arguments)) as queries:
        crossings = list(queries.crossings(_filter(arguments, SystemClock())))
    records = [_crossing_record(one) for one in crossings] if arguments.each else totals(crossings)
    if arguments.json:
        _print_json(records)
    elif not records:
        sys.stderr.write("no crossings\n")
    else:
        _print_records(records)
    return 0


def totals(crossings: Iterable[CrossingRow]) -> list[dict[str, Any]]:
    """Return how often each line was crossed which way, in order of camera and line."""
    counts = Counter((one.camera, one.line, one.direction) for one in crossings)
    lines = sorted({(camera, line) for camera, line, _ in counts})
    return [
        {"camera": camera, "line": line}
        | {way.value: counts[camera, line, way.value] for way in Direction}
        for camera, line in lines
    ]


def _crossing_record(one: CrossingRow) -> dict[str, Any]:
    record = asdict(one)
    return {"at": iso_utc(record.pop("at_wall_ns")), **record}


def run_show(arguments: argparse.Namespace) -> int:
    """Print all changes of one event."""
    database = _database(arguments)
    with EventQueries(database) as queries:
        event_id = queries.full_id(arguments.event_id)
        changes, films = queries.changes(event_id), queries.films(event_id)
    if arguments.json:
        _print_json([_with_seq(change) for change in changes])
        return 0
    for change in changes:
        _print_change(change)
    for film in films:
        _print_film(film, database.parent / FILMS_FOLDER)
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    """Write events to a file or to standard output."""
    write = _write_csv if arguments.format == "csv" else _write_jsonl
    with EventQueries(_database(arguments)) as queries, _output(arguments.out) as out:
        write(queries.events(_filter(arguments, SystemClock())), out)
    return 0


def _database(arguments: argparse.Namespace) -> Path:
    if arguments.db is not None:
        return Path(arguments.db)
    data = DataSettings() if arguments.config is None else load_config(arguments.config).data
    return data.folder / DATABASE_NAME


def _filter(arguments: argparse.Namespace, clock: Clock) -> EventFilter:
    until = arguments.until
    return EventFilter(
        camera=arguments.camera,
        label=arguments.label,
        since_wall_ns=0 if arguments.since is None else parse_time(arguments.since, clock),
        until_wall_ns=None if until is None else parse_time(until, clock),
        limit=getattr(arguments, "limit", None),
        zone=getattr(arguments, "zone", None),
        line=arguments.line,
        has_loitered=getattr(arguments, "loitered", False),
    )


def parse_time(text: str, clock: Clock) -> int:
    """Return a moment as nanoseconds since 1970.

    Args:
        text: ISO 8601, in local time unless it names an offset; or a span such as `2h`, which
            means so long ago.
        clock: Tells what now is.

    Raises:
        UsageError: It is neither.
    """
    span = _SPAN.match(text)
    if span:
        return clock.wall_ns() - round(float(span[1]) * _UNIT_S[span[2]] * NS_PER_S)
    try:
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        remedy = "Say 2026-01-31, 2026-01-31T07:05, 2026-01-31T07:05:00Z, 90s, 30m, 2h or 7d"
        raise UsageError(f"{text!r} is no time", remedy=remedy) from error
    return wall_ns_of(moment)


@contextmanager
def _output(name: str) -> Iterator[TextIO]:
    if name == "-":
        yield sys.stdout
        return
    try:
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"cannot be written: {reason}", where=name) from error


def _write_jsonl(events: Iterable[EventSummary], out: TextIO) -> None:
    for event in events:
        out.write(json.dumps(_plain(event), ensure_ascii=False, separators=(",", ":")) + "\n")


def _write_csv(events: Iterable[EventSummary], out: TextIO) -> None:
    writer = csv.DictWriter(out, CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for event in events:
        plain = _plain(event)
        # Absent from what earlier versions wrote.
        crossed = plain.get("crossings", ())
        loitered = plain.get("loitered_zones", ())
        writer.writerow(
            {
                **plain,
                "entered_zones": " ".join(event.entered_zones),
                "films": " ".join(event.films),
                "crossings": " ".join(
                    f"{c['line']}:{c['direction']}={c['count']}" for c in crossed
                ),
                "loitered_zones": " ".join(loitered),
            }
        )


def _plain(event: EventSummary) -> dict[str, Any]:
    """Return an event as JSON: its newest record without what belongs to one change only.

    In place of the newest film that was told there are all that are still on the disk.
    """
    own = ("type", "reason", "at", "crossing", "loitering", "film")
    plain = {key: value for key, value in event.record.items() if key not in own}
    return {**plain, "films": list(event.films)}


def _with_seq(change: CommittedChange) -> Mapping[str, Any]:
    return {**json.loads(change.record), "seq": change.seq}


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _print_table(events: Iterable[EventSummary]) -> None:
    count = 0
    for event in events:
        if not count:
            _line("STARTED", "LASTED", "CAMERA", "LABEL", "SCORE", "ZONES", "FILMS", "ID")
        _line(*_cells(event))
        count += 1
    if not count:
        sys.stderr.write("no events\n")


def _print_records(records: Sequence[Mapping[str, Any]]) -> None:
    """Print records with the same keys as a table."""
    rows = [list(records[0]), *([str(value) for value in one.values()] for one in records)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows[0] = [name.upper() for name in rows[0]]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _cells(event: EventSummary) -> tuple[str, ...]:
    lasted_s = seconds(event.last_seen_wall_ns - event.started_wall_ns)
    return (
        iso_utc(event.started_wall_ns),
        f"{lasted_s:.1f}s" if event.ended_wall_ns is not None else "lasts",
        event.camera,
        event.label,
        f"{event.top_score:.2f}",
        ",".join(event.entered_zones) or "-",
        str(len(event.films) or "-"),
        event.event_id,
    )


def _line(*cells: str) -> None:
    widths = (24, 8, 12, 12, 5, 16, 5, 36)
    row = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    sys.stdout.write(f"{row.rstrip()}\n")


def _print_film(film: StoredFilm, folder: Path) -> None:
    lasted_s = seconds(film.ended_wall_ns - film.began_wall_ns)
    notes = [] if film.is_whole else ["cut off"]
    if film.left_out:
        notes.append(f"{film.left_out} pictures missing")
    sys.stdout.write(
        f"{iso_utc(film.began_wall_ns)}  film     {folder / film.name}  {lasted_s:.1f} s  "
        f"{film.size_bytes / 1e6:.1f} MB{''.join(f'  {note}' for note in notes)}\n"
    )


def _print_change(change: CommittedChange) -> None:
    record = json.loads(change.record)
    zones = ",".join(record["zones"]) or "-"
    sys.stdout.write(
        f"{record['at']}  {change.type:<8} {record['reason']:<12} {record['camera']} "
        f"{record['label']}  score {record['score']:.2f}  box {record['box']}  zones {zones}  "
        f"{_finding(record)}seq {change.seq}\n"
    )


def _finding(record: Mapping[str, Any]) -> str:
    """Return what a rule has found, for a person; empty where the change tells none."""
    if crossing := record.get("crossing"):
        return f"line {crossing['line']} {crossing['direction']}  "
    if stay := record.get("loitering"):
        return f"in {stay['zone']} for {stay['duration_s']:.1f} s  "
    return ""
