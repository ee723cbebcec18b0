"""The library, built once; sticks of it; small networks; processes that own a stick."""

from __future__ import annotations

import ctypes
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType, load_delegate

from tests.workshop.tflite_files import write_two_layers
from tools.edgetpu_sim.build import LIBRARY, build, compiler
from tools.edgetpu_sim.compiler import compile_file
from tools.edgetpu_sim.sticks import SLOTS_VARIABLE, SimulatedStick, SimulatedSticks

LIMIT_S = 30.0
OWNER = Path(__file__).with_name("owner.py")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library, made here."""
    if compiler() is None:
        pytest.skip("the simulated Edge TPU needs a C compiler: sudo apt-get install gcc make")
    return build(tmp_path_factory.mktemp("libedgetpu"))


@pytest.fixture(scope="session")
def two_layers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny int8 network for the CPU."""
    return write_two_layers(tmp_path_factory.mktemp("networks") / "two_layers.tflite")


@pytest.fixture(scope="session")
def compiled(two_layers: Path) -> Path:
    """The same for the simulated Edge TPU."""
    target = two_layers.with_name("two_layers_edgetpu.tflite")
    compile_file(two_layers, target)
    return target


@pytest.fixture
def sticks(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SimulatedSticks]:
    """Two sticks and a card that answer at once, visible in this process."""
    ctypes.CDLL(str(library))  # found by its name from here on
    with SimulatedSticks(
        tmp_path / "sim", usb=2, pci=1, latency_ms=0, library=library.parent
    ) as made:
        monkeypatch.setenv(SLOTS_VARIABLE, made.environment()[SLOTS_VARIABLE])
        yield made


@pytest.fixture
def stick(sticks: SimulatedSticks) -> SimulatedStick:
    """The first stick; it fails where the real one would take this process with it."""
    sticks["usb0"].on_unplug = 1
    return sticks["usb0"]


def load(network: Path, device: str = "usb:0") -> Any:
    """Load a network as the application does."""
    delegate = load_delegate(LIBRARY, {"device": device, "Performance": "Max"})
    interpreter = Interpreter(str(network), experimental_delegates=[delegate])
    interpreter.allocate_tensors()
    return interpreter


def load_on_cpu(network: Path, resolver: OpResolverType = OpResolverType.AUTO) -> Any:
    interpreter = Interpreter(str(network), experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    return interpreter


def answers(interpreter: Any, seed: int = 0) -> list[Any]:
    """Run a network on noise that the seed decides, and return what comes out."""
    noise = np.random.default_rng(seed)
    for details in interpreter.get_input_details():
        values = noise.integers(-128, 128, details["shape"])
        if details["dtype"] == np.float32:
            values = values / 128
        elif details["dtype"] == np.uint8:
            values = values + 128
        interpreter.set_tensor(details["index"], values.astype(details["dtype"]))
    interpreter.invoke()
    return [
        interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()
    ]


def are_equal(one: list[Any], other: list[Any]) -> bool:
    """Tell whether all tensors have the same bits; some networks give NaN for noise."""
    return all(
        a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True)
    )


class Owner:
    """A process of `owner.py`, and what it says."""

    def __init__(self, network: Path, environment: Mapping[str, str], device: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(OWNER), str(network), device],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **environment},
            bufsize=0,
        )

    def ask(self) -> None:
        """Let it run the network once."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"invoke\n")

    def says(self) -> str:
        """Return its next line; an empty one when it is dead."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], LIMIT_S)
        assert readable, "the process says nothing"
        return self.process.stdout.readline().decode().rstrip("\n")

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its status and what stands on its standard error."""
        _, errors = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, errors.decode()


@pytest.fixture
def start_owner(sticks: SimulatedSticks, compiled: Path) -> Iterator[Callable[..., Owner]]:
    """Start a process that loads the tiny network on a stick."""
    owners: list[Owner] = []

    def start(device: str = "usb:0") -> Owner:
        owners.append(Owner(compiled, sticks.environment(), device))
        return owners[-1]

    yield start
    for owner in owners:
        owner.process.kill()
        owner.process.communicate()
