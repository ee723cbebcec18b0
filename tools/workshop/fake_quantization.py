"""Lets a network feel int8 while it learns: it rounds as its int8 twin will, in real numbers.

What is rounded is what `quantize` makes int8: the weights of convolutions, with a scale a channel,
and what flows between layers. Gradients pass through the rounding as if it were not there, and
stop where a value was clipped. The weights that are learnt stay real numbers under their own
names: a network that was trained so is saved, pruned and converted like any other.

A scale a channel makes it all the same whether batch normalisation is folded into the weights
before they are rounded or after: folding scales whole channels, and the grid with them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tools.workshop.network import CrossBlock, Detector

LEVELS = 255  # steps from the least to the largest of 256 values
LARGEST_WEIGHT = 127  # symmetric: -128 has no opposite
RELU6_STEP = 6.0 / LEVELS
# Share of a new batch in a running range: a range follows some hundred batches.
MOMENTUM = 0.02
NARROWEST = 1e-6


class RoundedConv(nn.Conv2d):
    """A convolution with weights as int8 has them: symmetric, a scale for each output channel."""

    @classmethod
    def of(cls, conv: nn.Conv2d) -> RoundedConv:
        """Return one that shares the parameters of a convolution."""
        rounded = cls(
            conv.in_channels,
            conv.out_channels,
            conv.kernel_size,
            conv.stride,
            conv.padding,
            groups=conv.groups,
            bias=conv.bias is not None,
            device="meta",  # its own parameters are never made
        )
        rounded.weight, rounded.bias = conv.weight, conv.bias
        return rounded

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, rounded_weights(self.weight), self.bias)


def rounded_weights(weights: Tensor) -> Tensor:
    """Return weights (out, …) on the grids of their output channels."""
    largest = weights.detach().abs().amax(dim=tuple(range(1, weights.ndim)))
    scales = (largest / LARGEST_WEIGHT).clamp(min=NARROWEST)
    zeros = torch.zeros_like(scales, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(
        weights, scales, zeros, 0, -LARGEST_WEIGHT, LARGEST_WEIGHT
    )


class RoundedReLU6(nn.Module):
    """ReLU6 in 256 steps. What lies outside of the steps is clipped, which is all of ReLU6."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x, RELU6_STEP, 0, 0, LEVELS)


class RoundedRange(nn.Module):
    """Rounds to 256 steps over the range that passes through while the network is trained.

    The range is part of the state: training that goes on, goes on with it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._widen(x.detach())
        scale = ((self.high - self.low) / LEVELS).clamp(min=NARROWEST)
        zero = (-self.low / scale).round().int()
        return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, LEVELS)

    def _widen(self, x: Tensor) -> None:
        """Move the range towards a batch's; zero is always in it, since int8 needs one."""
        low, high = x.amin().clamp(max=0.0), x.amax().clamp(min=0.0)
        share = 1.0 if self.high == self.low else MOMENTUM
        self.low.lerp_(low, share)
        self.high.lerp_(high, share)


def make_quantization_aware(detector: Detector) -> None:
    """Let a network with ReLU6 round from now on; its parameters stay the same objects.

    Bytes that come in are whole numbers, and maxima, copies and most of what is put side by side
    lie on the steps of ReLU6: they need no rounding. Sums do, what they are put beside, and what
    comes out.
    """
    for module in list(detector.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(module, name, RoundedConv.of(child))
            elif isinstance(child, nn.ReLU6):
                setattr(module, name, RoundedReLU6())
        if isinstance(module, CrossBlock) and module.residual:
            module.sums = nn.ModuleList(RoundedRange() for _ in module.sums)
            module.joined = RoundedRange()
    detector.said_boxes, detector.said_logits = RoundedRange(), RoundedRange()
