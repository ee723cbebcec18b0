"""Keras files and SavedModels to TensorFlow Lite; a child process in the environment `keras`.

python -m tools.workshop.foreign.from_keras      in a folder with a job
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

# Before TensorFlow is imported: no search for a GPU, and no log of it.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import tensorflow as tf

from tools.workshop.foreign.job import Job, Refused, main, read_samples, write_samples

SIGNATURE = "serving_default"
LONGEST_REASON = 300
# `fused["Igamma:", "model/lambda/Igamma@...` in the converter's account of where it stopped.
PLACE = re.compile(r'fused\["(\w+):", "([^"@]+)')
UNSUPPORTED = re.compile(r"(?:Custom|Flex) ops: ([\w, ]+)")


def convert(job: Job) -> None:
    """Write the float TensorFlow Lite file."""
    Path(job.out).write_bytes(_converted(_frozen(*_function(job))))


def quantise(job: Job) -> None:
    """Write the full-integer file, int8 in and out, its ranges from the samples."""
    samples = read_samples(Path(job.samples))

    def calibration() -> Iterator[list[Any]]:
        yield from samples

    def prepare(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = calibration
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8

    Path(job.out).write_bytes(_converted(_frozen(*_function(job)), prepare))


def run(job: Job) -> None:
    """Write what the source says to samples."""
    function, _ = _function(job)
    found = []
    for sample in read_samples(Path(job.samples)):
        outputs = function(*(tf.constant(array) for array in sample))
        found.append([output.numpy() for output in outputs.values()])
    write_samples(Path(job.out), found)


def _function(job: Job) -> tuple[Any, Any]:
    """Return the source as a function of fixed shapes, and what keeps its weights alive.

    Fixed: an open batch would leave operators that work out shapes in every run.
    """
    source = Path(job.source)
    try:
        call, specs, keeper = _saved_model(source if source.is_dir() else _exported(source))
    except Refused:
        raise
    # What a file of an older or newer Keras runs into is anything at all.
    except Exception as error:
        text = " ".join(str(error).split())[:LONGEST_REASON]
        raise Refused(
            f"it cannot be loaded: {text}",
            "Load it where it was made and write it with model.export('folder'), then give the "
            "folder",
        ) from error
    fixed = [
        tf.TensorSpec(_fixed(spec, job.shape if len(specs) == 1 else ()), spec.dtype)
        for spec in specs
    ]

    def named(*arrays: Any) -> dict[str, Any]:
        return {f"output_{i}": tensor for i, tensor in enumerate(tf.nest.flatten(call(*arrays)))}

    return tf.function(named).get_concrete_function(*fixed), keeper


def _frozen(function: Any, keeper: Any) -> str:
    """Write a function of fixed shapes as a SavedModel in the current folder, and return that."""
    module = tf.Module()
    module.keeper = keeper
    tf.saved_model.save(module, "frozen", signatures={SIGNATURE: function})
    return "frozen"


def _saved_model(folder: Path) -> tuple[Any, list[Any], Any]:
    model = tf.saved_model.load(str(folder))
    names = list(model.signatures)
    if SIGNATURE not in names and len(names) != 1:
        raise Refused(
            f"the SavedModel has no signature {SIGNATURE}; it has {', '.join(names) or 'none'}",
            "Write it with model.export('folder')",
        )
    signature = model.signatures[SIGNATURE if SIGNATURE in names else names[0]]
    specs = signature.structured_input_signature[1]

    def call(*arrays: Any) -> Any:
        return signature(**dict(zip(specs, arrays, strict=True)))

    return call, list(specs.values()), model


def _exported(path: Path) -> Path:
    """Write a Keras file as a SavedModel in the current folder and return that.

    Keras knows how: a function that merely calls the network would lose its variables on the way.
    """
    import keras

    # safe_mode, which is the default: a file must not bring code of its own.
    model = keras.models.load_model(path, compile=False)
    model.export("exported", verbose=False)
    return Path("exported")


def _fixed(spec: Any, shape: Sequence[int]) -> list[int]:
    sides = list(shape) or [1 if axis == 0 else side for axis, side in enumerate(spec.shape)]
    if None in sides:
        raise Refused(
            f"an input has sides that are not fixed: {list(spec.shape)}",
            "Say them with --shape, such as --shape 1,256,256,3",
        )
    return [int(side or 1) for side in sides]


def _converted(folder: str, prepare: Callable[[Any], None] | None = None) -> bytes:
    converter = tf.lite.TFLiteConverter.from_saved_model(folder)
    if prepare:
        prepare(converter)
    try:
        return bytes(converter.convert())
    # ConverterError for operators; ValueError and RuntimeError come of calibration.
    except Exception as error:
        raise _refusal(str(error)) from error


def _refusal(text: str) -> Refused:
    listed = UNSUPPORTED.search(text)
    if listed is None:
        short = " ".join(text.split())[:LONGEST_REASON]
        return Refused(f"TensorFlow cannot convert it: {short}", "See the log")
    places = dict(PLACE.findall(text))
    kinds = [kind.strip() for kind in listed[1].split(",")]
    named = [f"{kind} (layer {places[kind]})" if kind in places else kind for kind in kinds]
    return Refused(
        f"operators that cannot be converted: {', '.join(named)}",
        "Write the layer with what TensorFlow Lite has: convolutions, additions, multiplications, "
        "or cut the network before it",
    )


if __name__ == "__main__":
    sys.exit(main({"convert": convert, "run": run, "quantise": quantise}))
