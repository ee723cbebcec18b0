"""`convert`: a network from PyTorch, ONNX, Keras or SavedModel becomes a TensorFlow Lite file."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tools.workshop.convert import (
    FEWEST_CALIBRATION,
    MOST_PICTURES,
    TOLERATED,
    Difference,
    Feeding,
    Sample,
    advice,
    converted_graph,
    differences,
    input_specs,
    operator_counts,
    picture_samples,
    random_samples,
)
from tools.workshop.convert_foreign import ForeignSource, require_keras, require_onnx
from tools.workshop.environments import KERAS, ONNX
from tools.workshop.errors import WorkshopError
from tools.workshop.runs import RunFolder

FLOAT_FILE = "float.tflite"
INT8_FILE = "int8.tflite"
LOG_FILE = "convert.log"
MOST_CALIBRATION = 500
FREE_BYTES = 200_000_000

DESCRIPTION = """Make float.tflite in a run folder, from what `train` left there or from a network
of your own, and check that both say the same.

From PyTorch, ONNX and the workshop's own training the step `quantize` goes on to int8. A Keras
network can be made int8 right here, by TensorFlow, with --int8 and --calibration.

ONNX and Keras files are converted in an environment of their own, which is made when it is first
needed (a download of about 1 GB)."""
EPILOGUE = """exit codes: 0 converted and equal, 1 converted but the two differ, 2 refused

examples:
  convert --run runs/person
  convert --run runs/mine --torch my_network:build --shape 1,3,256,256 --divisor 255
  convert --run runs/mine --onnx my_network.onnx --images photos
  convert --run runs/mine --keras my_network.keras --int8 --calibration photos --divisor 255"""


@dataclass(frozen=True, slots=True)
class Conversion:
    """How one kind of source is converted and asked.

    Attributes:
        inputs: Files to be hashed for the record.
        convert: Writes the float file.
        answers: What the source itself says to inputs of the float file.
        quantise: Writes the int8 file; None where another step does that.
    """

    inputs: Mapping[str, Path]
    convert: Callable[[Path], None]
    answers: Callable[[Sequence[Sample]], list[Sample]]
    quantise: Callable[[Path, Sequence[Sample]], None] | None = None


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "convert",
        help="make a TensorFlow Lite file of a PyTorch, ONNX or Keras network",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--torch", metavar="MODULE:CALLABLE", help="makes a torch.nn.Module")
    source.add_argument("--onnx", type=Path, metavar="FILE", help="an ONNX file")
    source.add_argument("--keras", type=Path, metavar="PATH", help="SavedModel, .keras or .h5")
    parser.add_argument("--shape", type=sides, default=(), metavar="N,N,…", help="of the one input")
    parser.add_argument(
        "--fold-padding",
        action="store_true",
        help="PyTorch: write padding before stride 2 into the weights, so that no PAD stays",
    )
    parser.add_argument("--int8", action="store_true", help="Keras: write int8.tflite as well")
    parser.add_argument("--calibration", type=Path, metavar="DIR", help="pictures for --int8")
    _configure_check(parser)
    parser.set_defaults(run=run)


def _configure_check(parser: argparse.ArgumentParser) -> None:
    check = parser.add_argument_group("the check against the source")
    check.add_argument("--images", type=Path, metavar="DIR", help="real pictures to compare on")
    check.add_argument("--mean", type=float, default=0.0, help="taken from a byte (default: 0)")
    check.add_argument("--divisor", type=float, default=1.0, help="then divided by (default: 1)")
    check.add_argument("--bgr", action="store_true", help="the input has blue first")
    check.add_argument("--samples", type=int, default=4, help="random inputs (default: 4)")
    check.add_argument("--seed", type=int, default=1, help="of the random inputs (default: 1)")
    check.add_argument(
        "--tolerance",
        type=float,
        default=TOLERATED,
        help="largest difference, as a share of an output's largest value (default: %(default)s)",
    )


def sides(text: str) -> tuple[int, ...]:
    """Return a shape from its sides, as argparse wants it."""
    found = tuple(int(side) for side in text.split(","))
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"sides must be 1 or more, got {text}")
    return found


def run(arguments: argparse.Namespace) -> int:
    """Convert, compare, record; 1 if the two differ by more than is tolerated."""
    _refuse_contradictions(arguments)
    folder: Path = arguments.run_folder
    _refuse_without_space(folder)
    conversion = _conversion(arguments)
    out = folder / FLOAT_FILE
    begun = time.perf_counter()
    conversion.convert(out)
    seconds = time.perf_counter() - begun
    found = _compared(arguments, conversion, out)
    figures = _figures(out, seconds, found)
    print("\n".join(_lines(out, seconds, found, arguments.tolerance)))
    if arguments.int8:
        figures["int8"] = _made_int8(arguments, conversion, folder)
    given = {name: value for name, value in vars(arguments).items() if name != "run"}
    RunFolder(folder).record("convert", given, inputs=conversion.inputs, figures=figures)
    return 0 if all(item.share <= arguments.tolerance for item in found) else 1


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    if arguments.int8 and not (arguments.keras and arguments.calibration):
        raise WorkshopError(
            "--int8 is for --keras, and needs --calibration",
            remedy="For other sources run the step `quantize` after this one",
        )
    if arguments.torch and not arguments.shape:
        raise WorkshopError(
            "--torch needs the shape of the input",
            remedy="Give it as the module takes it, such as --shape 1,3,256,256",
        )
    if arguments.fold_padding and (arguments.onnx or arguments.keras):
        raise WorkshopError("--fold-padding is for networks from PyTorch")
    if arguments.samples < 1 or arguments.divisor <= 0:
        raise WorkshopError("--samples and --divisor must be more than 0")


def _refuse_without_space(folder: Path) -> None:
    present = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(present).free
    if free < FREE_BYTES:
        raise WorkshopError(
            f"only {free / 1e6:.0f} MB are free, a conversion needs {FREE_BYTES / 1e6:.0f} MB",
            where=str(folder),
            remedy="Free some space or choose another folder",
        )


# --- the sources ----------------------------------------------------------------------------


def _conversion(arguments: argparse.Namespace) -> Conversion:
    if arguments.onnx:
        return _from_onnx(arguments)
    if arguments.keras:
        return _from_keras(arguments)
    return _from_torch(arguments)


def _from_onnx(arguments: argparse.Namespace) -> Conversion:
    require_onnx(arguments.onnx)
    ONNX.make()
    folder = arguments.run_folder
    source = ForeignSource(arguments.onnx, ONNX, "from_onnx", folder / LOG_FILE, arguments.shape)
    print(f"onnx2tf converts {arguments.onnx}")
    return Conversion(
        {"onnx": arguments.onnx}, source.convert, lambda samples: source.answers(samples, folder)
    )


def _from_keras(arguments: argparse.Namespace) -> Conversion:
    require_keras(arguments.keras)
    KERAS.make()
    folder = arguments.run_folder
    source = ForeignSource(arguments.keras, KERAS, "from_keras", folder / LOG_FILE, arguments.shape)
    print(f"TensorFlow converts {arguments.keras}")
    path: Path = arguments.keras
    return Conversion(
        {"keras": path / "saved_model.pb" if path.is_dir() else path},
        source.convert,
        lambda samples: source.answers(samples, folder),
        source.quantise,
    )


def _from_torch(arguments: argparse.Namespace) -> Conversion:
    from tools.workshop import convert_torch

    module, shape, inputs = _torch_source(arguments)
    last, shape = convert_torch.to_channels_last(module, shape)

    def write(out: Path) -> None:
        changed = last
        if arguments.fold_padding:
            changed, folded = convert_torch.with_folded_padding(last, shape)
            print(f"padding of {folded} convolutions folded")
        convert_torch.convert(changed, shape, out)

    return Conversion(inputs, write, lambda samples: convert_torch.answers(last, samples))


def _torch_source(arguments: argparse.Namespace) -> tuple[Any, Sequence[int], dict[str, Path]]:
    from tools.workshop import convert_torch

    if arguments.torch:
        return convert_torch.load_module(arguments.torch), arguments.shape, {}
    module, shape = convert_torch.load_run(arguments.run_folder)
    names = ("network.json", "weights.pt")
    return module, shape, {name: arguments.run_folder / name for name in names}


# --- the check ------------------------------------------------------------------------------


def _feeding(arguments: argparse.Namespace) -> Feeding:
    return Feeding(arguments.mean, arguments.divisor, arguments.bgr)


def _compared(
    arguments: argparse.Namespace, conversion: Conversion, out: Path
) -> tuple[Difference, ...]:
    specs, feeding = input_specs(out), _feeding(arguments)
    samples = random_samples(specs, feeding, arguments.samples, arguments.seed)
    pictures: list[Sample] = []
    if arguments.images:
        pictures = picture_samples(specs, feeding, arguments.images, MOST_PICTURES)
    # Both sorts at once: asking a foreign source means starting its libraries.
    said = conversion.answers([*samples, *pictures])
    found = differences(out, samples, said[: len(samples)], "random")
    if pictures:
        found += differences(out, pictures, said[len(samples) :], "pictures")
    return found


def _made_int8(
    arguments: argparse.Namespace, conversion: Conversion, folder: Path
) -> dict[str, Any]:
    """Make the int8 file and return how far it is from the float one."""
    assert conversion.quantise is not None, "only Keras passes the check for contradictions"
    specs, feeding = input_specs(folder / FLOAT_FILE), _feeding(arguments)
    calibration = picture_samples(specs, feeding, arguments.calibration, MOST_CALIBRATION)
    if len(calibration) < FEWEST_CALIBRATION:
        raise WorkshopError(
            f"{len(calibration)} pictures are too few to calibrate, "
            f"at least {FEWEST_CALIBRATION} are needed, 200 are good",
            where=str(arguments.calibration),
        )
    out = folder / INT8_FILE
    begun = time.perf_counter()
    conversion.quantise(out, calibration)
    seconds = time.perf_counter() - begun
    samples = calibration[:MOST_PICTURES]
    found = differences(out, samples, conversion.answers(samples), "pictures")
    print("\n".join(_lines(out, seconds, found, None)))
    return _figures(out, seconds, found)


# --- the report -----------------------------------------------------------------------------


def _figures(out: Path, seconds: float, found: Sequence[Difference]) -> dict[str, Any]:
    graph = converted_graph(out)
    return {
        "seconds": round(seconds, 1),
        "size_bytes": graph.size_bytes,
        "operators": operator_counts(graph),
        "advice": list(advice(graph)),
        "differences": [{**asdict(item), "share": item.share} for item in found],
    }


def _lines(
    out: Path, seconds: float, found: Sequence[Difference], tolerance: float | None
) -> list[str]:
    graph = converted_graph(out)
    counts = ", ".join(f"{count} {kind}" for kind, count in operator_counts(graph).items())
    lines = [
        f"{out}: {graph.size_bytes / 1e6:.2f} MB in {seconds:.0f} s",
        f"  operators: {counts}",
        *(f"  note: {line}" for line in advice(graph)),
    ]
    for item in found:
        wrong = "  MORE THAN TOLERATED" if tolerance and item.share > tolerance else ""
        lines.append(
            f"  {item.output}, {item.count} {item.inputs}: largest difference "
            f"{item.largest:.2g}, {item.share:.2g} of the largest value{wrong}"
        )
    return lines
