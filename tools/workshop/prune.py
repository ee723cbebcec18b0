"""Structured pruning: whole channels go, those first that weigh least, and the network is smaller.

Which channels hang together, through additions, concatenations and depthwise convolutions, is
found by torch-pruning. What is left is a network of the same plan with other widths: it is
trained on, converted and quantized like any other.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch_pruning
from torch import nn

from tools.workshop.errors import WorkshopError
from tools.workshop.network import ConvUnit, Detector

# Kernels work on eight channels at a time: nine cost as much as sixteen.
ROUND_TO = 8
# Layers this narrow stay whole: the first ones see every edge, and have nothing to spare. Halving
# a stem of sixteen cost more than all other layers together.
SPARED_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Pruned:
    """A smaller network, and what it cost.

    Attributes:
        detector: The smaller network; it needs training before it sees well again.
        parameters: Before and after.
        multiplications: Multiply-accumulates for one picture, before and after.
    """

    detector: Detector
    parameters: tuple[int, int]
    multiplications: tuple[int, int]


def prune(detector: Detector, share: float, spared_width: int = SPARED_WIDTH) -> Pruned:
    """Take away a share of the channels of every group of layers that is wide enough.

    What is left of a layer is rounded down to whole eights.

    Args:
        detector: Left as it is.
        share: Of the channels, 0.0 to 1.0; the outputs keep all of theirs.
        spared_width: Layers of so many channels or fewer stay whole; those of eight always do.

    Raises:
        WorkshopError: The share is none, or a layer would be left with no channels.
    """
    if not 0.0 < share < 1.0:
        raise WorkshopError(
            f"cannot take away {share} of the channels",
            where="--share",
            remedy="Give a share between 0 and 1, such as 0.4",
        )
    spared_width = max(spared_width, ROUND_TO)
    _refuse_to_empty(detector.plan.widths, share, spared_width)
    network = copy.deepcopy(detector).eval().to(memory_format=torch.contiguous_format)
    picture = torch.zeros(1, 3, detector.plan.height, detector.plan.width)
    before = torch_pruning.utils.count_ops_and_params(network, picture)
    torch_pruning.pruner.BasePruner(
        network,
        picture,
        importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        round_to=ROUND_TO,
        ignored_layers=_kept_whole(network, spared_width),
    ).step()
    after = torch_pruning.utils.count_ops_and_params(network, picture)
    return Pruned(
        _rebuilt(detector, network),
        (int(before[1]), int(after[1])),
        (int(before[0]), int(after[0])),
    )


def _kept_whole(network: Detector, spared_width: int) -> list[nn.Module]:
    """Return the layers that lose no output: those that speak, and the narrow ones."""
    speaking = [module for name, module in network.named_modules() if ".to_" in name]
    narrow = [
        module.conv
        for module in network.modules()
        if isinstance(module, ConvUnit) and module.conv.out_channels <= spared_width
    ]
    return [*speaking, *narrow]


def _refuse_to_empty(widths: Mapping[str, int], share: float, spared_width: int) -> None:
    """Refuse a share that leaves a layer with nothing; torch-pruning would leave it whole."""
    emptied = [
        (width, name)
        for name, width in widths.items()
        if width > spared_width and int(width * (1 - share)) < ROUND_TO
    ]
    if emptied:
        width, name = min(emptied)
        raise WorkshopError(
            f"{name} has {width} channels: without {share} of them fewer than {ROUND_TO} are "
            "left, which is none",
            where="--share",
            remedy=f"Give at most {1 - ROUND_TO / width:.2f}; for more, prune and train in turns",
        )


def _rebuilt(detector: Detector, network: nn.Module) -> Detector:
    """Return a network that is what its plan says, with the weights that are left."""
    widths = {
        name_in_plan(path): module.conv.out_channels
        for path, module in network.named_modules()
        if isinstance(module, ConvUnit)
    }
    smaller = Detector(dataclasses.replace(detector.plan, widths=widths))
    smaller.load_state_dict(network.state_dict())
    smaller.eval()
    return smaller


def name_in_plan(path: str) -> str:
    """Return what a plan calls a layer: `stage2.wide.1` is its `stage2.wide1`."""
    head, _, last = path.rpartition(".")
    return f"{head}{last}" if last.isdigit() else path
