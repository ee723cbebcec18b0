"""Inflicts one fault on a running camera and measures what becomes of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from tools.faults.faults import Fault
from tools.faults.measure import (
    BACK_OVER_S,
    Outcome,
    back_at_s,
    believed_s,
    blind_s,
    gaps,
)
from tools.faults.rig import FPS, Rig

HOLD_S = 3.0
# Not a whole number of the times between two checks: a fault must not begin just before one.
SETTLE_S = 3.1
RETURN_LIMIT_S = 20.0
IN_USE_LIMIT_S = 30.0
# A stick may take two seconds for an answer before it is given up, and this machine may be busy.
NOTICE_LIMIT_S = 20.0


def settled(rig: Rig, settle_s: float) -> float:
    """Wait until the stick has given answers for a while; return how many a second."""
    rig.wait_in_use(IN_USE_LIMIT_S)
    rig.wait(settle_s)
    now_s = time.monotonic()
    return rig.invokes_between(now_s - settle_s / 2, now_s) / (settle_s / 2)


def try_fault(rig: Rig, fault: Fault, per_s: float, *, hold_s: float = HOLD_S) -> Outcome:
    """Inflict a fault, take it back, and wait until the stick is used again.

    Args:
        rig: A camera that is running, its stick in use unless the fault is one of the start.
        fault: The fault.
        per_s: Answers a second that the stick gives when all is well.
        hold_s: How long the fault lasts; one that breaks the stick lasts until that is noticed.

    Raises:
        TimeoutError: The stick was broken, and stayed in use.
    """
    begin_s = time.monotonic()
    lines, lost = len(rig.heard.lines), len(rig.heard.lost_s)
    with fault.on(rig):
        rig.wait(hold_s)
        if fault.breaks and not fault.is_at_boot:
            rig.wait_lost(NOTICE_LIMIT_S, after=lost)
    over_s = time.monotonic()
    back_s = _wait_back(rig, over_s, per_s)
    end_s = time.monotonic()
    blind = blind_s(rig.heard.seen_s, begin_s, end_s, 1 / FPS)
    if fault.gives_nonsense:
        blind += believed_s(rig.invokes, rig.heard.lost_s, begin_s, over_s)
    return Outcome(
        fault=fault.name,
        blind_s=blind,
        longest_gap_s=max(gaps(rig.heard.seen_s, begin_s, end_s)),
        shed=rig.heard.shed_since(begin_s),
        back_s=None if back_s is None else back_s - over_s,
        exits=int(not rig.is_running),
        findings=tuple(_findings(rig.heard.lines[lines:])),
    )


def wait_busy(rig: Rig, per_s: float) -> None:
    """Wait until the stick has given its answers for a while: else no fault would show.

    Raises:
        TimeoutError: It does not.
    """
    if _wait_back(rig, time.monotonic() - BACK_OVER_S, per_s) is None:
        raise TimeoutError(f"the stick does not give {per_s:.0f} answers a second")


def try_alone(fault: Fault, folder: Path, per_s: float, *, hold_s: float = HOLD_S) -> Outcome:
    """Try a fault of the start with a camera of its own."""
    with Rig(folder, is_plugged=False) as rig:
        return try_fault(rig, fault, per_s, hold_s=hold_s)


def _wait_back(rig: Rig, over_s: float, per_s: float) -> float | None:
    """Wait until the stick gives its answers; return when it began to."""
    while time.monotonic() < over_s + RETURN_LIMIT_S:
        if not rig.is_running:
            return None
        back_s = back_at_s(rig.invokes, max([over_s, *rig.heard.in_use_s[-1:]]), per_s)
        if back_s is not None:
            return back_s
        rig.wait(BACK_OVER_S / 10)
    return None


def _findings(lines: Sequence[str]) -> list[str]:
    marks = ("is not used any more, others look instead: ", "cannot be used: ")
    return [line.split(mark, 1)[1] for line in lines for mark in marks if mark in line]
