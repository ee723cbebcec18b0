"""`train`: a detector learns from a prepared data set."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.workshop import dataset
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import RunFolder

if TYPE_CHECKING:  # PyTorch takes a second to import: only where a network is trained
    from torch import Tensor

    from tools.workshop.network import Detector, NetworkPlan
    from tools.workshop.train import Schedule

FROM_CHANCE = "none"

DESCRIPTION = """Train a detector. Stopped, by Ctrl-C or a power cut, the same command goes on
after the last whole epoch. The run folder gets the network (network.json, weights.pt), what each
epoch gave (history.jsonl), and train.json with all that is needed to do it again."""
EPILOGUE = """examples:
  train data/people --run runs/person
  train data/people --run runs/person --start yolox_nano_coco_416.tflite --epochs 6
  train data/faces --run runs/face --base 8 --head 32 --size 192 --start runs/person"""


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
    parser.add_argument("--base", type=int, default=16, help="channels at the front (default: 16)")
    parser.add_argument("--head", type=int, default=64, help="channels of a head (default: 64)")
    parser.add_argument("--epochs", type=int, default=6, help="default: 6")
    parser.add_argument("--batch", type=int, default=32, help="pictures a step (default: 32)")
    parser.add_argument(
        "--batches", type=int, metavar="N", help="of an epoch at most (default: all pictures)"
    )
    parser.add_argument("--rate", type=float, default=1e-3, help="learning rate (default: 0.001)")
    parser.add_argument(
        "--zoom",
        type=zoom,
        default=(0.45, 1.7),
        metavar="LEAST,MOST",
        help="size of a sample's picture, as a share of what fits the input (default: 0.45,1.7)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    parser.add_argument("--workers", type=int, default=2, help="make samples (default: 2)")
    parser.add_argument("--threads", type=int, default=0, help="of PyTorch (default: all cores)")


def zoom(text: str) -> tuple[float, float]:
    """Return least and most zoom, as argparse wants it."""
    least, most = (float(part) for part in text.split(","))
    if not 0.05 <= least <= most <= 20.0:
        raise argparse.ArgumentTypeError(f"expected 0.05 <= LEAST <= MOST <= 20, got {text}")
    return least, most


def side(text: str) -> int:
    """Return the side of an input, as argparse wants it."""
    value = int(text)
    if value < 32 or value % 32:
        raise argparse.ArgumentTypeError(f"a side is a multiple of 32, got {value}")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Train, and leave the network in the run folder."""
    from tools.workshop.train import Training

    prepare_pytorch(arguments)
    data = dataset.load(arguments.data)
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


def prepare_pytorch(arguments: argparse.Namespace) -> None:
    """Set threads, and make sure that there is a PyTorch.

    Raises:
        WorkshopError: There is none.
    """
    try:
        import torch
    except ImportError as error:
        raise WorkshopError(
            "PyTorch is not installed here",
            remedy="Run `make workshop`, then use .venv-workshop/bin/python",
        ) from error
    torch.manual_seed(arguments.seed)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    arguments.run_folder.mkdir(parents=True, exist_ok=True)


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
    )


def starting_network(arguments: argparse.Namespace, data: dataset.DataSet) -> Detector:
    """Return the network to train: from chance, from a run, or from a YOLOX-nano."""
    from tools.workshop.network import Detector, load_run

    plan = plan_of(arguments, data.classes)
    start = Path(arguments.start)
    if arguments.start == FROM_CHANCE:
        return Detector(plan)
    if start.is_dir():
        return continued(load_run(start), plan)
    detector = Detector(plan)
    from_yolox(detector, start, few_pictures_of(arguments, data))
    return detector


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
    from tools.workshop.network import NetworkPlan, standard_widths

    widths = standard_widths(arguments.base, arguments.head)
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
