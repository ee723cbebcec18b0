"""What the workshop and a foreign converter agree on: a job in JSON, arrays in files, a verdict.

Runs in any of the environments, so it uses NumPy and the standard library only. The child says
how it went in its exit code; why it refused, in a file.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

JOB_FILE = "job.json"
REFUSAL_FILE = "refusal.json"
REFUSED = 3


class Refused(Exception):
    """The source cannot be converted, and the owner can do something about it.

    Attributes:
        what: What is wrong.
        remedy: What to do about it; may be empty.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Job:
    """What a child is to do; paths are absolute.

    Attributes:
        verb: `convert`, `run` or `quantise`.
        source: The network as it came.
        out: What to write: a TensorFlow Lite file, or arrays.
        samples: Inputs, for `run` and `quantise`; empty for `convert`.
        shape: Of the one input, where the source leaves it open; empty: as the source says.
    """

    verb: str
    source: str
    out: str
    samples: str = ""
    shape: Sequence[int] = field(default_factory=tuple)


Verb = Callable[[Job], None]


def write_job(folder: Path, job: Job) -> None:
    """Leave a job for a child that runs in this folder."""
    record = {
        "verb": job.verb,
        "source": job.source,
        "out": job.out,
        "samples": job.samples,
        "shape": list(job.shape),
    }
    (folder / JOB_FILE).write_text(json.dumps(record), encoding="utf-8")


def read_refusal(folder: Path) -> tuple[str, str]:
    """Return what a child that refused left: what is wrong, and what to do."""
    record = json.loads((folder / REFUSAL_FILE).read_text(encoding="utf-8"))
    return str(record["what"]), str(record["remedy"])


def write_samples(path: Path, samples: Sequence[Sequence[Array]]) -> None:
    """Write the arrays of several runs: inputs, or outputs."""
    arrays = {
        f"{run}/{index}": array
        for run, sample in enumerate(samples)
        for index, array in enumerate(sample)
    }
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its stubs take the names for options


def read_samples(path: Path) -> list[list[Array]]:
    """Return what `write_samples` wrote."""
    runs: dict[int, dict[int, Array]] = {}
    with np.load(path) as content:
        for name in content.files:
            run, index = name.split("/")
            runs.setdefault(int(run), {})[int(index)] = content[name]
    return [[runs[run][index] for index in sorted(runs[run])] for run in sorted(runs)]


def main(verbs: Mapping[str, Verb]) -> int:
    """Be the child: do the job of the current folder, and return the exit code."""
    record = json.loads(Path(JOB_FILE).read_text(encoding="utf-8"))
    job = Job(**record)
    try:
        verbs[job.verb](job)
    except Refused as refusal:
        traceback.print_exc(file=sys.stderr)
        refused = {"what": refusal.what, "remedy": refusal.remedy}
        Path(REFUSAL_FILE).write_text(json.dumps(refused), encoding="utf-8")
        return REFUSED
    return 0
