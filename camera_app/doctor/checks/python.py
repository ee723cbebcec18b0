"""Python, the processor, and the libraries: whether they are there, load, and fit each other."""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from camera_app.doctor.errands import LIBRARIES_ENTRY, ChildFailed, asked
from camera_app.doctor.findings import AsTyped, Finding
from camera_app.doctor.machine import Machine
from camera_app.doctor.subject import Check, Examined, Kinds, Subject

TESTED = ((3, 11), (3, 13))
PROCESSORS = frozenset({"x86_64", "aarch64"})
LIBRARIES = ("numpy", "cv2", "av", "pydantic", "paho.mqtt", "nacl")
# Of the system's Python, beside picamera2; on bookworm built for NumPy 1.
FOREIGN = ("simplejpeg",)
_PACKAGES = {
    "cv2": "opencv-python-headless",
    "paho.mqtt": "paho-mqtt",
    "nacl": "pynacl",
}

_kinds = Kinds("python")
UNTESTED = _kinds.note(
    "untested",
    "this version of Python is newer than those that the program is tested with, 3.11 to 3.13",
    "If something is odd, make the environment with one of those",
    "make setup PYTHON=python3.13",
)
PROCESSOR = _kinds.error(
    "processor",
    "there are no ready-made packages for this processor, or for a 32-bit system on it",
    "Install the 64-bit system: on a Raspberry Pi choose the one with 64-bit in its name",
    "uname -m; getconf LONG_BIT",
)
MISSING = _kinds.error(
    "missing",
    "a library is not installed",
    "Install it, as the lock names it",
    "<pip> install --require-hashes -r requirements/run.txt",
)
BROKEN = _kinds.error(
    "broken",
    "a library is there and cannot be loaded: it was made for another system or another NumPy",
    "Install it again",
    "<pip> install --force-reinstall --no-deps <package>",
)
CRASHED = _kinds.error(
    "crashed",
    "loading the libraries ended the process: one was made for a newer processor, or is damaged",
    "Find out which, and install that again",
    "<python> -X faulthandler -c 'import numpy, cv2, av, nacl, ai_edge_litert.interpreter'",
)
NO_RUNTIME = _kinds.error(
    "no_runtime",
    "there is nothing to run networks with",
    "Install LiteRT",
    "<pip> install ai-edge-litert",
)
OLD_RUNTIME = _kinds.warning(
    "old_runtime",
    "networks run with tflite-runtime, which is no longer made: LiteRT is not installed",
    "Install LiteRT",
    "<pip> install ai-edge-litert",
)
OLD_SIMPLEJPEG = _kinds.warning(
    "old_simplejpeg",
    "the system's simplejpeg was built for another NumPy than ours: picamera2 cannot be imported",
    "Put one that fits before it",
    "<pip> install --ignore-installed simplejpeg",
)


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """What is known of the interpreter.

    Attributes:
        version: Its version.
        processor: As the kernel calls it.
        bits: Of a pointer.
        libraries: What each brought: a `version`, an `error`, or that it is `absent`.
        crash: How the process that loaded them ended; empty: in good order.
    """

    version: tuple[int, int]
    processor: str
    bits: int
    libraries: Mapping[str, Mapping[str, str]]
    crash: str = ""


def examine(subject: Subject) -> Examined:
    """Load the libraries in a child, and judge what came of it."""
    facts = read(subject.limit_s)
    runtime = facts.libraries.get("runtime", {})
    told = [f"Python {platform.python_version()}, {facts.processor}"]
    if "name" in runtime:
        told.append(f"{runtime['name']} {runtime['version']}")
    return Examined(tuple(told), tuple(judge(facts, subject.machine)))


def read(limit_s: float) -> PythonFacts:
    """Ask the interpreter and a child."""
    facts = PythonFacts(
        sys.version_info[:2], platform.machine(), struct.calcsize("P") * 8, libraries={}
    )
    try:
        told = asked(LIBRARIES_ENTRY, {"names": [*LIBRARIES, *FOREIGN]}, limit_s)
    except ChildFailed as error:
        return PythonFacts(facts.version, facts.processor, facts.bits, {}, str(error))
    return PythonFacts(facts.version, facts.processor, facts.bits, told)


def judge(facts: PythonFacts, machine: Machine) -> Iterator[Finding]:
    """Say what is wrong with interpreter, processor and libraries."""
    pip = AsTyped(machine.pip)
    if facts.version > TESTED[1]:
        yield UNTESTED.found(f"Python {facts.version[0]}.{facts.version[1]} is not tested")
    if facts.processor not in PROCESSORS or facts.bits != 64:
        what = f"this is {facts.processor} with {facts.bits} bits"
        yield PROCESSOR.found(what)
    if facts.crash:
        yield CRASHED.found(f"loading the libraries failed: {facts.crash}", python=machine.python)
        return
    for name in LIBRARIES:
        yield from _judge_library(name, facts.libraries.get(name, {}), pip)
    yield from _judge_runtime(facts.libraries.get("runtime", {}), pip)
    if "error" in facts.libraries.get("simplejpeg", {}):
        error = facts.libraries["simplejpeg"]["error"]
        yield OLD_SIMPLEJPEG.found(f"it cannot be imported: {error}", where="simplejpeg", pip=pip)


def _judge_library(name: str, told: Mapping[str, str], pip: AsTyped) -> Iterator[Finding]:
    package = _PACKAGES.get(name, name)
    if "absent" in told:
        yield MISSING.found("is not installed", where=package, pip=pip)
    elif "error" in told:
        what = f"cannot be loaded: {told['error']}"
        yield BROKEN.found(what, where=package, pip=pip, package=package)


def _judge_runtime(told: Mapping[str, str], pip: AsTyped) -> Iterator[Finding]:
    if "error" in told:
        yield NO_RUNTIME.found(told["error"], pip=pip)
    elif told.get("name") == "tflite-runtime":
        yield OLD_RUNTIME.found(f"networks run with tflite-runtime {told['version']}", pip=pip)


CHECK = Check("python", "interpreter, processor, libraries, runtime", examine, _kinds.made)
