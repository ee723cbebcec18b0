"""Face embedding: of the outputs, the one of the declared width is the vector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_app.inference.decoders.tensors import find_role
from camera_app.inference.quantization import dequantise
from camera_app.inference.runtime import Outputs, TensorSpec
from camera_app.models import EmbeddingDecode

FAMILY = "embedding"


class EmbeddingDecoder:
    """Decodes one network of this family; other outputs, such as one for masks, are left alone.

    Raises:
        ModelOutputError: The outputs are not those of the family.
    """

    def __init__(self, decode: EmbeddingDecode, outputs: Sequence[TensorSpec]) -> None:
        self._vector = find_role(outputs, FAMILY, "vector", (1, decode.width), decode.outputs)

    def decode(self, outputs: Outputs) -> npt.NDArray[np.float32]:
        """Return the vector, its length one; the dot product of two is their similarity."""
        tensor = self._vector.of(outputs)
        vector = dequantise(tensor.values[0], tensor)
        length = np.linalg.norm(vector)
        return np.asarray(vector / length if length else vector, np.float32)
