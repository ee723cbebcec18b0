"""The step `pack`: a run becomes a model pack, with known answers, ready to be signed."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from camera_app.inference import check_known_answers
from camera_app.models import SIGNING_KEY_VARIABLE, read_private_key, sign_pack
from tools.workshop.errors import WorkshopError
from tools.workshop.pack import PackText, write_pack
from tools.workshop.runs import RunFolder, revision

WEIGHTS_FILE = "int8.tflite"


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser("pack", help="make a model pack of a run", description=__doc__)
    parser.add_argument("--run", dest="folder", required=True, type=Path, metavar="DIR")
    parser.add_argument("--name", required=True, help="of the pack")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: models/NAME")
    parser.add_argument("--card", required=True, type=Path, metavar="FILE", help="Markdown")
    parser.add_argument("--summary", required=True, metavar="TEXT", help="what it finds")
    parser.add_argument("--source", required=True, metavar="TEXT", help="where weights come from")
    parser.add_argument("--licence", default="Apache-2.0", metavar="NAME")
    parser.add_argument("--licence-file", default=Path("LICENSE"), type=Path, metavar="FILE")
    parser.add_argument("--not-for-shipping", action="store_true", help="weights stay at home")
    _many(parser, "--data", "TEXT", "a data set that it was trained on, with its licence")
    _many(parser, "--measured", "SET=TEXT", "figures on a data set")
    _many(parser, "--file", "FILE", "goes along, such as a plot of the card")
    _many(parser, "--picture", "FILE", "a known input besides those that are made")
    parser.add_argument("--teacher", default="", metavar="PACK", help="it was distilled from")
    parser.add_argument(
        "--smaller", default="", metavar="PACK", help="may stand in for it under load"
    )
    parser.add_argument("--repeat", default="", metavar="COMMAND", help="makes the weights again")
    parser.add_argument(
        "--key",
        type=Path,
        default=os.environ.get(SIGNING_KEY_VARIABLE),
        metavar="FILE",
        help=f"private key to sign with; default: {SIGNING_KEY_VARIABLE}; none: not signed",
    )
    parser.set_defaults(run=run)


def _many(parser: argparse.ArgumentParser, name: str, metavar: str, text: str) -> None:
    parser.add_argument(
        name, action="append", default=[], metavar=metavar, help=f"{text}; may be given often"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the pack, sign it if there is a key, and say what it says to the known inputs."""
    # Here, because it brings PyTorch with it.
    from tools.workshop.candidates import pack_of_run

    run_folder = RunFolder(arguments.folder)
    weights = run_folder.file(WEIGHTS_FILE, made_by="quantize")
    out = arguments.out or Path("models") / arguments.name
    answers = write_pack(out, pack_of_run(arguments.folder, weights), _text(arguments))
    run_folder.record(
        "pack",
        {name: value for name, value in vars(arguments).items() if name not in ("run", "key")},
        inputs={"weights": weights, "card": arguments.card},
        figures={"known_answers": len(answers.answers), "made_with": answers.made_with},
    )
    print(f"{out}: packed, with {len(answers.answers)} known answers")
    if arguments.key is None:
        print(f"not signed: python -m tools.workshop sign {out} --key FILE")
        return 0
    pack = sign_pack(out, read_private_key(arguments.key))
    for difference in check_known_answers(pack):
        print(f"  {difference}")
    print(f"{out}: signed")
    return 0


def _text(arguments: argparse.Namespace) -> PackText:
    return PackText(
        name=arguments.name,
        summary=arguments.summary,
        source=arguments.source,
        licence=arguments.licence,
        licence_file=arguments.licence_file,
        card_file=arguments.card,
        allows_shipping=not arguments.not_for_shipping,
        measured=dict(_figures(text) for text in arguments.measured),
        data=arguments.data,
        teacher=arguments.teacher,
        repeat=arguments.repeat,
        revision=revision(),
        files=[Path(name) for name in arguments.file],
        pictures=[Path(name) for name in arguments.picture],
        smaller=arguments.smaller,
    )


def _figures(text: str) -> tuple[str, str]:
    name, separator, figures = text.partition("=")
    if not separator:
        raise WorkshopError(
            f"{text!r} is no figure", where="--measured", remedy="Write the data set, =, figures"
        )
    return name.strip(), figures.strip()
