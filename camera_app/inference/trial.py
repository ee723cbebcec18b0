"""A trial run of unknown weights in a process of its own.

A runtime may crash on a damaged file rather than refuse it. Weights of the catalogue are known
to run; all others are loaded, and run once on zeros, in a child first. Its verdict is kept, by
hash and runtime, so that it is asked once.

Run as a program (`python -m camera_app.inference.trial FILE RUNTIME`), this module is the child.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from camera_app.children import bound_memory
from camera_app.errors import CameraAppError, DeviceRefused, PackRejected
from camera_app.inference.choice import runtime_named
from camera_app.inference.runtime import LONGEST_REASON, Runtime
from camera_app.models import cache_folder

_log = logging.getLogger(__name__)

LIMIT_S = 120.0
REFUSED = 3
# A network of the sizes that a camera runs takes less than a quarter of it.
MEMORY_LIMIT_BYTES = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a trial brought.

    Attributes:
        accepted: The weights load and run.
        reason: Why not; empty if they do.
    """

    accepted: bool
    reason: str = ""


def require_trial(path: Path, sha256: str, runtime: Runtime) -> None:
    """Refuse weights that a runtime does not survive.

    Args:
        path: The weights.
        sha256: Their hash, checked.
        runtime: That is to load them.

    Raises:
        PackRejected: The trial failed, now or earlier.
    """
    kept = _verdict_file(sha256, runtime)
    verdict = _kept_verdict(kept)
    if verdict is None:
        verdict = hold_trial(path, runtime.name)
        _keep(kept, verdict)
    if not verdict.accepted:
        raise PackRejected(f"the weights failed a trial run: {verdict.reason}", where=str(path))


def hold_trial(path: Path, runtime_name: str) -> Verdict:
    """Load and run weights in a child and return what became of it."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__, str(path), runtime_name]
    try:
        # What is executed is this module; the path is only an argument.
        child = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(False, f"it did not end within {LIMIT_S:.0f} s")
    return _judge(child)


def _judge(child: subprocess.CompletedProcess[bytes]) -> Verdict:
    text = " ".join(child.stderr.decode("utf-8", "replace").split())[-LONGEST_REASON:]
    if child.returncode == 0:
        return Verdict(True)
    if child.returncode == REFUSED:
        return Verdict(False, text)
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        return Verdict(False, f"the runtime crashed on them ({name})")
    # Not the weights' fault: no verdict may be kept about them.
    raise DeviceRefused(f"the trial run of a model could not be held: {text}")


def _verdict_file(sha256: str, runtime: Runtime) -> Path:
    name = f"{sha256}-{runtime.name}-{runtime.version}.json"
    return cache_folder().parent / "trials" / name


def _kept_verdict(path: Path) -> Verdict | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(bool(record["accepted"]), str(record["reason"]))
    except (OSError, ValueError, KeyError, TypeError):  # none, or not readable: try again
        return None


def _keep(path: Path, verdict: Verdict) -> None:
    """Keep a verdict, if that can be; one that a power cut damages is only asked again."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(verdict)), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        _log.info("the verdict on a model is not kept, it will be tried again: %s", error)


def main(arguments: list[str]) -> int:
    """Be the child: load, run once on zeros, say in the exit code how it went."""
    path, runtime_name = arguments
    bound_memory(MEMORY_LIMIT_BYTES)
    runtime = runtime_named(runtime_name)
    try:
        interpreter = runtime.load(Path(path))
        interpreter.invoke([np.zeros(spec.shape, spec.dtype) for spec in interpreter.inputs])
    except CameraAppError as error:
        sys.stderr.write(error.what)
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
