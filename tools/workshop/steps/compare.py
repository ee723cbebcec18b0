"""`compare`: runs side by side in one table: how made, how good, how large, how fast."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from camera_app.inference import Network, load_network
from camera_app.models import locate_weights
from tools.workshop import evaluation_set
from tools.workshop.benchmark import Subject, measure
from tools.workshop.candidates import (
    FLOAT_FILE,
    INT8_FILE,
    float_twin,
    load_model,
    pack_of_run,
)
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluate import Comparison, compare, with_boxes
from tools.workshop.run_table import Row, document, markdown, rows_of, stages_of
from tools.workshop.runs import RunFolder, write_text
from tools.workshop.words import positive

MARKDOWN_FILE = "comparison.md"
JSON_FILE = "comparison.json"

DESCRIPTION = """Put quantized runs side by side: average precision before and after quantization,
parameters, multiplications, latency in turns on this machine, size, and how each was made.

The pictures are read as `evaluate` reads them. What the runs' data and schedules do not have in
common is said below the table."""
EPILOGUE = """example:
  compare runs/plain runs/distilled runs/pruned --images photos --beside yolox_nano_person_256"""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "compare",
        help="put runs side by side in one table",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="RUN", help=f"folder with {INT8_FILE}"
    )
    parser.add_argument("--images", metavar="DIR", type=Path, required=True, help="the pictures")
    parser.add_argument(
        "--beside",
        metavar="PACK",
        action="append",
        default=[],
        help="a pack to measure as well; may be given often",
    )
    parser.add_argument(
        "--class",
        metavar="NAME",
        dest="classes",
        action="append",
        default=[],
        help="keep to this class; may be given often (default: all that all have in common)",
    )
    parser.add_argument("--rounds", type=positive, default=40, help="of timing; default 40")
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help=f"write {MARKDOWN_FILE} and {JSON_FILE} there"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure everything once, print the table, and write it."""
    cv2.setNumThreads(1)
    runs = [_network_of(folder) for folder in arguments.folders]
    packs = [load_model(name) for name in arguments.beside]
    _refuse_doubles([*runs, *packs])
    twins = {
        network.pack.name: _float_of(folder, network)
        for folder, network in zip(arguments.folders, runs, strict=True)
    }
    stages = {
        network.pack.name: stages_of(folder)
        for folder, network in zip(arguments.folders, runs, strict=True)
    }
    pictures = with_boxes(evaluation_set.load(arguments.images))
    comparison = compare([*runs, *packs], pictures, twins=twins, only=arguments.classes)
    costs = measure([_subject(network) for network in [*runs, *packs]], rounds=arguments.rounds)
    names = {name: twin.pack.name for name, twin in twins.items()}
    rows = rows_of(comparison, costs, stages, names)
    print(markdown(comparison, rows), end="")
    if arguments.out:
        _write(arguments.out, comparison, rows)
    return 0


def _network_of(folder: Path) -> Network:
    return load_network(pack_of_run(folder, RunFolder(folder).file(INT8_FILE, made_by="quantize")))


def _float_of(folder: Path, network: Network) -> Network:
    return float_twin(network, RunFolder(folder).file(FLOAT_FILE, made_by="convert"))


def _refuse_doubles(networks: Sequence[Network]) -> None:
    names = [network.pack.name for network in networks]
    for name in names:
        if names.count(name) > 1:
            raise WorkshopError(
                "two of the networks have this name",
                where=name,
                remedy="Name each once; rename one of two folders of the same name",
            )


def _subject(network: Network) -> Subject:
    return Subject(network.pack.name, locate_weights(network.pack))


def _write(folder: Path, comparison: Comparison, rows: Sequence[Row]) -> None:
    write_text(folder / MARKDOWN_FILE, markdown(comparison, rows))
    write_text(folder / JSON_FILE, json.dumps(document(comparison, rows), indent=1) + "\n")
