"""The commands of the simulator: what to run, how long, and where the picture goes."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.scheduling_sim import frigate_load, months, scale
from tools.scheduling_sim.plot import scaling_svg


def main(words: list[str] | None = None) -> int:
    """Run one simulation and print its table."""
    arguments = _parser().parse_args(words)
    if arguments.command == "frigate-load":
        print(frigate_load.table(arguments.seconds))
    elif arguments.command == "scale":
        cells = scale.cells(arguments.seconds)
        print(scale.table(cells))
        if arguments.svg:
            arguments.svg.write_text(scaling_svg(cells), encoding="utf-8")
    else:
        print(months.report(months.run(arguments.days, arguments.seed)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.scheduling_sim", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    frigate = commands.add_parser("frigate-load", help="16 cameras at 5 fps on one stick")
    frigate.add_argument("--seconds", type=float, default=300.0, help="simulated, a setup")
    scaling = commands.add_parser("scale", help="1 to 64 cameras, no stick to four")
    scaling.add_argument("--seconds", type=float, default=30.0, help="simulated, a combination")
    scaling.add_argument("--svg", type=Path, help="write the picture there")
    long = commands.add_parser("months", help="faults, heat and a weak supply, for long")
    long.add_argument("--days", type=float, default=90.0)
    long.add_argument("--seed", type=int, default=0)
    return parser


if __name__ == "__main__":
    sys.exit(main())
