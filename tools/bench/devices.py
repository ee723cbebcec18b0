"""Runs `camera-app bench devices` with simulated sticks whose answers cost this machine nothing.

    python -m tools.bench.devices [--model person_large] [--sticks 1] [--latency-ms 7] [WORD …]

The pack's file for the stick is a black box, as a real compiler makes it: what it computes costs
the CPU nothing, as with a real stick, and its answers are zeros; so the pack has no known answers.
Any further words go to the command.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from camera_app.models import (
    TRUSTED_VARIABLE,
    PrivateKey,
    find_pack,
    locate_weights,
)
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import SimulatedSticks
from tools.workshop.tflite_graph import parse, read_content

CUSTOM_CODE = b"edgetpu-custom-op"
HERE = Path(sys.executable).parent / "camera-app"


def main() -> int:
    """Make the pack and the sticks, and run the command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="person_large")
    parser.add_argument("--sticks", type=int, default=1)
    parser.add_argument("--latency-ms", type=float, default=7.0)
    arguments, words = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pack, key = make_pack(arguments.model, folder)
        sticks = SimulatedSticks(
            folder / "sticks", usb=arguments.sticks, latency_ms=arguments.latency_ms
        )
        with sticks:
            for stick in sticks.values():
                stick.compute = 1
            environment = {**os.environ, **sticks.environment(), TRUSTED_VARIABLE: key}
            command = [str(HERE), "bench", "devices", "--model", str(pack), *words]
            return subprocess.run(command, env=environment, check=False).returncode


def make_pack(like: str, folder: Path) -> tuple[Path, str]:
    """Make a pack with a black box for the stick; return its folder and the key that signed it."""
    known, target, box = find_pack(like), folder / like, folder / "box_edgetpu.tflite"
    box.write_bytes(black_box(locate_weights(known)))
    key = PrivateKey(os.urandom(32))
    make_twin_pack(known, target, key, edgetpu_file=box, has_known_answers=False)
    return target, key.public


def black_box(weights: Path) -> bytes:
    """Return a network with the same tensors in and out, and one operator for a stick between."""
    model = parse(read_content(weights), where=str(weights))
    graph = model.subgraphs[0]
    code: Any = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode, code.version = CUSTOM_CODE, 1
    operator: Any = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = list(graph.inputs), list(graph.outputs)
    operator.customOptions = list(b"a black box")
    model.operatorCodes, graph.operators = [code], [operator]
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    sys.exit(main())
