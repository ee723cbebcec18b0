"""`quantize`: the float network of a run becomes full-integer, and each layer's error is told."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tools.workshop import dataset
from tools.workshop.layer_errors import LayerError, compare, report_lines
from tools.workshop.libraries import require
from tools.workshop.quantize import Array, calibration_inputs, cut_on_purpose, quantize
from tools.workshop.runs import RunFolder, write_text
from tools.workshop.tflite_graph import read_graph

FLOAT_FILE = "float.tflite"
INT8_FILE = "int8.tflite"
ERRORS_FILE = "layer_errors.json"

DESCRIPTION = """Make int8.tflite of float.tflite: int8 in, int8 out, a scale a channel for the
weights. The ranges are measured on pictures of the data set, letterboxed as the camera does it.
Then each layer is compared with its float origin: one that ruins the network is named."""


def configure(subparsers: Any) -> None:
    """Add the parser of this step."""
    parser = subparsers.add_parser(
        "quantize", help="make a float network full-integer", description=DESCRIPTION
    )
    parser.add_argument("--run", dest="run_folder", type=Path, required=True, metavar="DIR")
    parser.add_argument("--calibration", type=Path, required=True, metavar="DATA")
    parser.add_argument("--pictures", type=int, default=300, help="to calibrate on (default: 300)")
    parser.add_argument("--compare", type=int, default=16, help="to compare on (default: 16)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Quantize, compare, record; 1 if a layer is suspect."""
    require("torch", "ai_edge_quantizer")
    folder = RunFolder(arguments.run_folder)
    float_path = folder.file(FLOAT_FILE, made_by="convert")
    int8_path = arguments.run_folder / INT8_FILE
    data = dataset.load(arguments.calibration)
    inputs = calibration_inputs(float_path, data, arguments.pictures)
    done = quantize(float_path, int8_path, inputs)
    print(f"{int8_path}: {done.int8_bytes:,} bytes, was {done.float_bytes:,}")
    cut = {tensor.short_name for tensor in cut_on_purpose(read_graph(float_path))}
    compared = _compared(float_path, int8_path, inputs[: arguments.compare])
    errors = [error for error in compared if error.name not in cut]
    print("\n".join(report_lines(errors)))
    write_text(
        arguments.run_folder / ERRORS_FILE, json.dumps([asdict(e) for e in errors], indent=1)
    )
    given = {name: value for name, value in vars(arguments).items() if name != "run"}
    figures = {**asdict(done), "suspect_layers": [e.name for e in errors if e.is_suspect]}
    folder.record("quantize", given, inputs={"float": float_path}, figures=figures)
    return 1 if figures["suspect_layers"] else 0


def _compared(float_path: Path, int8_path: Path, inputs: list[Array]) -> tuple[LayerError, ...]:
    with tqdm(total=len(inputs), desc="layers", disable=None) as bar:
        return compare(float_path, int8_path, inputs, progress=bar.update)
