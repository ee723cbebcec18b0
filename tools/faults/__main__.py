"""Inflict faults on the real camera with a simulated stick, and make the table of what came of it.

    python -m tools.faults [NAME …] [--hold 3] [--json FILE] [--page docs/reliability.md]

The camera runs in a process of its own at ten frames a second, each of which is to be looked at.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.docs.marked import put_into
from tools.faults.faults import FAULTS, Fault
from tools.faults.measure import Outcome
from tools.faults.rig import Rig
from tools.faults.trial import HOLD_S, SETTLE_S, settled, try_alone, try_fault


def main() -> int:
    """Try the faults; 0 when every one keeps what is promised."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = [fault.name for fault in FAULTS]
    parser.add_argument("faults", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    parser.add_argument("--hold", type=float, default=HOLD_S, metavar="S", help="default: 3")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page")
    arguments = parser.parse_args()
    if unknown := set(arguments.faults) - set(names):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in FAULTS if not arguments.faults or fault.name in arguments.faults]
    outcomes = try_all(chosen, arguments.hold)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=2) + "\n")
    lines = table(chosen, outcomes)
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.page:
        put_into(arguments.page, "faults", lines)
    return 0 if all(outcome.is_good() for outcome in outcomes) else 1


def try_all(faults: Sequence[Fault], hold_s: float) -> list[Outcome]:
    """Try each fault on a camera of its own, so that none bears what another one left behind."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for fault in faults:
            outcome = _try(fault, Path(folder) / fault.name, hold_s)
            outcomes.append(outcome)
            sys.stderr.write(f"{fault.name}: {outcome}\n")
    return outcomes


def _try(fault: Fault, folder: Path, hold_s: float) -> Outcome:
    if fault.is_at_boot:
        # A look a frame, and known answers twice a second.
        return try_alone(fault, folder, per_s=10.0, hold_s=hold_s)
    with Rig(folder) as rig:
        return try_fault(rig, fault, settled(rig, SETTLE_S), hold_s=hold_s)


def table(faults: Sequence[Fault], outcomes: Sequence[Outcome]) -> list[str]:
    """Return the lines of the table, Markdown."""
    lines = [
        "| fault of the stick | blind | longest gap | frames shed | back after | exits |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for fault, outcome in zip(faults, outcomes, strict=True):
        shed = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.shed.items()))
        back = "never" if outcome.back_s is None else f"{outcome.back_s:.1f} s"
        lines.append(
            f"| {fault.name}: {fault.text} | {outcome.blind_s:.2f} s | "
            f"{outcome.longest_gap_s:.2f} s | {shed or 'none'} | {back} | {outcome.exits} |"
        )
    return lines


if __name__ == "__main__":
    sys.exit(main())
