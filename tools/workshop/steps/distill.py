"""`distill`: a detector learns from a prepared data set and from a teacher."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from camera_app.inference import load_network
from camera_app.models import ModelPack, find_pack, locate_weights
from tools.workshop import dataset
from tools.workshop.errors import WorkshopError
from tools.workshop.libraries import require
from tools.workshop.steps.train import (
    add_training_options,
    few_pictures_of,
    from_yolox,
    prepare,
    record,
    schedule_of,
    starting_network,
    training_data,
)

if TYPE_CHECKING:
    from tools.workshop.imitation import Teacher

WAYS = ("auto", "cells", "boxes")

DESCRIPTION = """Train a detector as `train` does, with a teacher: any detector pack, a TFLite file
included.

Two ways. `cells` asks the teacher about every sample, cell by cell: for a YOLOX-nano, whose cells
are ours. `boxes` lets a teacher of any family look at every picture once, upright and mirrored,
and takes what it finds into the labels, as surely as it finds it."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "distill",
        help="train a detector with a teacher",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_training_options(parser)
    parser.add_argument("--teacher", required=True, metavar="PACK", help="name, folder or file")
    parser.add_argument(
        "--way", choices=WAYS, default="auto", help="default: cells for a YOLOX-nano, else boxes"
    )
    parser.add_argument(
        "--features",
        type=float,
        default=0.0,
        metavar="WEIGHT",
        help="with `cells`: also copy what each part of the teacher gives; 10 is a good weight "
        "(default: 0)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train with the teacher, and leave the network in the run folder."""
    require("torch")
    from tools.workshop.train import Training

    data = training_data(arguments)
    pack = find_pack(arguments.teacher)
    by_cells = _by_cells(arguments.way, pack)
    if arguments.features and not by_cells:
        raise WorkshopError(
            "a teacher that only gives boxes has no features to copy",
            where="--features",
            remedy="Leave it out, or give a YOLOX-nano as teacher",
        )
    prepare(arguments)
    imitated = None
    if by_cells:
        imitated = _cell_teacher(arguments, data, pack)
    else:
        data = _taught(arguments, data, pack)
    detector = starting_network(arguments, data)
    Training(detector, data, schedule_of(arguments), arguments.run_folder, imitated).run()
    record("distill", arguments)
    return 0


def _by_cells(way: str, pack: ModelPack) -> bool:
    return way == "cells" or (way == "auto" and pack.name.startswith("yolox_nano"))


def _cell_teacher(arguments: argparse.Namespace, data: dataset.DataSet, pack: ModelPack) -> Teacher:
    from tools.workshop.imitation import Teacher
    from tools.workshop.network import Detector, NetworkPlan, standard_widths

    standard = NetworkPlan(
        data.classes, arguments.size, arguments.size, standard_widths(), activation="silu"
    )
    detector = Detector(standard)
    from_yolox(detector, locate_weights(pack), few_pictures_of(arguments, data))
    return Teacher(detector)


def _taught(
    arguments: argparse.Namespace, data: dataset.DataSet, pack: ModelPack
) -> dataset.DataSet:
    from tools.workshop.soft_labels import teach, teacher_of

    return teach(data, teacher_of(load_network(pack), data.classes), arguments.run_folder)
