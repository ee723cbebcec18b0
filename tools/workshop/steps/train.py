"""`train`: a detector learns from a prepared data set."""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.workshop import dataset
from tools.workshop.errors import WorkshopError
from tools.workshop.libraries import require
from tools.workshop.runs import RunFolder

if TYPE_CHECKING:  # PyTorch takes a second to import: only where a network is trained
    from torch import Tensor

    from tools.workshop.network import Detector, NetworkPlan
    from tools.workshop.train import Schedule

FROM_CHANCE = "none"
FIRST = 3  # wrong labels that are named

DESCRIPTION = """Train a detector. Stopped, by Ctrl-C or a power cut, the same command goes on
after the last whole epoch. The run folder gets the network (network.json, weights.pt), what each
epoch gave (history.jsonl), and train.json with all that is needed to do it again."""
EPILOGUE = """examples:
  train data/people --run runs/person
  train data/people --run runs/person --start yolox_nano_coco_416.tflite --epochs 6
  train data/faces --run runs/face --size 192 --start runs/person
  train data/people --run runs/ready --start runs/person --quantization-aware --rate 1e-4"""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "train",
        help="train a detector on a prepared data set",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_training_options(parser)
    parser.set_defaults(run=run)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add what `train` and `distill` have in common."""
    parser.add_argument("data", type=Path, help="folder that `prepare` made")
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--start",
        default=FROM_CHANCE,
        metavar="WHAT",
        help="a YOLOX-nano TFLite file, a run folder, or none: from chance (default: none)",
    )
    parser.add_argument("--size", type=side, default=256, help="input side, pixels (default: 256)")
    parser.add_argument(
        "--base", type=channels, help="channels at the front (default: 16, or as in a run to start)"
    )
    parser.add_argument(
        "--head", type=channels, help="channels of a head (default: 64, or as in a run to start)"
    )
    parser.add_argument("--epochs", type=natural, default=6, help="default: 6")
    parser.add_argument("--batch", type=positive, default=32, help="pictures a step (default: 32)")
    parser.add_argument(
        "--batches",
        type=positive,
        metavar="N",
        help="of an epoch at most (default: all pictures)",
    )
    parser.add_argument("--rate", type=rate, default=1e-3, help="learning rate (default: 0.001)")
    parser.add_argument(
        "--zoom",
        type=zoom,
        default=(0.45, 1.7),
        metavar="LEAST,MOST",
        help="size of a sample's picture, as a share of what fits the input (default: 0.45,1.7)",
    )
    parser.add_argument("--seed", type=natural, default=0, help="default: 0")
    parser.add_argument("--workers", type=natural, default=2, help="make samples (default: 2)")
    parser.add_argument(
        "--threads", type=natural, default=0, help="of PyTorch (default: all cores)"
    )
    parser.add_argument(
        "--quantization-aware",
        action="store_true",
        help="round weights and layers as int8 will; to fine-tune a run whose int8 is worse",
    )


def zoom(text: str) -> tuple[float, float]:
    """Return least and most zoom, as argparse wants it."""
    least, most = (float(part) for part in text.split(","))
    if not 0.05 <= least <= most <= 20.0:
        raise argparse.ArgumentTypeError(f"expected 0.05 <= LEAST <= MOST <= 20, got {text}")
    return least, most


def side(text: str) -> int:
    """Return the side of an input, as argparse wants it."""
    return _multiple(text, 32)


def channels(text: str) -> int:
    """Return how many channels a layer has; cross-stage blocks halve them."""
    return _multiple(text, 2)


def _multiple(text: str, of: int) -> int:
    value = int(text)
    if value < of or value % of:
        raise argparse.ArgumentTypeError(f"expected a multiple of {of}, got {value}")
    return value


def positive(text: str) -> int:
    """Return a whole number from 1."""
    return _multiple(text, 1)


def natural(text: str) -> int:
    """Return a whole number from 0."""
    return int(text) if text == "0" else positive(text)


def rate(text: str) -> float:
    """Return a learning rate."""
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Train, and leave the network in the run folder."""
    require("torch")
    from tools.workshop.train import Training

    data = training_data(arguments)
    prepare(arguments)
    detector = starting_network(arguments, data)
    Training(detector, data, schedule_of(arguments), arguments.run_folder).run()
    record("train", arguments)
    return 0


def record(step: str, arguments: argparse.Namespace) -> None:
    """Leave in the run folder how it was made."""
    given = {name: value for name, value in vars(arguments).items() if name != "run"}
    inputs = {"data": arguments.data / dataset.FILE}
    start = Path(arguments.start)
    if start.is_file():
        inputs["start"] = start
    elif start.is_dir():
        inputs["start"] = start / "weights.pt"
    RunFolder(arguments.run_folder).record(step, given, inputs=inputs)


def prepare(arguments: argparse.Namespace) -> None:
    """Set seed and threads, and make the run folder.

    Raises:
        WorkshopError: The folder cannot be made.
    """
    import torch

    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        arguments.run_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WorkshopError(
            f"the run folder cannot be made: {error.strerror or error}",
            where=str(arguments.run_folder),
            remedy="Choose another folder",
        ) from error


def training_data(arguments: argparse.Namespace) -> dataset.DataSet:
    """Return the data set, if it can be trained on.

    Raises:
        WorkshopError: There is none, it has no pictures to train on, or labels that make no sense.
    """
    data = dataset.load(arguments.data)
    where = str(arguments.data / dataset.FILE)
    if not data.split("train"):
        raise WorkshopError(
            "the data set has no pictures to train on",
            where=where,
            remedy="Give `prepare` some, and a --val-share below 1",
        )
    strange = [
        f"{image.path.name} has {_flaw(box, data.classes)}"
        for image in data.images
        for box in image.boxes
        if _flaw(box, data.classes)
    ]
    if strange:
        more = " …" if len(strange) > FIRST else ""
        raise WorkshopError(
            f"wrong labels, {len(strange)} in all: {'; '.join(strange[:FIRST])}{more}",
            where=where,
            remedy="Make the data set anew with `prepare`: it names every wrong label",
        )
    return data


def _flaw(box: dataset.LabelledBox, classes: tuple[str, ...]) -> str:
    """Return what is wrong with a box; empty: nothing."""
    index = box.class_index
    if not isinstance(index, int) or not 0 <= index < len(classes):
        return f"class {index!r} of {len(classes)} ({', '.join(classes[:FIRST])})"
    numbers = (box.left, box.top, box.right, box.bottom, box.score)
    if not all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers):
        return "a box that is not made of numbers"
    return "" if 0.0 <= box.score <= 1.0 else f"a score of {box.score}, expected 0 to 1"


def schedule_of(arguments: argparse.Namespace) -> Schedule:
    """Return the schedule that the options ask for."""
    from tools.workshop.augment import Augmentation
    from tools.workshop.train import Schedule

    return Schedule(
        epochs=arguments.epochs,
        batch=arguments.batch,
        rate=arguments.rate,
        most_batches=arguments.batches,
        seed=arguments.seed,
        workers=arguments.workers,
        sizes=((arguments.size, arguments.size),),
        features=getattr(arguments, "features", 0.0),
        how=Augmentation(smallest=arguments.zoom[0], largest=arguments.zoom[1]),
        quantization_aware=arguments.quantization_aware,
    )


def starting_network(arguments: argparse.Namespace, data: dataset.DataSet) -> Detector:
    """Return the network to train: from chance, from a run, or from a YOLOX-nano."""
    from tools.workshop.network import Detector, load_run

    plan = plan_of(arguments, data.classes)
    start = Path(arguments.start)
    if arguments.start == FROM_CHANCE:
        return Detector(plan)
    if start.is_dir():
        earlier = load_run(start)
        _expect_widths(arguments, earlier)
        return continued(earlier, plan)
    detector = Detector(plan)
    from_yolox(detector, start, few_pictures_of(arguments, data))
    return detector


def _expect_widths(arguments: argparse.Namespace, earlier: Detector) -> None:
    """Refuse options that ask for other widths than the run to start from has."""
    widths = earlier.plan.widths
    asked = {"--base": (arguments.base, "stem"), "--head": (arguments.head, "head3.stem")}
    for option, (width, layer) in asked.items():
        if width not in (None, widths[layer]):
            raise WorkshopError(
                f"{option} {width} does not fit: {layer} of the run to start from has "
                f"{widths[layer]} channels",
                where=arguments.start,
                remedy=f"Leave {option} out: a run is continued with the widths that it has",
            )


def continued(earlier: Detector, plan: NetworkPlan) -> Detector:
    """Return a run's network; with fresh last layers where it found more or fewer classes."""
    from tools.workshop.network import Detector

    detector = Detector(dataclasses.replace(plan, widths=earlier.plan.widths))
    # Whether and where something is carries over to another class; so does what, if there is one.
    same = len(earlier.plan.classes) == len(plan.classes)
    state = {
        name: value
        for name, value in earlier.state_dict().items()
        if same or ".to_class" not in name
    }
    detector.load_state_dict(state, strict=same)
    return detector


def plan_of(arguments: argparse.Namespace, classes: tuple[str, ...]) -> NetworkPlan:
    """Return the plan of an unpruned network as the options ask for."""
    from tools.workshop.network import BASE, HEAD, NetworkPlan, standard_widths

    widths = standard_widths(arguments.base or BASE, arguments.head or HEAD)
    return NetworkPlan(classes, arguments.size, arguments.size, widths)


def few_pictures_of(arguments: argparse.Namespace, data: dataset.DataSet) -> list[Tensor]:
    """Return pictures to measure the statistics of normalisations on."""
    from tools.workshop.train import few_pictures

    return few_pictures(data, (arguments.size, arguments.size))


def from_yolox(detector: Detector, path: Path, pictures: list[Tensor]) -> None:
    """Give a network the weights of a YOLOX-nano; its classes must be among COCO's.

    Raises:
        WorkshopError: The file is no YOLOX-nano, or has no such class.
    """
    from tools.workshop.start_weights import start_from

    start_from(detector, path, [coco_class(name) for name in detector.plan.classes], pictures)


def coco_class(name: str) -> int:
    """Return the index of a class among COCO's eighty."""
    from camera_app.models import find_pack

    labels = find_pack("yolox_nano_coco_416").labels
    if name not in labels:
        raise WorkshopError(
            f"a YOLOX-nano knows no class {name!r}",
            remedy="Start from chance or from a run; its classes are those of COCO",
        )
    return labels.index(name)
