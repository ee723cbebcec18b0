"""How it scales: 1 to 64 cameras at 5 fps, no stick to four."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from camera_app.scheduling.policy import Policy
from tools.scheduling_sim.cameras import CameraPlan
from tools.scheduling_sim.devices import cpu, stick
from tools.scheduling_sim.figures import CameraFigures, camera_figures
from tools.scheduling_sim.frigate_load import CPU_MS, CPU_SEATS, FPS, LADDER, STICK_MS
from tools.scheduling_sim.table import markdown_table
from tools.scheduling_sim.world import World

CAMERAS = (1, 2, 4, 8, 16, 32, 64)
STICKS = (0, 1, 2, 3, 4)
WARM_UP_S = 20.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination.

    Attributes:
        cameras: How many.
        sticks: How many, beside the CPU.
        figures: Of all cameras.
        rung: How far down the ladder it ended.
    """

    cameras: int
    sticks: int
    figures: CameraFigures
    rung: int


def run(cameras: int, sticks: int, span_s: float, seed: int = 0) -> Cell:
    """Run one combination and count after it has warmed up."""
    plans = [CameraPlan(f"camera{number}", FPS) for number in range(cameras)]
    devices = [*(stick(number, STICK_MS) for number in range(sticks)), cpu(CPU_SEATS, CPU_MS)]
    world = World(plans, devices, Policy({"large": LADDER}, {}), seed=seed)
    world.run(WARM_UP_S)
    world.forget_figures()
    world.run(WARM_UP_S + span_s)
    return Cell(cameras, sticks, camera_figures(world.cameras.values(), span_s), world.rung)


def cells(span_s: float) -> list[Cell]:
    """Run all combinations."""
    return [run(cameras, sticks, span_s) for sticks in STICKS for cameras in CAMERAS]


def table(done: Iterable[Cell]) -> str:
    """Return frames a second a camera, the 99th percentile of latency, and the rung."""
    by_place = {(cell.cameras, cell.sticks): cell for cell in done}
    sticks = sorted({place[1] for place in by_place})
    header = ["cameras", *(f"{number} stick{'s' * (number != 1)} + CPU" for number in sticks)]
    rows = [
        [str(cameras), *(_told(by_place[cameras, number]) for number in sticks)]
        for cameras in sorted({place[0] for place in by_place})
    ]
    return markdown_table(header, rows)


def _told(cell: Cell) -> str:
    small = " (small)" if cell.rung else ""
    return f"{cell.figures.mean_fps:.2f} fps, {cell.figures.p99_ms:.0f} ms{small}"
