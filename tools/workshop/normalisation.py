"""Measures batch normalisation anew, with or without a change of what the network says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST_VARIANCE = 1e-4


def renormalise(detector: nn.Module, pictures: Iterable[Tensor]) -> None:
    """Give every batch normalisation the statistics of the pictures; what it says stays the same.

    Args:
        detector: Changed in place.
        pictures: Batches, float32 (n, 3, height, width).
    """
    sums: dict[nn.BatchNorm2d, list[Any]] = {}
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_hook(_summing(sums)) for norm in norms]
    detector.eval()
    with torch.no_grad():
        for batch in pictures:
            detector(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        count, total, squares = sums[norm]
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=SMALLEST_VARIANCE)
        _reset(norm, mean.float(), variance.float())


def measure_anew(detector: nn.Module, pictures: Iterable[Tensor]) -> None:
    """Let every batch normalisation take the statistics of the pictures, layer after layer.

    Unlike `renormalise` this changes what the network says: each layer again gives numbers of the
    size that the next was made for.
    """
    norms = [module for module in detector.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
    detector.train()
    with torch.no_grad():
        for batch in pictures:
            detector(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    detector.eval()


def _summing(sums: dict[nn.BatchNorm2d, list[Any]]) -> Any:
    def hook(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...], _: Tensor) -> None:
        x = inputs[0].double()
        kept = sums.setdefault(norm, [0, 0.0, 0.0])
        kept[0] += x.numel() // x.shape[1]
        kept[1] = kept[1] + x.sum((0, 2, 3))
        kept[2] = kept[2] + x.square().sum((0, 2, 3))

    return hook


def _reset(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias.data - norm.running_mean * scale
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.data.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.bias.data.copy_(shift + mean * scale)
