"""Run the service for a long time while everything around it goes away and returns.

    python -m tools.soak --clip FILM [--minutes 20] [--seed 1] [--json FILE] [--page FILE]

Three cameras, one of them over RTSP where this machine can serve that; a real mosquitto that is
killed and comes back; children killed at random moments; a simulated stick that flaps. At the end
a checker of its own says whether a change of an event was lost, and slopes whether anything grows.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from pathlib import Path
from statistics import median

from tools.docs.marked import put_into
from tools.processes import TrialFailed
from tools.soak.chaos import QUIET_FIRST_S, QUIET_LAST_S, Wishes
from tools.soak.gauges import Growth
from tools.soak.rig import Rig
from tools.soak.trial import Outcome, Soak, as_json

FULL_MINUTES, FULL_KILLS = 20.0, 50
# In less, nothing could go wrong between the quiet at both ends and be well again.
SHORTEST_MINUTES = 0.4


def main() -> int:
    """Run and print; 0 when all is as it must be."""
    arguments = _parser().parse_args()
    wishes = wishes_for(arguments.minutes)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        try:
            with Rig(Path(folder), arguments.clip) as rig:
                outcome = Soak(rig, wishes, arguments.seed, _say).run()
        except TrialFailed as failure:
            sys.stderr.write(f"soak: {failure}\n")
            return 1
    if arguments.json:
        arguments.json.write_text(as_json(outcome) + "\n", encoding="utf-8")
    lines = table(outcome)
    sys.stdout.write("\n".join(lines) + "\n")
    if arguments.page:
        put_into(arguments.page, "soak", lines)
    for problem in outcome.problems():
        sys.stderr.write(f"soak: {problem}\n")
    return 1 if outcome.problems() else 0


def wishes_for(minutes: float) -> Wishes:
    """Return how much is to happen in so long: less in a shorter time, of each something."""
    share = minutes / FULL_MINUTES
    return Wishes(
        seconds=minutes * 60,
        kills=max(3, round(FULL_KILLS * share)),
        outages=max(1, round(8 * share)),
        flaps=max(1, round(30 * share)),
    )


def table(outcome: Outcome) -> list[str]:
    """Return the lines of the table, Markdown."""
    backs = [kill.back_s for kill in outcome.kills if kill.back_s is not None]
    back = f"{median(backs):.1f} s, at most {max(backs):.1f} s" if backs else "none came back"
    rtsp = sum(kind == "rtsp" for kind in outcome.cameras.values())
    happened = outcome.happened
    rows = [
        ("length", f"{outcome.seconds / 60:.1f} minutes", ""),
        ("cameras", f"{len(outcome.cameras)}, of these over RTSP {rtsp}", ""),
        ("processes killed", f"{len(outcome.kills)}", "all come back"),
        ("back after a kill", back, ""),
        ("broker killed and back", f"{happened.get('BROKER_AWAY', 0)} times", ""),
        ("stick pulled out and back", f"{happened.get('UNPLUG', 0)} times", ""),
        ("frames looked at", f"{outcome.frames}, by the stick {outcome.stick_answers}", ""),
        ("changes of events heard", f"{outcome.changes}", ""),
        ("lost, swapped, changed", f"{len(outcome.findings)}", "0"),
        ("exits", f"{outcome.exits}", "0"),
        ("tracebacks in the log", f"{outcome.tracebacks}", "0"),
        *[_row(growth) for growth in outcome.growths],
        ("memory of all processes", f"{outcome.tree_mb:.0f} MB", ""),
    ]
    lines = [f"| {what} | {measured} | {limit} |" for what, measured, limit in rows]
    return ["| what | measured | must be |", "| --- | --- | --- |", *lines]


def _row(growth: Growth) -> tuple[str, str, str]:
    limit = "too short to tell"
    if growth.hours is not None:
        limit = f"grows by {growth.limit.allowed(growth.hours):.1f} at most"
    measured = f"{growth.usual:.1f}, highest {growth.highest:.1f}, grew by {growth.grown:+.1f}"
    return growth.limit.what, measured, limit


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--clip", action="append", type=Path, required=True, metavar="FILM")
    parser.add_argument(
        "--minutes",
        type=_minutes,
        default=FULL_MINUTES,
        help=f"at least {SHORTEST_MINUTES}; default: 20",
    )
    parser.add_argument("--seed", type=int, default=1, help="what happens when; default: 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="figures for programs")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page")
    return parser


def _minutes(word: str) -> float:
    try:
        minutes = float(word)
    except ValueError:
        minutes = math.nan
    if not SHORTEST_MINUTES <= minutes < math.inf:  # false for what is no number, too
        quiet = f"{QUIET_FIRST_S:.0f} s at the beginning and {QUIET_LAST_S:.0f} s at the end"
        raise argparse.ArgumentTypeError(
            f"a run has at least {SHORTEST_MINUTES} minutes, of which {quiet} are quiet; got {word}"
        )
    return minutes


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
