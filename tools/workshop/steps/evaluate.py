"""`evaluate`: how good networks are on annotated pictures, in figures, plots and pictures."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from camera_app.commands.detect import share
from camera_app.inference import Network
from camera_app.models import locate_weights
from tools.workshop import evaluation_set
from tools.workshop.candidates import FLOAT_FILE, INT8_FILE, float_twin, load_model, load_run
from tools.workshop.errors import WorkshopError
from tools.workshop.evaluate import (
    REFERENCE,
    SCORE,
    Comparison,
    Evaluation,
    compare,
    figures,
    with_boxes,
)
from tools.workshop.report import write_report
from tools.workshop.runs import RunFolder, write_text
from tools.workshop.witness import Witnessed, witnessed

FIGURES_FILE = "figures.json"
DEFAULT_EXAMPLES = 12

DESCRIPTION = """Show annotated pictures to networks, prepared and decoded as on the camera, and
tell how good they are: average precision as COCO defines it, also by size, recall and precision
at a threshold, faces found against other boxes, int8 against float, and the time it takes.

The folder of pictures holds instances.json (COCO), annotations.json (faces), dataset.json (from
the step `prepare`; its `val` part is taken), or clips that show one face each."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure networks on annotated pictures",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "models", metavar="MODEL", nargs="*", help="pack: its name, folder or weights file"
    )
    parser.add_argument(
        "--run",
        metavar="DIR",
        dest="runs",
        type=Path,
        action="append",
        default=[],
        help=f"run folder with {INT8_FILE}, and {FLOAT_FILE} to compare it with; repeatable",
    )
    parser.add_argument("--images", metavar="DIR", type=Path, required=True, help="the pictures")
    parser.add_argument(
        "--float", metavar="FILE", type=Path, help="float weights of the one MODEL, to compare"
    )
    parser.add_argument(
        "--class",
        metavar="NAME",
        dest="classes",
        action="append",
        default=[],
        help="keep to this class; repeatable (default: all that the models and pictures share)",
    )
    parser.add_argument(
        "--score",
        metavar="S",
        type=share,
        default=SCORE,
        help="threshold for what is counted at one threshold (default: %(default)s)",
    )
    parser.add_argument(
        "--reference",
        metavar="PACK",
        default=REFERENCE,
        help="marks the face in clips without annotations (default: %(default)s)",
    )
    parser.add_argument(
        "--witness",
        metavar="PACK",
        help="another detector: how many of the wrong boxes does it see as well?",
    )
    parser.add_argument(
        "--out", metavar="DIR", type=Path, help=f"write report.html and {FIGURES_FILE} there"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the figures there")
    parser.add_argument(
        "--examples",
        metavar="N",
        type=_count,
        default=DEFAULT_EXAMPLES,
        help="pictures of each kind in the report (default: %(default)s)",
    )
    parser.add_argument(
        "--picture-files",
        action="store_true",
        help="leave the report's pictures in a folder beside it, not inside",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the pictures shown by chance (default: %(default)s)"
    )
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Measure, print a table, and write what was asked for."""
    cv2.setNumThreads(1)  # as on the camera; and times do not depend on what else runs
    pictures = evaluation_set.load(arguments.images)
    networks, twins = _opened(arguments)
    comparison = compare(
        networks,
        with_boxes(pictures, arguments.reference),
        twins=twins,
        score=arguments.score,
        only=arguments.classes,
    )
    _print_table(comparison)
    if arguments.witness:
        _print_witnessed(witnessed(comparison, load_model(arguments.witness)))
    _write(arguments, comparison)
    _record(arguments, comparison, networks[len(arguments.models) :])
    return 0


def _opened(arguments: argparse.Namespace) -> tuple[list[Network], dict[str, Network]]:
    """Return the networks, those of run folders last, and float twins by the network's name."""
    models = [load_model(name) for name in arguments.models]
    runs = [load_run(folder) for folder in arguments.runs]
    networks = models + runs
    _check(arguments, [network.pack.name for network in networks])
    twins = {
        network.pack.name: float_twin(network, folder / FLOAT_FILE)
        for network, folder in zip(runs, arguments.runs, strict=True)
        if (folder / INT8_FILE).is_file() and (folder / FLOAT_FILE).is_file()
    }
    if arguments.float:
        twins[networks[0].pack.name] = float_twin(networks[0], arguments.float)
    return networks, twins


def _check(arguments: argparse.Namespace, names: list[str]) -> None:
    if not names:
        raise WorkshopError("nothing to measure", remedy="Name a MODEL, or give --run DIR")
    if len(set(names)) < len(names):
        raise WorkshopError(
            f"two models have the same name: {', '.join(names)}",
            remedy="Give each once; rename a run folder if need be",
        )
    if arguments.float and len(names) != 1:
        raise WorkshopError(
            f"belongs to one model, and {len(names)} are given",
            where="--float",
            remedy="Give --float with one MODEL; a run folder brings its float network along",
        )
    if arguments.float and not arguments.float.is_file():
        raise WorkshopError("no such file", where=str(arguments.float))


def _print_table(comparison: Comparison) -> None:
    print(f"{'model':34} AP50:95   AP50   AP75  {'recall precision wrong':>22} {'ms':>7}")
    for one in comparison.evaluations:
        whole, count = one.precision.overall, one.at_score
        print(
            f"{one.model:34} {whole.ap50_95:7.3f} {whole.ap50:6.3f} {whole.ap75:6.3f}  "
            f"{count.recall:6.3f} {count.precision:9.3f} {count.wrong:5d} "
            f"{one.latency.invoke_ms:7.2f}"
        )
        _print_faces(one)
    for pair in comparison.agreements:
        print(
            f"{pair.model} against {pair.other}: AP50:95 {pair.ap50_95_change:+.3f}, "
            f"AP50 {pair.ap50_change:+.3f}, F1 of the boxes {pair.f1:.3f}"
        )
    print(f"recall, precision and wrong boxes at score {comparison.score:g}, IoU 0.5")


def _print_faces(one: Evaluation) -> None:
    if one.faces is None:
        return
    faces = one.faces
    print(
        f"  {faces.found} of {faces.faces} faces, {faces.others} other boxes, mean IoU "
        f"{faces.mean_iou:.3f}; at score {faces.best_score:.3f}: {faces.best_found} of "
        f"{faces.faces}, {faces.best_others} other boxes"
    )


def _print_witnessed(said: Sequence[Witnessed]) -> None:
    for one in said:
        print(f"{one.model}: {one.witness} sees {one.seen_too} of its {one.wrong} wrong boxes too")


def _write(arguments: argparse.Namespace, comparison: Comparison) -> None:
    text = json.dumps(figures(comparison), indent=1) + "\n"
    if arguments.json:
        write_text(arguments.json, text)
    if arguments.out:
        write_text(arguments.out / FIGURES_FILE, text)
        report = write_report(
            arguments.out,
            comparison,
            examples=arguments.examples,
            seed=arguments.seed,
            picture_files=arguments.picture_files,
        )
        sys.stderr.write(f"{report}\n")


def _record(arguments: argparse.Namespace, comparison: Comparison, networks: list[Network]) -> None:
    """Leave the figures in each run folder, under the name of the pictures."""
    words = {name: value for name, value in vars(arguments).items() if name != "run"}
    every = figures(comparison)
    for folder, network in zip(arguments.runs, networks, strict=True):
        own = {**every, "models": [m for m in every["models"] if m["model"] == network.pack.name]}
        RunFolder(folder).record(
            f"evaluate-{comparison.pictures.name}",
            words,
            inputs={"weights": locate_weights(network.pack)},
            figures=own,
        )
