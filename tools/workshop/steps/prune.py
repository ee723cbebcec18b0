"""`prune`: a trained network loses the channels that weigh least."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from tools.workshop.errors import WorkshopError
from tools.workshop.libraries import require
from tools.workshop.runs import RunFolder
from tools.workshop.steps.train import natural

DESCRIPTION = """Take channels away from a trained network. What is left sees badly until it is
trained on, with `train` or `distill` and --start."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser("prune", help="take channels away", description=DESCRIPTION)
    parser.add_argument("source", type=Path, help="run folder of the trained network")
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--share", type=float, default=0.4, help="of the channels, 0 to 1 (default: 0.4)"
    )
    parser.add_argument(
        "--spare",
        type=natural,
        default=32,
        metavar="CHANNELS",
        help="layers of so many channels or fewer stay whole (default: 32)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Prune, and leave the smaller network in the run folder."""
    require("torch", "torch_pruning")
    from tools.workshop import network
    from tools.workshop.prune import prune

    if arguments.run_folder.resolve() == arguments.source.resolve():
        raise WorkshopError(
            "the pruned network would take the place of the one that it is made of",
            where=f"--run {arguments.run_folder}",
            remedy="Choose another folder",
        )
    pruned = prune(network.load_run(arguments.source), arguments.share, arguments.spare)
    network.save(arguments.run_folder, pruned.detector)
    figures = {"parameters": pruned.parameters, "multiplications": pruned.multiplications}
    for name, (before, after) in figures.items():
        print(f"{name}: {before:,} -> {after:,} ({after / before:.0%})")
    given = {name: value for name, value in vars(arguments).items() if name != "run"}
    weights = {"weights": arguments.source / network.WEIGHTS_FILE}
    RunFolder(arguments.run_folder).record("prune", given, inputs=weights, figures=figures)
    return 0
