"""Keras, SavedModel and ONNX files to TensorFlow Lite, each by its own converter in a child."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from camera_app.models import WeightsKind
from camera_app.models.inspect import structural_fault
from tools.workshop.convert import Sample
from tools.workshop.environments import Environment, workplace
from tools.workshop.errors import WorkshopError
from tools.workshop.foreign.job import Job, read_samples, write_samples
from tools.workshop.runs import write_bytes

HDF5 = b"\x89HDF\r\n\x1a\n"
SAVED_MODEL = "saved_model.pb"
EXTERNAL = "lie in another file"  # what a pack may not have, and a source may


@dataclass(frozen=True, slots=True)
class ForeignSource:
    """A network in a form that needs another environment.

    Attributes:
        path: The file, or the folder of a SavedModel.
        environment: Of its converter.
        module: Of `foreign/` that converts it.
        log: Where all that the converter says is kept.
        shape: Of the one input, where the source leaves it open; else empty.
    """

    path: Path
    environment: Environment
    module: str
    log: Path
    shape: Sequence[int] = ()

    def convert(self, out: Path) -> None:
        """Write the float TensorFlow Lite file.

        Raises:
            WorkshopError: The source cannot be converted; it says why, and what to do.
        """
        with workplace(out.parent) as folder:
            made = folder / "made.tflite"
            self._do(folder, "convert", made)
            write_bytes(out, made.read_bytes())

    def quantise(self, out: Path, calibration: Sequence[Sample]) -> None:
        """Write the full-integer file; for sources whose converter does that."""
        with workplace(out.parent) as folder:
            made, samples = folder / "made.tflite", folder / "samples.npz"
            write_samples(samples, calibration)
            self._do(folder, "quantise", made, samples)
            write_bytes(out, made.read_bytes())

    def answers(self, samples: Sequence[Sample], run: Path) -> list[Sample]:
        """Return what the source itself says to samples; run is a folder to work in."""
        with workplace(run) as folder:
            given, said = folder / "samples.npz", folder / "said.npz"
            write_samples(given, samples)
            self._do(folder, "run", said, given)
            return read_samples(said)

    def _do(self, folder: Path, verb: str, out: Path, samples: Path | None = None) -> None:
        job = Job(
            verb,
            source=str(self.path.resolve()),
            out=str(out.resolve()),
            samples=str(samples.resolve()) if samples else "",
            shape=tuple(self.shape),
        )
        self.environment.run(self.module, job, folder, self.log)


def require_onnx(path: Path) -> None:
    """Refuse what is no ONNX file, before an environment is made for it.

    Raises:
        WorkshopError: It says what the file is instead.
    """
    fault = "" if path.is_file() else "there is no such file"
    fault = fault or structural_fault(path, WeightsKind.ONNX)
    if fault and EXTERNAL not in fault:
        raise WorkshopError(fault, where=str(path), remedy="Give an ONNX file")


def require_keras(path: Path) -> None:
    """Refuse what is neither a SavedModel nor a Keras file, and what its ending does not say.

    Raises:
        WorkshopError: It says what is expected there.
    """
    fault = _keras_fault(path)
    if fault:
        raise WorkshopError(
            fault,
            where=str(path),
            remedy="Give a SavedModel folder, a .keras file or an .h5 file",
        )


def _keras_fault(path: Path) -> str:
    if path.is_dir():
        return "" if (path / SAVED_MODEL).is_file() else f"the folder has no {SAVED_MODEL}"
    if not path.is_file():
        return "there is no such file or folder"
    with path.open("rb") as file:
        is_hdf5 = file.read(len(HDF5)) == HDF5
    match path.suffix.lower():
        case ".keras" if not zipfile.is_zipfile(path):
            return "its name says .keras, its content does not" + _rather(is_hdf5)
        case ".h5" | ".hdf5" if not is_hdf5:
            return "its name says HDF5, its content does not" + _rather(False)
        case ".keras" | ".h5" | ".hdf5":
            return ""
        case ending:
            return f"the ending {ending or '(none)'} is that of no Keras file" + _rather(is_hdf5)


def _rather(is_hdf5: bool) -> str:
    return ": it is HDF5, let it end in .h5" if is_hdf5 else ""
