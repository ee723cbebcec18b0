"""`card`: writes the card of a model from what the other steps recorded."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any

from tools.workshop.card import CardText, write_card
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import write_text

DESCRIPTION = """Write CARD.md for a run: figures, training curve and how to repeat it come from the
records of the other steps; the rest from a small TOML file with title, purpose, data, origin,
weaknesses and repeat."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser("card", help="write a model's card", description=DESCRIPTION)
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--text", type=Path, required=True, metavar="FILE", help="the TOML file")
    parser.add_argument(
        "--evaluation",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="figures.json of the step `evaluate`; may be given often",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: CARD.md in the run")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the card."""
    text = _text(arguments.text)
    out = arguments.out or arguments.run_folder / "CARD.md"
    write_text(out, write_card(text, arguments.run_folder, arguments.evaluation))
    print(out)
    return 0


def _text(path: Path) -> CardText:
    try:
        return CardText(**tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, tomllib.TOMLDecodeError, TypeError) as error:
        raise WorkshopError(
            f"no text for a card: {error}",
            where=str(path),
            remedy="It needs title, purpose, data, origin, weaknesses and repeat",
        ) from error
