"""A simulated stick, and packs that have a file for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from camera_app.inference.edgetpu import Stick
from camera_app.models import ModelPack, PrivateKey, find_pack, locate_weights
from tools.edgetpu_sim.build import compiler
from tools.edgetpu_sim.compiler import compile_file
from tools.edgetpu_sim.packs import make_twin_pack
from tools.edgetpu_sim.sticks import SimulatedStick, SimulatedSticks

LIMIT_S = 30.0
PLACE = "usb:9-1"

MakeTwin = Callable[..., ModelPack]
MakeStick = Callable[..., Stick]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Compile a file for the simulated stick, once a session."""
    folder = tmp_path_factory.mktemp("compiled")
    done: dict[Path, Path] = {}

    def compile_once(path: Path) -> Path:
        if path not in done:
            target = folder / f"{path.stem}_edgetpu.tflite"
            compile_file(path, target)
            done[path] = target
        return done[path]

    return compile_once


@pytest.fixture
def make_twin(
    tmp_path: Path, compiled: Callable[[Path], Path], signing_key: PrivateKey
) -> MakeTwin:
    """Copy a pack of the catalogue and give it a file for the simulated stick."""

    def make(
        like: str = "person_small", *, name: str = "", edgetpu: Path | None = None
    ) -> ModelPack:
        pack = find_pack(like)
        file = edgetpu or compiled(locate_weights(pack))
        folder = tmp_path / "twins" / (name or like)
        return make_twin_pack(pack, folder, signing_key, name=name, edgetpu_file=file)

    return make


@pytest.fixture
def sticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSticks]:
    """Two simulated sticks, which children started from here find."""
    if compiler() is None:
        pytest.skip("the simulated Edge TPU needs a C compiler")
    with SimulatedSticks(tmp_path / "sticks", usb=2, pci=1, latency_ms=1.0) as simulated:
        for name, value in simulated.environment().items():
            monkeypatch.setenv(name, value)
        yield simulated


@pytest.fixture
def simulated(sticks: SimulatedSticks) -> SimulatedStick:
    """The stick in PLACE."""
    return sticks["usb0"]


@pytest.fixture
def make_stick() -> Iterator[MakeStick]:
    """Make sticks that are closed at the end."""
    made: list[Stick] = []

    def make(*packs: ModelPack, place: str = PLACE) -> Stick:
        stick = Stick(place, packs)
        made.append(stick)
        return stick

    yield make
    for stick in made:
        stick.close()
