"""What stands in the ledger where changes had to go, so that a subscriber knows. Pure.

A gap takes the place of the rows that it covers: the row number of the last of them, and in its
stream their sequence numbers. Neighbours become one, so there are as few as can be.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from camera_app.clock import iso_utc
from camera_app.events import SCHEMA, canonical_json, event_id, seeded_bits
from camera_app.store.commit import CommittedChange

GAP_TYPE = "gap"

# Why changes are missing.
TOO_OLD = "age"  # the owner's limit of age
TOO_MANY = "number"  # the owner's limit of number
TOO_LARGE = "size"  # the owner's limit of bytes
DISK_FULL = "disk_full"  # the disk took nothing for too long; they were never written
REFUSED = "refused"  # the broker does not take this one, whatever is tried
UNKNOWN = "unknown"  # they are not in the ledger, and nothing says why
SEVERAL = "several"  # more than one of these


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of one stream that is not there any more.

    Attributes:
        camera: The stream.
        from_seq: First number that is missing.
        to_seq: Last number that is missing.
        why: One of the words above.
        row: Place in the order of the ledger: that of the last row covered.
        is_told: No subscriber has to be told: all that it covers was acknowledged, or this was.
    """

    camera: str
    from_seq: int
    to_seq: int
    why: str
    row: int
    is_told: bool


def joined(pieces: Iterable[Gap]) -> list[Gap]:
    """Return the same stretches, neighbours made one, in order of stream and number."""
    whole: list[Gap] = []
    for piece in sorted(pieces, key=lambda gap: (gap.camera, gap.from_seq)):
        last = whole[-1] if whole else None
        if last and last.camera == piece.camera and last.to_seq + 1 == piece.from_seq:
            whole[-1] = _both(last, piece)
        else:
            whole.append(piece)
    return whole


def _both(first: Gap, second: Gap) -> Gap:
    return Gap(
        camera=first.camera,
        from_seq=first.from_seq,
        to_seq=second.to_seq,
        why=first.why if first.why == second.why else SEVERAL,
        row=max(first.row, second.row),
        is_told=first.is_told and second.is_told,
    )


def gap_record(gap: Gap, event_id: str, wall_ns: int) -> str:
    """Return a gap as canonical JSON, as `change_record` does for a change.

    Args:
        gap: What is missing.
        event_id: The gap's own, so that a second copy is harmless.
        wall_ns: When it came about, nanoseconds since 1970.
    """
    return canonical_json(
        {
            "schema": SCHEMA,
            "type": GAP_TYPE,
            "event_id": event_id,
            "camera": gap.camera,
            "from_seq": gap.from_seq,
            "to_seq": gap.to_seq,
            "why": gap.why,
            "at": iso_utc(wall_ns),
        }
    )


def gap_row(gap: Gap, wall_ns: int) -> CommittedChange:
    """Return the row of the ledger that stands for a gap, which came about at that wall time.

    Made from the same facts it has the same id.
    """
    name = event_id(wall_ns, seeded_bits(f"{gap.camera}/{gap.from_seq}/{gap.to_seq}")())
    record = gap_record(gap, name, wall_ns)
    return CommittedChange(
        gap.row, gap.camera, gap.to_seq, name, GAP_TYPE, wall_ns, wall_ns, record
    )


def refused_gap(change: CommittedChange, wall_ns: int) -> CommittedChange:
    """Return what is told in the place of a change that the broker never takes."""
    gap = Gap(change.camera, change.seq, change.seq, REFUSED, change.row, is_told=False)
    return gap_row(gap, wall_ns)


def gap_of(row: int, camera: str, to_seq: int, record: str, *, is_told: bool) -> Gap:
    """Return the gap that a row of the ledger stands for."""
    facts = json.loads(record)
    return Gap(camera, facts["from_seq"], to_seq, facts["why"], row, is_told)
