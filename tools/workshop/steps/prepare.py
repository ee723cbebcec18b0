"""`workshop prepare`: any labelled pictures in; one data set and a report on its labels out."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
from tqdm import tqdm

from tools.workshop import dataset, importers, label_report
from tools.workshop.prepare import ON_PROBLEM, WITHOUT_LABELS, Prepared, Wishes, prepare
from tools.workshop.runs import RunFolder

Item = TypeVar("Item")

# Lines of each kind of problem that fit on a screen; all are in problems.json.
FIRST = 3


def configure(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the step's parser."""
    parser = subparsers.add_parser(
        "prepare", help="make one data set of labelled pictures in any form", description=__doc__
    )
    parser.add_argument("sources", nargs="+", type=Path, metavar="SOURCE")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument(
        "--format",
        default="auto",
        choices=("auto", *importers.FORMATS),
        help="what the labels are in (default: what each source shows)",
    )
    _configure_choice(parser)
    _configure_checks(parser)
    parser.set_defaults(run=run)


def _configure_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--classes", default=(), type=_names, metavar="A,B", help="to keep (default: all)"
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        type=_renaming,
        metavar="OLD=NEW",
        help="call a class of the sources by another name; may be given often",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        type=_exclusion,
        metavar="KEY=PATTERN",
        help="leave out pictures by source=, split= or file=; may be given often",
    )
    parser.add_argument(
        "--val-share",
        default=0.07,
        type=_share,
        metavar="SHARE",
        help="of the pictures without a split of their own, to choose by (default: 0.07)",
    )
    parser.add_argument("--resplit", action="store_true", help="forget the splits of the sources")
    parser.add_argument("--seed", default=0, type=int, help="which pictures those are (default: 0)")


def _configure_checks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--on-problem",
        default="stop",
        choices=ON_PROBLEM,
        help="refuse the lot, leave out pictures concerned, or put right what can be",
    )
    parser.add_argument(
        "--without-labels",
        default="",
        choices=WITHOUT_LABELS,
        help="what pictures without labels are: nothing wanted is in them, or nobody knows yet",
    )
    parser.add_argument(
        "--held-out",
        action="append",
        default=[],
        type=Path,
        metavar="DIR",
        help="pictures for evaluation: nothing nearly the same gets in; may be given often",
    )
    parser.add_argument(
        "--near-bits",
        default=Wishes().near_bits,
        type=int,
        metavar="BITS",
        help="of 256 that differ at most in pictures nearly the same (default: %(default)s)",
    )
    parser.add_argument(
        "--held-out-bits",
        default=Wishes().held_out_bits,
        type=int,
        metavar="BITS",
        help="the same for --held-out (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prepare, report, and record how it was done."""
    # What is wrong with a picture is told by name, once, and not by the decoder as well.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    sources = [importers.read(source, arguments.format) for source in arguments.sources]
    prepared = prepare(sources, arguments.out, _wishes(arguments), watch=_bar)
    report = label_report.report(prepared.data_set)
    label_report.save(arguments.out, prepared.data_set, report, seed=arguments.seed)
    _record(arguments, prepared, report)
    _tell(arguments.out, prepared, report)
    return 0


def _wishes(arguments: argparse.Namespace) -> Wishes:
    return Wishes(
        classes=arguments.classes,
        rename=tuple(arguments.map),
        val_share=arguments.val_share,
        seed=arguments.seed,
        resplit=arguments.resplit,
        on_problem=arguments.on_problem,
        without_labels=arguments.without_labels,
        exclude=tuple(arguments.exclude),
        held_out=tuple(arguments.held_out),
        near_bits=arguments.near_bits,
        held_out_bits=arguments.held_out_bits,
    )


def _bar(items: Sequence[Item]) -> Iterable[Item]:
    """Show progress on a terminal, and nothing in a log."""
    bar: Iterable[Item] = tqdm(items, unit="picture", disable=None)
    return bar


def _record(arguments: argparse.Namespace, prepared: Prepared, report: label_report.Report) -> None:
    given = {name: value for name, value in vars(arguments).items() if name not in ("run", "step")}
    figures = {
        "images": report.images,
        "boxes": report.boxes,
        "problems": prepared.problems.counts(),
        "left_out": prepared.left_out,
    }
    inputs = {str(path): path for path in arguments.sources if path.is_file()}
    inputs |= {str(path): path for source in arguments.sources for path in source.glob("*.json")}
    inputs["dataset"] = arguments.out / dataset.FILE
    RunFolder(arguments.out).record("prepare", given, inputs=inputs, figures=figures)


def _tell(out: Path, prepared: Prepared, report: label_report.Report) -> None:
    print(label_report.text(report))
    for reason, count in prepared.left_out.items():
        print(f"{count:6d}  {reason}")
    if prepared.problems.found:
        print(prepared.problems.text(FIRST))
    print(f"{out}: dataset.json, labels.json, labels.png, problems.json")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of different class names")
    return names


def _renaming(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise argparse.ArgumentTypeError(f"{text!r} is not OLD=NEW")
    return old, new


def _exclusion(text: str) -> tuple[str, str]:
    key, equals, pattern = text.partition("=")
    if key not in ("source", "split", "file") or not (equals and pattern):
        raise argparse.ArgumentTypeError(f"{text!r} is not source=, split= or file= and a pattern")
    return key, pattern


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0.0 <= share < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to below 1")
    return share
