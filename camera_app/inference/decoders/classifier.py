"""Classification: one output (1, n) with a score for each label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from camera_app.inference.decoders.tensors import expect_count, find_role
from camera_app.inference.quantization import dequantise
from camera_app.inference.runtime import Outputs, TensorSpec

FAMILY = "classifier"


@dataclass(frozen=True, slots=True)
class Classification:
    """One class that a picture may show.

    Attributes:
        label: Name from the model pack.
        score: The model's confidence, 0.0 to 1.0.
    """

    label: str
    score: float


class ClassifierDecoder:
    """Decodes one network of this family.

    Raises:
        ModelOutputError: The output is not that of the family.
    """

    def __init__(self, labels: Sequence[str], outputs: Sequence[TensorSpec]) -> None:
        self._labels = labels
        expect_count(outputs, FAMILY, ("scores",))
        self._scores = find_role(outputs, FAMILY, "scores", (1, len(labels)), {})

    def decode(self, outputs: Outputs) -> list[Classification]:
        """Return all classes, best first, of equals the earlier label."""
        tensor = self._scores.of(outputs)
        scores = dequantise(tensor.values[0], tensor)
        order = np.argsort(-scores, kind="stable")
        return [
            Classification(self._labels[index], score)
            for index, score in zip(order.tolist(), scores[order].tolist(), strict=True)
        ]
