"""Networks that are small enough to build, train and compare in a test. Needs PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from tests.workshop.training_pictures import SIDE
from tools.workshop.augment import PLAIN
from tools.workshop.network import Activation, Detector, NetworkPlan, standard_widths
from tools.workshop.train import Schedule

BASE, HEAD = 8, 16
# Layers so small are done before a second thread has woken up.
torch.set_num_threads(1)


def tiny_plan(
    classes: Sequence[str] = ("person",), *, activation: Activation = "relu6", side: int = SIDE
) -> NetworkPlan:
    """Return the plan of a tiny network."""
    return NetworkPlan(
        tuple(classes), side, side, standard_widths(BASE, HEAD), activation=activation
    )


def tiny(seed: int = 0, classes: Sequence[str] = ("person",), side: int = SIDE) -> Detector:
    """Return a tiny network whose normalisations have statistics worth folding in."""
    torch.manual_seed(seed)
    detector = Detector(tiny_plan(classes, side=side))
    for name, value in detector.state_dict().items():
        if "running_mean" in name or name.endswith("norm.bias"):
            value.copy_(torch.randn(value.shape) / 4)
        elif "running_var" in name or name.endswith("norm.weight"):
            value.copy_(torch.rand(value.shape) + 0.5)
    return detector.eval()


def pictures(count: int = 2, seed: int = 0, side: int = SIDE) -> Tensor:
    """Return noise as the network takes it."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, side, side), generator=generator).float()


def short(epochs: int = 2, **changes: object) -> Schedule:
    """Return a schedule of few steps, without chance in the samples."""
    settings: dict[str, object] = {
        "epochs": epochs,
        "batch": 4,
        "rate": 4e-3,
        "warm_up_steps": 3,
        "sizes": ((SIDE, SIDE),),
        "workers": 0,
        "how": PLAIN,
    }
    return Schedule(**{**settings, **changes})  # type: ignore[arg-type]


def said(detector: Detector, x: Tensor) -> Tensor:
    """Return all that a network says, as one tensor."""
    with torch.no_grad():
        return torch.cat(detector(x), dim=-1)


def furthest(first: Tensor, second: Tensor) -> float:
    """Return the largest difference."""
    return float((first - second).abs().max())


def bytes_of(folder: Path) -> bytes:
    """Return the weights of a run, byte by byte; PyTorch's own file carries its name inside."""
    state = torch.load(folder / "weights.pt", weights_only=True)
    return b"".join(value.contiguous().numpy().tobytes() for value in state.values())
