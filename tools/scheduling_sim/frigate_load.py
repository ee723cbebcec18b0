"""The load that a user measured on another program: 16 cameras at 5 fps on one stick.

There, all cameras got 2.4 of 5 frames a second, the important one as well (blakeblackshear/frigate,
issue 7247). Here a frame has 2.2 regions on average and the stick takes 7 ms: 176 requests a second
are wanted, 143 can be answered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from camera_app.scheduling.load import CameraShare, DeviceKind, Ladder, Variant
from camera_app.scheduling.policy import Policy
from tools.scheduling_sim.baseline import FirstCome
from tools.scheduling_sim.cameras import CameraPlan
from tools.scheduling_sim.devices import DevicePlan, cpu, stick
from tools.scheduling_sim.figures import CameraFigures, camera_figures, told
from tools.scheduling_sim.table import markdown_table
from tools.scheduling_sim.world import Decider, World

CAMERAS = 16
FPS = 5.0
WARM_UP_S = 20.0

EVERYWHERE = frozenset(DeviceKind)
LARGE_ALONE = Ladder((Variant("large", EVERYWHERE),))
LADDER = Ladder((Variant("large", EVERYWHERE), Variant("small", EVERYWHERE)))

# Milliseconds. The stick's are those of the measured load; the CPU's are an assumption: two cores
# of a small board, the others decode video.
STICK_MS = {"large": 7.0, "small": 3.5}
CPU_MS = {"large": 100.0, "small": 25.0}
CPU_SEATS = 2

PRIORITY = "priority"


@dataclass(frozen=True, slots=True)
class Setup:
    """One row of the table.

    Attributes:
        name: What it shows.
        policy: What decides; None: the one that ships.
        ladder: What may be run.
        is_open: Every frame asks, whatever is under way.
        has_cpu: The CPU helps.
    """

    name: str
    ladder: Ladder = LARGE_ALONE
    is_first_come: bool = False
    is_open: bool = False
    has_cpu: bool = False


SETUPS = (
    Setup("first come first served, every frame asks", is_first_come=True, is_open=True),
    Setup("first come first served, one frame under way", is_first_come=True),
    Setup("this policy, every frame asks", is_open=True),
    Setup(
        "this policy, one frame under way",
    ),
    Setup("the same, and the CPU helps", has_cpu=True),
    Setup("the same, and a smaller pack may stand in", has_cpu=True, ladder=LADDER),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one setup brought.

    Attributes:
        priority: The camera that is promised 5 fps.
        rest: The other fifteen.
        rung: How far down the ladder it ended.
    """

    priority: CameraFigures
    rest: CameraFigures
    rung: int


def cameras(*, is_open: bool) -> list[CameraPlan]:
    """Return the cameras: the first is promised all its frames, the others a frame a second."""
    one = CameraPlan(PRIORITY, FPS, CameraShare(weight=4.0, min_fps=FPS), is_open=is_open)
    rest = [
        replace(one, name=f"camera{number}", share=CameraShare()) for number in range(1, CAMERAS)
    ]
    return [one, *rest]


def run(setup: Setup, span_s: float, seed: int = 0) -> Outcome:
    """Run one setup and count after it has warmed up."""
    plans = cameras(is_open=setup.is_open)
    devices: list[DevicePlan] = [stick(0, STICK_MS)]
    if setup.has_cpu:
        devices.append(cpu(CPU_SEATS, CPU_MS))
    policy: Decider = FirstCome("large")
    if not setup.is_first_come:
        policy = Policy({"large": setup.ladder}, {plan.name: plan.share for plan in plans})
    world = World(plans, devices, policy, seed=seed)
    world.run(WARM_UP_S)
    world.forget_figures()
    world.run(WARM_UP_S + span_s)
    rest = [camera for name, camera in world.cameras.items() if name != PRIORITY]
    return Outcome(
        priority=camera_figures([world.cameras[PRIORITY]], span_s),
        rest=camera_figures(rest, span_s),
        rung=world.rung,
    )


def table(span_s: float) -> str:
    """Run all setups; return them as a table."""
    header = (
        "setup",
        "priority fps",
        "its p99",
        "others' fps: least, mean, most",
        "p50",
        "p99",
        "longest gap",
        "rung",
        "others' frames shed",
    )
    return markdown_table(header, [_row(setup, run(setup, span_s)) for setup in SETUPS])


def _row(setup: Setup, outcome: Outcome) -> list[str]:
    rest = outcome.rest
    return [
        setup.name,
        f"{outcome.priority.mean_fps:.2f}",
        f"{outcome.priority.p99_ms:.0f} ms",
        f"{rest.fps[0]:.2f}, {rest.mean_fps:.2f}, {rest.fps[-1]:.2f}",
        f"{rest.p50_ms:.0f} ms",
        f"{rest.p99_ms:.0f} ms",
        f"{rest.longest_gap_s:.2f} s",
        str(outcome.rung),
        told(rest.shed),
    ]
