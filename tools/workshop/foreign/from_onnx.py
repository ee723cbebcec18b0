"""ONNX to TensorFlow Lite through onnx2tf; a child process in the environment `onnx`.

python -m tools.workshop.foreign.from_onnx      in a folder with a job
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tools.workshop.foreign.job import Array, Job, Refused, main, read_samples, write_samples

# Looked for by onnx2tf in the current folder before it asks the network: inputs for its own check.
CHECK_INPUTS = "calibration_image_sample_data_20x128x128x3_float32.npy"
OWN_DOMAINS = ("", "ai.onnx")
MOST_NAMED = 10
SUGGESTIONS = {
    "NonMaxSuppression": "cut the network before it: the camera's decoders do that part",
    "If": "export with fixed shapes, so that the exporter can decide the branch",
    "Loop": "export with fixed shapes, so that the exporter can unroll it",
    "Scan": "export with fixed shapes, so that the exporter can unroll it",
}
SUGGEST_ELSE = "write the layer with convolutions, additions and multiplications, and export again"


def convert(job: Job) -> None:
    """Write the float TensorFlow Lite file."""
    model = _loaded(job.source)
    _refuse_unknown_operators(model)
    shape = list(job.shape) or _shape_to_fix(model)
    folder = Path("converted")
    _run_converter(job, folder, [f"{_inputs(model)[0].name}:{','.join(map(str, shape))}"])
    made = sorted(folder.glob("*_float32.tflite"))
    if not made:
        raise Refused("onnx2tf ended without a word and without a file", "See the log")
    made[0].replace(job.out)


def run(job: Job) -> None:
    """Write what the source says to samples, channels of pictures put where it wants them."""
    import onnxruntime

    session = onnxruntime.InferenceSession(job.source, providers=["CPUExecutionProvider"])
    inputs = session.get_inputs()
    found = []
    for sample in read_samples(Path(job.samples)):
        feeds = {
            node.name: _as_wanted(array, node.shape)
            for node, array in zip(inputs, sample, strict=True)
        }
        found.append(session.run(None, feeds))
    write_samples(Path(job.out), found)


def _loaded(source: str) -> Any:
    try:
        model = onnx.load(source)
        onnx.checker.check_model(model)
    # DecodeError of protobuf has no base but Exception; a checker's error is one of its own.
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        raise Refused(
            f"this is no ONNX file that can be read: {text}", "Export it again"
        ) from error
    return model


def _run_converter(job: Job, folder: Path, shapes: list[str]) -> None:
    import onnx2tf

    rng = np.random.default_rng(1)
    np.save(CHECK_INPUTS, rng.random((20, 128, 128, 3), np.float32))
    try:
        onnx2tf.convert(
            input_onnx_file_path=job.source,
            output_folder_path=str(folder),
            overwrite_input_shape=shapes,
            copy_onnx_input_output_names_to_tflite=True,
            verbosity="error",
        )
    # It ends the process where it gives up, its reason printed; the parent has that in its log.
    except SystemExit as error:
        raise Refused(
            "onnx2tf gave up, its last words are in the log",
            "Simplify that layer, or start from PyTorch with --torch",
        ) from error


def _inputs(model: Any) -> list[Any]:
    """Return the inputs that are not weights."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [value for value in model.graph.input if value.name not in weights]


def _shape_to_fix(model: Any) -> list[int]:
    """Return the shape of the input, an open batch being one picture."""
    value = _inputs(model)[0]
    sides = [side.dim_value for side in value.type.tensor_type.shape.dim]
    if sides and sides[0] == 0:
        sides[0] = 1
    if not sides or 0 in sides:
        raise Refused(
            f"input {value.name} has sides that are not fixed",
            "Say them with --shape, such as --shape 1,3,256,256",
        )
    return sides


def _refuse_unknown_operators(model: Any) -> None:
    unknown = [
        f"{node.op_type} (layer {node.name or node.output[0]})"
        for node in _nodes(model.graph)
        if not _is_known(node)
    ]
    if not unknown:
        return
    kinds = sorted({line.split(" ", 1)[0] for line in unknown})
    more = f" and {len(unknown) - MOST_NAMED} more" if len(unknown) > MOST_NAMED else ""
    advice = "; ".join(f"{kind}: {SUGGESTIONS.get(kind, SUGGEST_ELSE)}" for kind in kinds)
    raise Refused(
        f"operators that cannot be converted: {', '.join(unknown[:MOST_NAMED])}{more}", advice
    )


def _is_known(node: Any) -> bool:
    if node.domain not in OWN_DOMAINS:
        return False
    # onnx2tf has a module an operator.
    return importlib.util.find_spec(f"onnx2tf.ops.{node.op_type}") is not None


def _nodes(graph: Any) -> Iterator[Any]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _nodes(attribute.g)


def _as_wanted(array: Array, shape: list[Any]) -> Array:
    """Return an array with its channels first where the source has them there."""
    is_first = array.ndim > 2 and shape[1] == array.shape[-1] and shape[1] != array.shape[1]
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if is_first else array


if __name__ == "__main__":
    sys.exit(main({"convert": convert, "run": run}))
