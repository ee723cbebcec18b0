"""Where the time of a look goes on one device. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from camera_app.clock import seconds
from camera_app.histogram import Distribution, Histogram


class LookStep(StrEnum):
    """What a device does with a region, in this order."""

    TENSOR = "tensor"  # the region made the network's input
    INVOKE = "invoke"  # the network; on an Edge TPU with the way there and back
    BOXES = "boxes"  # its outputs made detections


class LookTimes:
    """Takes the times of one device; whoever has it guards it with a lock."""

    def __init__(self) -> None:
        self._steps = {step: Histogram() for step in LookStep}

    def observe(self, began_ns: int, prepared_ns: int, invoked_ns: int, decoded_ns: int) -> None:
        """Take note of one look by the moments between its steps."""
        self._steps[LookStep.TENSOR].observe(seconds(prepared_ns - began_ns))
        self._steps[LookStep.INVOKE].observe(seconds(invoked_ns - prepared_ns))
        self._steps[LookStep.BOXES].observe(seconds(decoded_ns - invoked_ns))

    def distributions(self) -> Mapping[LookStep, Distribution]:
        """Return how long the steps took so far."""
        return {step: histogram.distribution() for step, histogram in self._steps.items()}
